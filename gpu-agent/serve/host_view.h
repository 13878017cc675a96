/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What GetHost answers: figures of one moment, never changed after they are made, shared
 * by readers through a count of references.
 */

#ifndef GPU_AGENT_SERVE_HOST_VIEW_H
#define GPU_AGENT_SERVE_HOST_VIEW_H

#include "capacity.h"

enum host_mode {
	HOST_MODE_NONE, /* no GPU */
	HOST_MODE_VGPU,
	HOST_MODE_PASSTHROUGH,
};

struct view_profile {
	char name[OPS_NAME_MAX];
	uint32_t framebuffer_mb; /* 0: not known */
	uint32_t available;
};

struct view_gpu {
	struct pci_addr address;
	char name[OPS_NAME_MAX];
	char driver[OPS_DRIVER_MAX]; /* empty: none */
	uint16_t vendor, device;
	uint32_t iommu_group; /* OPS_NO_GROUP */
	enum framework framework;
	int32_t numa_node;
	uint32_t total_slots, used_slots;
	uint32_t locked_framebuffer_mb; /* 0: any, or not known */
	char reason[192];
	bool available; /* passthrough */
	bool suspect;
	bool barred; /* listed with its reason, but no part of the host's figures */
};

enum slot_condition_kind {
	SLOT_CORDONED,
	SLOT_QUARANTINED,
	SLOT_WEDGED,
	SLOT_DRAINING,
};

/* Why a slot is not offered. */
struct slot_condition {
	struct pci_addr slot;
	size_t gpu; /* index of view->gpus */
	enum slot_condition_kind kind;
	int64_t since_ms; /* since 1970 */
	char reason[192];
};

struct host_view {
	uint64_t generation;
	enum host_mode mode;
	uint32_t total_slots, used_slots;
	struct view_profile *profiles; /* owned, in the order of the product document */
	size_t profile_count;
	struct view_gpu *gpus; /* owned, by address */
	size_t gpu_count;
	struct slot_condition *conditions; /* owned; added by the maker before it shares the view */
	size_t condition_count;
	unsigned references; /* atomic */
};

/* With one reference; NULL when out of memory. */
struct host_view *host_view_new(const struct capacity *capacity, uint64_t generation);
/* Adds the GPUs' slots up anew, after the maker has changed them. */
void host_view_count(struct host_view *view);

struct host_view *host_view_ref(struct host_view *view);
void host_view_unref(struct host_view *view);
SCOPED_DEFINE(struct host_view *, host_view_unref);

#endif

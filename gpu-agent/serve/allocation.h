/* SPDX-License-Identifier: Apache-2.0 */
/* A vGPU or whole GPU of ours: what the database keeps and callers see. A plain value. */

#ifndef GPU_AGENT_SERVE_ALLOCATION_H
#define GPU_AGENT_SERVE_ALLOCATION_H

#include <stdint.h>

#include "common/pci_addr.h"
#include "gpu-agent/ops.h"

#define ALLOCATION_OWNER_MAX	 129 /* with the NUL */
#define ALLOCATION_PRINCIPAL_MAX 32

/*
 *   CREATING -> READY -> RELEASING -> CLOSED
 *       \-> UNDONE
 *
 * The numbers are in the database. Rows of the last two states stay: a request_id of a
 * closed one never creates again, and a device that appears late with the id of either
 * (its worker hung in the kernel) is known as ours.
 */
enum allocation_state {
	ALLOCATION_CREATING = 1, /* the device may or may not exist; nobody was told of it */
	ALLOCATION_READY = 2,	 /* exists, verified, granted */
	ALLOCATION_RELEASING = 3,
	ALLOCATION_CLOSED = 4, /* deleted */
	ALLOCATION_UNDONE = 5, /* never became ready; its request_id is free again */
};

/* What it is to the kernel. The numbers are in the database. */
enum allocation_kind {
	ALLOCATION_MDEV = 1,
	ALLOCATION_VENDOR = 2, /* a type of a virtual function, which has no UUID */
	ALLOCATION_DEVICE = 3, /* a whole GPU, bound to vfio-pci */
};

struct allocation {
	uint64_t sequence;	/* order of creation, never used twice */
	char id[OPS_UUID_SIZE]; /* also the mdev's UUID */
	enum allocation_kind kind;
	char request_id[OPS_UUID_SIZE];
	char principal[ALLOCATION_PRINCIPAL_MAX];
	char owner[ALLOCATION_OWNER_MAX];
	enum allocation_state state;
	char profile[OPS_NAME_MAX]; /* short form; of a whole GPU: the device as it was asked for */
	char type[OPS_TYPE_MAX]; /* a directory name, a vendor's id in decimal, or a device's id */
	int32_t framebuffer_mb;	 /* OPS_UNKNOWN */
	struct pci_addr slot, gpu;
	int32_t numa_node;    /* -1 */
	uint32_t iommu_group; /* OPS_NO_GROUP until it is ready */
	uint32_t grant_gid;
	int64_t create_time_ms; /* since 1970 */
	char boot_id[OPS_UUID_SIZE];

	/* Whole GPUs, for callers; not on record. */
	uint8_t functions;    /* bits: those of its slot that go with it */
	char reset_note[192]; /* how the last release left it */
};

#endif

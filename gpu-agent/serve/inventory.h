/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The GPUs of this host as one scan saw them, plus what we changed since.
 *
 * A physical GPU carries vGPUs on slots: one vGPU on each virtual function, or any number
 * within a shared budget on a parent without virtual functions. Each slot offers vGPU
 * types; types with the same name are one profile. What a scan could not read is marked
 * unknown or incomplete and is never taken for zero.
 *
 * A function of the vendor VFIO framework lists the types that fit now, nothing else. It
 * offers all types that are known of its board: with available_instances of 1 those that it
 * lists, with 0 the others. Its vGPU is described as a struct op_mdev whose type is the id in
 * decimal, and whose uuid is the allocation's, or empty if root did not make it.
 *
 * Indices (gpu, slot, profile) hold within one inventory; addresses and UUIDs hold always.
 */

#ifndef GPU_AGENT_SERVE_INVENTORY_H
#define GPU_AGENT_SERVE_INVENTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "catalogue.h"
#include "common/scoped.h"
#include "gpu-agent/ops.h"

#define INVENTORY_NONE SIZE_MAX

enum framework {
	FRAMEWORK_UNKNOWN, /* what says so could not be read: maybe no GPU that could be used */
	FRAMEWORK_MDEV = 1,
	FRAMEWORK_VENDOR_VFIO,
	FRAMEWORK_PASSTHROUGH,
};

struct inventory_gpu {
	struct pci_addr address;
	char name[OPS_NAME_MAX]; /* "NVIDIA L40S" */
	char driver[OPS_DRIVER_MAX];
	struct board board;
	enum framework framework;
	int32_t numa_node;    /* -1: none, or not known */
	uint32_t iommu_group; /* OPS_NO_GROUP */
	size_t first_slot, slot_count;
	bool incomplete; /* a read failed on the GPU or on one of its functions */
	bool suspect;	 /* the kernel does not answer for it: all this is what was last known */
	bool barred;	 /* root's policy lets nobody touch it; set by the owner */
	bool stale;	 /* available_instances of its slots are older than our last change */
};

struct inventory_slot {
	struct pci_addr address;
	size_t gpu;
	size_t first_offer, offer_count;
	int32_t numa_node;    /* -1 */
	uint32_t iommu_group; /* OPS_NO_GROUP; an mdev on it has one of its own */
	bool shared;	      /* no virtual function: available_instances is a budget */
	bool incomplete;      /* a read failed: what is on it is not known, nothing is offered */
};

struct inventory_offer {
	char type[OPS_TYPE_MAX]; /* to create it by: a directory name, or a vendor's id */
	size_t profile;
	int32_t max_instance; /* per physical GPU; OPS_UNKNOWN */
	bool max_may_be_more; /* concluded from the largest type: the board is not known */
	int32_t available;    /* available_instances; OPS_UNKNOWN */
};

struct inventory_profile {
	char name[OPS_NAME_MAX]; /* short form */
	int32_t framebuffer_mb;	 /* OPS_UNKNOWN */
};

struct inventory_vgpu {
	char uuid[OPS_UUID_SIZE]; /* empty: a vendor's, and not ours */
	size_t slot;
	size_t profile; /* INVENTORY_NONE: of a type that nobody knows */
	uint32_t iommu_group;
	bool in_journal;   /* root made it */
	bool half_removed; /* a remove waits for its holder */
};

struct inventory {
	struct inventory_gpu *gpus; /* each array is owned */
	size_t gpu_count;
	struct inventory_slot *slots; /* those of one GPU lie together, by address */
	size_t slot_count;
	struct inventory_offer *offers;
	size_t offer_count;
	struct inventory_profile *profiles;
	size_t profile_count;
	struct inventory_vgpu *vgpus;
	size_t vgpu_count;
	struct pci_addr *unreadable; /* functions of which a read failed */
	size_t unreadable_count;
	struct pci_addr suspects[OPS_GPUS_MAX]; /* GPUs that were left out, known or not */
	size_t suspect_count;
};

enum presence {
	PRESENCE_ABSENT,
	PRESENCE_PRESENT,
	PRESENCE_UNKNOWN, /* not seen where something could not be read */
};

/*
 * Makes an inventory from the records of one whole scan, in any order. The catalogue
 * completes what the scan did not tell. 0 or -ENOMEM.
 */
int inventory_new(const struct op_record *records, size_t count, const struct catalogue *catalogue,
		  struct inventory **ret);
void inventory_free(struct inventory *inventory);
SCOPED_DEFINE(struct inventory *, inventory_free);

/*
 * Adds what the records say about types to the catalogue. Returns a count of changes
 * or -ENOMEM.
 */
int inventory_teach(const struct inventory *inventory, struct catalogue *catalogue);

/*
 * A change that we made after the scan: the GPU's available_instances are stale from then
 * on. Adding one that is there, or removing one that is not, is fine. 0 or -ENOMEM; a
 * device whose parent is not in the inventory is ignored.
 */
int inventory_add_vgpu(struct inventory *inventory, const struct op_mdev *vgpu,
		       const struct catalogue *catalogue);
void inventory_remove_vgpu(struct inventory *inventory, const char *uuid);

void inventory_mark_stale(struct inventory *inventory, struct pci_addr slot_address);

const struct inventory_vgpu *inventory_find_vgpu(const struct inventory *inventory,
						 const char *uuid);
enum presence inventory_presence(const struct inventory *inventory, const char *uuid,
				 struct pci_addr slot_address);

/* The scan left these GPUs out: nothing can be said of what is on them. */
void inventory_mark_suspects(struct inventory *inventory, const struct pci_addr *gpus,
			     size_t count);
bool inventory_is_suspect(const struct inventory *inventory, struct pci_addr gpu);

/* Each an index or INVENTORY_NONE. The profile's name may be the short or the driver's one. */
size_t inventory_find_slot(const struct inventory *inventory, struct pci_addr address);
size_t inventory_find_profile(const struct inventory *inventory, const char *name);

/* NULL when the slot does not offer the profile. */
const struct inventory_offer *inventory_offer_of(const struct inventory *inventory, size_t slot,
						 size_t profile);

/* Whether the two describe the same GPUs, slots, types and devices. */
bool inventory_equal(const struct inventory *a, const struct inventory *b);

#endif

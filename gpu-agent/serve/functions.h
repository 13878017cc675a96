/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The PCI functions of this host as the last scan saw them: display controllers, what else
 * root's setting device-class names, and what shares their slots and IOMMU groups. For whole
 * functions; what carries vGPUs is in inventory.h.
 */

#ifndef GPU_AGENT_SERVE_FUNCTIONS_H
#define GPU_AGENT_SERVE_FUNCTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/scoped.h"
#include "gpu-agent/ops.h"

struct function {
	struct pci_addr address;
	uint16_t vendor, device;
	uint32_t class_code;	     /* OPS_UNKNOWN_CLASS */
	uint32_t iommu_group;	     /* OPS_NO_GROUP */
	int32_t numa_node;	     /* -1 */
	char driver[OPS_DRIVER_MAX]; /* empty: none */
	char name[OPS_NAME_MAX];     /* "NVIDIA L40S"; empty: not known */
	bool is_virtual;
	bool is_gpu;	      /* a physical display controller */
	bool is_bindable;     /* physical, of a class that root deals with: not one that only
				 goes along with another */
	bool has_vfio_dev;    /* a VFIO driver has it */
	uint8_t bind_refusal; /* enum op_reason; of bindable ones */
	uint64_t known_from;  /* scans with a smaller number may show it as it was before a change
				 of ours */
};

struct functions {
	struct function *items; /* each array is owned */
	size_t count;
	struct op_group_member *members;
	size_t member_count;
	struct op_binding *bindings;
	size_t binding_count;
	struct op_holder *holders; /* who uses which GPU through its host driver */
	size_t holder_count;
	bool holders_known;
};

/* From the records of one whole scan. 0 or -ENOMEM. */
int functions_new(const struct op_record *records, size_t count, struct functions **ret);
void functions_free(struct functions *functions);
SCOPED_DEFINE(struct functions *, functions_free);

/* From the records of OP_FIND_GPU_HOLDERS. 0 or -ENOMEM. */
int functions_set_holders(struct functions *functions, const struct op_record *records,
			  size_t count);

/*
 * What is newer in what was known (NULL: nothing) than in scan number `scan`, which fresh is made
 * from: functions that we bound or gave back since it began.
 */
void functions_keep_newer(struct functions *fresh, const struct functions *known, uint64_t scan);

/* NULL when there is none. functions may be NULL. */
const struct function *functions_find(const struct functions *functions, struct pci_addr address);
const struct op_binding *functions_binding(const struct functions *functions, const char *uuid);

/* Whether the two describe the same. Either may be NULL. */
bool functions_equal(const struct functions *a, const struct functions *b);

#endif

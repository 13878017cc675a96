/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Virtual functions of NVIDIA's own VFIO framework, as sysfs shows them: a file that lists what
 * can be created now, and one that holds the type. Reading only. The files answer ENXIO or EIO
 * at times, which means unknown.
 */

#ifndef GPU_AGENT_MONITOR_VENDOR_H
#define GPU_AGENT_MONITOR_VENDOR_H

#include "gpu-agent/ops.h"
#include "tree.h"

#define VENDOR_CREATABLE "bus/pci/devices/%s/nvidia/creatable_vgpu_types"
#define VENDOR_CURRENT	 "bus/pci/devices/%s/nvidia/current_vgpu_type"

/* 0: no type. 0 or -errno; -ENOENT: the function is none of that framework. */
int vendor_read_type(const struct tree *sysfs, struct pci_addr address, uint32_t *ret);

struct vendor_line {
	uint32_t id;
	char name[OPS_NAME_MAX];
};

/*
 * The next type of a list: "1147  : NVIDIA L40S-1Q", with any spaces around the first colon; a
 * header and blank lines are passed over. 1; 0 at the end; -EBADMSG for a line that is neither.
 * *text moves on. Pure.
 */
int vendor_next_line(const char **text, struct vendor_line *ret);

#endif

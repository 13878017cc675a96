/* SPDX-License-Identifier: Apache-2.0 */
/* A GPU, or a part of one, that gpu-agent gave to an instance: a value. */

#ifndef INSTANCE_SVC_GPU_LEASE_H
#define INSTANCE_SVC_GPU_LEASE_H

#include <stdbool.h>
#include <stdint.h>

#include "id.h"

#define GPU_LEASE_PATH_MAX 256

struct gpu_lease {
	struct uuid_text id;	    /* the allocation; empty: no lease */
	struct uuid_text mdev_uuid; /* empty: no mdev */
	char profile[64];	    /* short form, "L40S-1Q" */
	char pci_address[32];	    /* of the function that carries it */
	uint32_t framebuffer_mb;
	bool simulated;			      /* no real device: the VM gets a stand-in */
	char device_node[GPU_LEASE_PATH_MAX]; /* "/dev/vfio/36" */
	char sysfs_path[GPU_LEASE_PATH_MAX];
};

#endif

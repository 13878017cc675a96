/* SPDX-License-Identifier: Apache-2.0 */
/* A GPU, or a part of one, that gpu-agent gave to an instance: a value. */

#ifndef INSTANCE_SVC_GPU_LEASE_H
#define INSTANCE_SVC_GPU_LEASE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/pci_addr.h"
#include "id.h"

#define GPU_LEASE_PATH_MAX	128
#define GPU_LEASE_FUNCTIONS_MAX 8 /* of one slot */

struct gpu_lease {
	struct uuid_text id;	    /* the allocation; empty: no lease */
	struct uuid_text mdev_uuid; /* empty: no mdev */
	struct uuid_text device_id; /* of the registered device; empty: a vGPU */
	char profile[64];	    /* short form, "L40S-1Q"; empty: a whole device */
	char pci_address[32];	    /* of the function that carries it */
	uint32_t framebuffer_mb;
	int32_t numa_node; /* -1: the kernel does not know */
	bool simulated;	   /* no real device: the VM gets a stand-in, and no path is set */

	/* A whole device: all functions that go with it, the device itself first. */
	struct pci_addr functions[GPU_LEASE_FUNCTIONS_MAX];
	uint32_t function_count;
	char device_node[GPU_LEASE_PATH_MAX]; /* "/dev/vfio/36" */
	char sysfs_path[GPU_LEASE_PATH_MAX];
};

#endif

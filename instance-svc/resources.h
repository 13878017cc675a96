/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the host has, how much of it may be promised, and how much is. A limit is
 * capacity x oversubscription: memory and disks of VMs are used by and by, and CPUs are
 * rarely busy all at once.
 */

#ifndef INSTANCE_SVC_RESOURCES_H
#define INSTANCE_SVC_RESOURCES_H

#include <stdint.h>

#include "common/err.h"
#include "spec.h"

enum resource_kind {
	RESOURCE_CPU,	  /* vCPUs */
	RESOURCE_MEMORY,  /* bytes */
	RESOURCE_DISK,	  /* bytes */
	RESOURCE_NETWORK, /* bits per second, of the greater direction; capacity 0: not known */
	RESOURCE_COUNT,
};

struct resource {
	int64_t capacity;
	int64_t limit;
	int64_t allocated;
	unsigned oversubscription; /* percent */
	char source[64];	   /* where the capacity was read */
};

struct resources {
	struct resource kind[RESOURCE_COUNT];
};

/* Percent, by kind; 0 counts as 100. */
struct resource_factors {
	unsigned percent[RESOURCE_COUNT];
	uint64_t network_bps; /* what the host has; 0: as its interface says */
};

/* "cpu", "memory", "disk", "network" */
const char *resource_name(enum resource_kind kind);

/* `allocated` is left at 0. disk_path: on the file system that holds the disks. */
int resources_read(const char *disk_path, const struct resource_factors *factors,
		   struct resources *ret, struct err *err);

/* Adds what an instance holds: the disk always, the rest while it runs. */
void resources_add(struct resources *resources, const struct spec *spec, bool runs);

/* What else is on the disk: memory in standby, volumes, images. */
void resources_add_disk(struct resources *resources, uint64_t bytes);

int resources_admit_disk(const struct resources *resources, uint64_t bytes, struct err *err);

/* ERR_INSUFFICIENT_CAPACITY with the numbers when a new one does not fit. */
int resources_admit(const struct resources *resources, const struct spec *spec, struct err *err);

#endif

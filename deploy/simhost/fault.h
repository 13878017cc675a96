/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is wrong with a function, by order of the control file. Writes meet their faults before
 * and after the model acts (late.h); the few that change how the model itself acts are asked for
 * where it does.
 */

#ifndef SIMHOST_FAULT_H
#define SIMHOST_FAULT_H

#include <stdbool.h>
#include <stdint.h>

/* A write that can have faults, by the file that it goes to. */
enum op {
	OP_NONE,
	OP_CREATE,   /* mdev_supported_types/T/create */
	OP_REMOVE,   /* UUID/remove */
	OP_TYPE,     /* nvidia/current_vgpu_type */
	OP_BIND,     /* drivers/D/bind */
	OP_UNBIND,   /* drivers/D/unbind */
	OP_PROBE,    /* drivers_probe */
	OP_OVERRIDE, /* driver_override */
	OP_RESET,    /* reset */
	OP_COUNT,
};

struct op_faults {
	bool hang;	   /* done, or for remove and unbind half done, but it does not return */
	bool hang_before;  /* it is not even begun */
	bool ignored;	   /* it succeeds, and nothing happens */
	uint32_t eio;	   /* so many fail */
	int64_t busy_till; /* of host_now_ms(): until then it is EBUSY */
};

enum read_fault {
	READ_WELL,
	READ_EIO,
	READ_ENXIO,
	READ_HANG,
};

struct faults {
	struct op_faults ops[OP_COUNT];
	enum read_fault read; /* of every file; a physical function's also on its GPU's others */
	bool lies;	      /* it offers every type, and refuses to create */
	bool plain_list;      /* creatable_vgpu_types has lost its header */
	bool short_list;      /* and shows only so many of what it could: */
	uint32_t list_length;
	uint32_t slow_close_ms; /* how long its node stays busy when it was closed */
};

/* "create", "remove", ...; NULL for OP_NONE. */
const char *op_name(enum op op);

/* The kernel holds the device's lock during these: they wait for an unbind that blocks. */
bool op_takes_lock(enum op op);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What somebody wants: an InstanceSpec that has been checked and completed with the
 * defaults. Past spec_from_wire() nothing checks form again.
 */

#ifndef INSTANCE_SVC_SPEC_H
#define INSTANCE_SVC_SPEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/scoped.h"
#include "hypeman/instance/v1/instance_service.pb-c.h"

#define SPEC_NAME_MAX	    63
#define SPEC_VCPUS_MAX	    255 /* what QEMU's q35 takes without an interrupt remapper */
#define SPEC_MEMORY_MIN	    (UINT64_C(128) << 20)
#define SPEC_MEMORY_MAX	    (UINT64_C(4) << 40)
#define SPEC_OVERLAY_MIN    (UINT64_C(64) << 20)
#define SPEC_OVERLAY_MAX    (UINT64_C(16) << 40) /* ext4 with 4 KiB blocks */
#define SPEC_ARGUMENTS_MAX  256			 /* entrypoint, cmd; environment variables */
#define SPEC_TEXT_BYTES_MAX (128 * 1024)	 /* env, entrypoint and cmd together */
#define SPEC_PROFILE_MAX    64
#define SPEC_DEVICES_MAX    16
#define SPEC_DEVICE_MAX	    63
#define SPEC_DISK_IO_MAX    (UINT64_C(1) << 40)
#define SPEC_VOLUMES_MAX    16 /* as many as the guest takes */
#define SPEC_PATH_MAX	    255
#define SPEC_RATE_MIN	    UINT64_C(64000) /* bits per second: less is no network */
#define SPEC_RATE_MAX	    UINT64_C(1000000000000)
#define SPEC_KERNEL_IMAGE   "image"

struct spec_volume {
	char id[64]; /* or its name, until it is looked up */
	char path[SPEC_PATH_MAX + 1];
	bool read_only;
};

struct spec {
	char *name;
	char *image; /* normalized */
	uint64_t memory_bytes;
	uint64_t overlay_bytes;
	uint32_t vcpus;
	char **env;	   /* "NAME=value", sorted by name; NULL-terminated, as the next two */
	char **entrypoint; /* empty: the image's */
	char **cmd;	   /* empty: the image's */
	bool network;
	uint64_t download_bps, upload_bps; /* bits per second; 0: no limit */
	char *gpu_profile;		   /* NULL: no GPU */
	char **devices;			   /* whole devices, as they were named; NULL-terminated */
	uint64_t hotplug_bytes;		   /* room for memory to grow into */
	uint64_t disk_io_bps;		   /* bytes per second of all writable disks; 0: no limit */
	bool autostart;
	bool image_kernel; /* boots the image's own, not this host's */
	struct spec_volume volumes[SPEC_VOLUMES_MAX];
	size_t volume_count;
};

void spec_free(struct spec *spec);
SCOPED_DEFINE(struct spec *, spec_free);

/* Each refusal names the field as it stands in the JSON, the value, and what is accepted. */
int spec_from_wire(const Hypeman__Instance__V1__InstanceSpec *wire, struct spec **ret,
		   struct err *err);

/* What it takes of gpu-agent: a vGPU counts as one, each device as one. */
uint32_t spec_hold_count(const struct spec *spec);

int spec_copy(const struct spec *spec, struct spec **ret, struct err *err);

/* A copy of the spec with the options of a start in it. */
int spec_with_options(const struct spec *spec, const Hypeman__Instance__V1__StartOptions *options,
		      struct spec **ret, struct err *err);

/* Whether the guest can mount something there; *err is about `field`. */
int spec_check_path(const char *path, const char *field, struct err *err);

/* ---- spec_parts.c: what spec_from_wire() and spec_save() leave to it ---- */

int spec_read_volumes(const Hypeman__Instance__V1__InstanceSpec *wire, struct spec *spec,
		      struct err *err);
int spec_read_rates(const Hypeman__Instance__V1__NetworkSpec *wire, struct spec *spec,
		    struct err *err);

/* The volumes as messages that borrow from the spec. */
struct spec_volume_messages {
	Hypeman__Instance__V1__VolumeMount list[SPEC_VOLUMES_MAX];
	Hypeman__Instance__V1__VolumeMount *pointers[SPEC_VOLUMES_MAX];
};
void spec_volumes_to_wire(const struct spec *spec, struct spec_volume_messages *ret);

/*
 * The spec as bytes for the records: a packed InstanceSpec. *ret is freed by the caller;
 * NULL when out of memory.
 */
void *spec_save(const struct spec *spec, size_t *ret_size);
int spec_load(const void *bytes, size_t size, struct spec **ret, struct err *err);

/*
 * 1 to 63 of a-z, 0-9 and '-', no '-' at the ends, not shaped like an id (so that a request
 * by id can never meet somebody's name) and not "available" (a path of the REST API).
 */
int spec_check_name(const char *name, struct err *err);

#endif

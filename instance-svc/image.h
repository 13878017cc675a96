/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OCI images on this host: skopeo pulls, umoci unpacks in a user namespace with mapped
 * ids, mkfs.erofs makes one read-only disk per image digest. A disk is shared by all
 * instances of that digest and never changes.
 *
 * Store layout under its directory: disks/<digest>.erofs and disks/<digest>.json (both
 * appear by rename when whole), oci/ (layout shared by pulls), work/<pid>-... (removed at
 * start: left by a process that was killed).
 */

#ifndef INSTANCE_SVC_IMAGE_H
#define INSTANCE_SVC_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/scoped.h"

struct image_store;

/* What the image says about its process; NULL-terminated arrays, owned by the image. */
struct image {
	char *reference; /* normalized, "docker.io/nvidia/cuda:12.4-runtime-ubuntu22.04" */
	char *digest;	 /* "sha256:..." of the manifest for this architecture */
	char *disk_path; /* read-only erofs file */
	uint64_t disk_bytes;
	char **entrypoint;
	char **cmd;
	char **env; /* "NAME=value" */
	char *user; /* "", "1000", "www-data:www-data" */
	char *working_dir;
};

void image_free(struct image *image);
SCOPED_DEFINE(struct image *, image_free);

struct image_store_options {
	const char *directory;	   /* exists, owned by us */
	const char *registries_conf; /* NULL: the host's own */
	const char *policy_json;   /* NULL: accept as skopeo's --insecure-policy does */
	const char *auth_file;	   /* NULL: none */
	unsigned concurrent_pulls; /* 0: 2 */
};

/* Removes what an interrupted pull left. */
int image_store_open(const struct image_store_options *options, struct image_store **ret,
		     struct err *err);
void image_store_close(struct image_store *store); /* no pull is running; NULL is fine */

/*
 * Fills in docker.io, library/ and :latest as Docker does and checks the form: at most 255
 * characters, no scheme, no path tricks. Returns 0 with *ret (caller frees), or -1 with
 * *err about `field`.
 */
int image_reference_normalize(const char *text, const char *field, char **ret, struct err *err);

/*
 * The image of a normalized reference, pulled if it is missing. Blocks; callers of the same
 * reference share one pull. Gives up soon after *cancelled becomes true (checked from
 * another thread's writes; killed children leave nothing behind): ERR_CANCELLED.
 */
int image_store_get(struct image_store *store, const char *reference,
		    const volatile bool *cancelled, struct image **ret, struct err *err);

/* Bytes on disk. */
struct image_usage {
	uint64_t disks_bytes;
	uint64_t oci_cache_bytes;
};
void image_store_usage(struct image_store *store, struct image_usage *ret);

#endif

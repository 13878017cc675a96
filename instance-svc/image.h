/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OCI images on this host: skopeo pulls, umoci unpacks in a user namespace with mapped
 * ids, mkfs.erofs makes one read-only disk per image digest. A disk is shared by all
 * instances of that digest and never changes.
 *
 * Store layout under its directory, which it makes:
 *   disks/<digest>.erofs  the disk; there only when whole
 *   disks/<digest>.json   the image's config, as the registry has it
 *   refs/<reference>      a link whose target is the digest that the reference last had;
 *                         "/" in the reference is written as "+"
 *   work/<pid>-XXXXXX/    one pull: OCI layout, unpacked files. Removed when the pull ends,
 *                         or at the next start when instance-svc was killed
 *
 * Our user needs a range of 65536 ids in /etc/subuid and /etc/subgid. Owners from 65536 up
 * are refused; device nodes in images become empty files.
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
	const char *directory;	     /* exists, owned by us; one store uses it at a time */
	const char *registries_conf; /* NULL: the host's own */
	const char *policy_json;     /* NULL: accept as skopeo's --insecure-policy does */
	const char *auth_file;	     /* NULL: none */
	unsigned concurrent_pulls;   /* 0: 2 */
};

/* Removes what an interrupted pull left. The options' texts are copied. */
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
 * The image of a normalized reference, pulled if it is missing. A tag is looked up in its
 * registry each time; when that is down, the digest that the tag last had is used, with a
 * warning in the log. Blocks; callers that need the same digest share one pull, which ends
 * when all of them gave up. Gives up soon after *cancelled becomes true (checked from
 * another thread's writes; killed children leave nothing behind): ERR_CANCELLED. Other
 * reasons: ERR_NOT_FOUND, ERR_UNAVAILABLE (the registry), ERR_FAILED_PRECONDITION (wrong
 * architecture, digest mismatch, credentials, no subordinate ids), ERR_INSUFFICIENT_CAPACITY
 * (disk full); the message names the step.
 */
int image_store_get(struct image_store *store, const char *reference,
		    const volatile bool *cancelled, struct image **ret, struct err *err);

/* Bytes on disk. */
struct image_usage {
	uint64_t disks_bytes;
	uint64_t oci_cache_bytes; /* layouts of pulls in progress: none is kept */
};
void image_store_usage(struct image_store *store, struct image_usage *ret);

#endif

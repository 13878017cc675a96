/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OCI images on this host: skopeo pulls, tar lists the layers before umoci unpacks them in a
 * user namespace with mapped ids, mkfs.erofs makes one read-only disk per image digest. A
 * disk is shared by all instances of that digest and never changes; it is removed when no
 * reference means it and no instance needs it any more.
 *
 * Store layout under its directory, which it makes:
 *   disks/<digest>.erofs  the disk; there only when whole
 *   disks/<digest>.json   the image's config, as the registry has it
 *   disks/<digest>.*      the image's own kernel (image_kernel.h)
 *   refs/<reference>      what is known of a reference (image_record.h)
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
	struct image_store *store; /* borrowed; NULL: none. While it lives its disk stays */
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

#define IMAGE_UNPACKED_DEFAULT (UINT64_C(64) << 30)

struct image_store_options {
	const char *directory;	     /* exists, owned by us; one store uses it at a time */
	const char *registries_conf; /* NULL: the host's own */
	const char *policy_json;     /* NULL: accept as skopeo's --insecure-policy does */
	const char *auth_file;	     /* NULL: none */
	const char *guest_tools;     /* folder of image-kernel; NULL: no image's kernel is taken */
	unsigned concurrent_pulls;   /* 0: 2 */
	uint64_t unpacked_max;	     /* bytes that an image may take; 0: the default */
};

/*
 * Removes what an interrupted pull left, and takes up again what was asked for. The
 * options' texts are copied.
 */
int image_store_open(const struct image_store_options *options, struct image_store **ret,
		     struct err *err);

/* Lets go of pulls that nobody waits for: they begin again at the next start. */
void image_store_interrupt(struct image_store *store); /* NULL is fine, as below */
void image_store_close(struct image_store *store);     /* nobody waits for an image any more */

/*
 * Fills in docker.io, library/ and :latest as Docker does and checks the form: at most 255
 * characters, no scheme, no path tricks. Returns 0 with *ret (caller frees), or -1 with
 * *err about `field`.
 */
int image_reference_normalize(const char *text, const char *field, char **ret, struct err *err);

/*
 * The image of a normalized reference, pulled if it is missing; one that is here is not
 * looked up again. Blocks; callers that need the same reference share one pull, which ends
 * when all of them gave up. Gives up soon after *cancelled becomes true (checked from
 * another thread's writes; killed children leave nothing behind): ERR_CANCELLED. Other
 * reasons: ERR_NOT_FOUND, ERR_UNAVAILABLE (the registry), ERR_FAILED_PRECONDITION (wrong
 * architecture, digest mismatch, credentials, no subordinate ids, too large),
 * ERR_INSUFFICIENT_CAPACITY (disk full); the message names the step.
 */
int image_store_get(struct image_store *store, const char *reference,
		    const volatile bool *cancelled, struct image **ret, struct err *err);

/* The image that an instance began with, by its digest: ERR_NOT_FOUND when it is gone. */
int image_store_load(struct image_store *store, const char *reference, const char *digest,
		     struct image **ret, struct err *err);

/*
 * Whether an instance can boot the image's own kernel: ERR_FAILED_PRECONDITION says why not.
 * Nothing is said of an image that is not here yet.
 */
int image_store_check_kernel(struct image_store *store, const char *reference, struct err *err);

/* ---- The list ---- */

/* The numbers are those of hypeman.image.v1.ImageStatus. */
enum image_status {
	IMAGE_PENDING = 1,
	IMAGE_PULLING = 2,
	IMAGE_CONVERTING = 3,
	IMAGE_READY = 4,
	IMAGE_FAILED = 5,
};

/* As far as it is known; zeros before. */
struct image_progress {
	uint32_t layers_done, layers_total;
	uint64_t bytes_done, bytes_total; /* as transferred */
};

struct image_info {
	char reference[256];
	char digest[80]; /* empty: not known yet */
	enum image_status status;
	char error[ERR_MESSAGE_MAX]; /* FAILED */
	int64_t created_ms;
	unsigned queue_position; /* 1: the next; 0: not waiting */
	struct image_progress progress;
};

/*
 * Asks for an image without waiting. One that is here stays ready; a tag is looked up in its
 * registry, and replaced when it means another image now. One that failed is tried again.
 */
int image_store_request(struct image_store *store, const char *reference, struct err *err);

/* ERR_IMAGE_NOT_FOUND. */
int image_store_describe(struct image_store *store, const char *reference, struct image_info *ret,
			 struct err *err);

/* Up to `limit` images whose name is greater than `after`, sorted. Caller frees *ret. */
int image_store_list(struct image_store *store, const char *after, size_t limit,
		     struct image_info **ret, size_t *ret_count, bool *ret_more, struct err *err);

/*
 * Forgets the reference, ends its pull, and removes its disk with its last reference.
 * ERR_IMAGE_NOT_FOUND; ERR_IMAGE_IN_USE names an instance.
 */
int image_store_delete(struct image_store *store, const char *reference, struct err *err);

/*
 * Who needs images: asked from any thread. `uses` answers for one digest, or, with a
 * reference, for those that still wait for that reference too, and writes the name of one who
 * does. It may not come back to the store. Set to zeros again before they go: afterwards
 * nobody is asked.
 */
struct image_users {
	bool (*uses)(void *user, const char *reference, const char *digest, char name[64]);
	void *user;
};
void image_store_set_users(struct image_store *store, const struct image_users *users);

/* Removes the disks that nobody needs; nothing before image_store_set_users(). */
void image_store_collect(struct image_store *store);

/* What happens to images, as it happens; called with a lock held: it must not come back. */
enum image_event {
	IMAGE_EVENT_PROGRESS,
	IMAGE_EVENT_READY,
	IMAGE_EVENT_FAILED,
	IMAGE_EVENT_DELETED,
};

struct image_news {
	enum image_event event;
	const char *reference;
	struct image_progress progress;
	const char *error; /* FAILED */
};

struct image_observer {
	void (*tell)(void *user, const struct image_news *news);
	void *user;
};
void image_store_set_observer(struct image_store *store, const struct image_observer *observer);

/* Bytes on disk. */
struct image_usage {
	uint64_t disks_bytes;
	uint64_t oci_cache_bytes; /* layouts of pulls in progress: none is kept */
};
void image_store_usage(struct image_store *store, struct image_usage *ret);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A folder for one pull, WORK/<pid>-XXXXXX, and what may go on in it.
 *
 * Every tool that touches a stranger's bytes runs in a jail: bubblewrap with the host's /usr
 * read only, this folder as /work, no other file, and no process, IPC or (but for the
 * download) network of ours. Those that need the image's owners run as root of a user
 * namespace made of our subordinate ids. Each dies with us.
 *
 * The jail holds the folder's lock open, so that the folder is never removed under it, not
 * even by the next instance-svc after ours was killed.
 */

#ifndef INSTANCE_SVC_IMAGE_WORK_H
#define INSTANCE_SVC_IMAGE_WORK_H

#include <stdbool.h>

#include "common/err.h"
#include "image.h"
#include "process.h"

struct image_work {
	char *path; /* owned; the folder, 0700 */
	int lock;   /* owned; held locked while the folder is in use */
};

enum image_jail {
	IMAGE_JAIL_DOWNLOAD, /* has the host's network, its resolver and CA certificates */
	IMAGE_JAIL_OWNERS,   /* root of the image's ids; no network */
	IMAGE_JAIL_LOOK,     /* reads the folder, and no more */
};

struct image_jail_run {
	enum image_jail jail;
	const char *const *argv; /* ends with NULL; paths as seen inside: /work/... */
	const struct image_store_options *options;
	bool tools;			/* /tools is the guest tools of the options */
	const volatile bool *cancelled; /* may be NULL */
	int timeout_ms;
	size_t out_bytes;			  /* of output kept */
	int (*look)(void *user, struct err *err); /* as of process_limits; may be NULL */
	void *look_user;
};

/* Where the options' files appear in a download jail. */
#define IMAGE_JAIL_REGISTRIES "/config/registries.conf"
#define IMAGE_JAIL_POLICY     "/config/policy.json"
#define IMAGE_JAIL_AUTH	      "/config/auth.json"

int image_work_open(const char *parent, struct image_work *ret, struct err *err);

/* As process_run(). */
int image_work_run(const struct image_work *work, const struct image_jail_run *run,
		   struct process_result *ret, struct err *err);

/* As process_start(), with the output to `out`; of *run only jail, argv and options count. */
int image_work_start(const struct image_work *work, const struct image_jail_run *run, int out,
		     struct process *ret, struct err *err);

/* Waits for the jails to be gone and removes the folder with all in it; logs when it cannot. */
void image_work_close(struct image_work *work, const struct image_store_options *options);

/* The same for every folder that somebody left in `parent`. */
void image_work_sweep(const char *parent, const struct image_store_options *options);

#endif

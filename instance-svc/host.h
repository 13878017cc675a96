/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this host offers to VMs, found out once at start: which ids they may have, how they
 * are accelerated, whether they can have a network.
 */

#ifndef INSTANCE_SVC_HOST_H
#define INSTANCE_SVC_HOST_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/err.h"
#include "kernels.h"
#include "layout.h"

/* Subordinate ids that VMs get, one each. */
struct host_ids {
	uint32_t first;
	uint32_t count;
};

struct host {
	struct layout layout;
	const char *supervisor;		  /* absolute paths, borrowed */
	char kernel[KERNEL_NAME_MAX + 1]; /* of new instances: a name of kernels.h */
	struct host_ids uids, gids;
	bool kvm;
	char machine[64];	   /* what QEMU's alias "q35" stands for: "pc-q35-7.2" */
	uint64_t lock_limit;	   /* bytes that a VM may lock */
	char network_problem[256]; /* why VMs cannot have a network, and the fix; empty: they can */
};

/* The images' share of our subordinate range; what comes after it is for VMs. */
#define HOST_IMAGE_IDS 65536

/*
 * Finds our range in a file of the form of /etc/subuid. `setting` is "FIRST-COUNT", which
 * must lie within it and after the images' share, or empty: all that comes after it.
 */
int host_read_ids(const char *file, const char *user, uid_t uid, const char *setting_name,
		  const char *setting, struct host_ids *ret, struct err *err);

/* A VM's own user must be able to reach the file: every folder above it is open to all. */
int host_check_open_to_all(const char *path, const char *setting_name, bool executable,
			   struct err *err);

/* Fills host->network_problem. `tun` is /dev/net/tun. */
void host_check_network(struct host *host, const char *tun);

uid_t host_uid(const struct host *host, uint32_t slot);
gid_t host_gid(const struct host *host, uint32_t slot);
uint32_t host_slots(const struct host *host);

#endif

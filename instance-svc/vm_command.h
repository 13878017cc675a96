/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command lines of one VM: pure functions from values to argv.
 *
 * The chain, outermost first (each user namespace maps the VM's one uid and gid only):
 *
 *   user namespace -> bubblewrap -> QEMU             no network, no other file, no /proc
 *   user namespace -> pasta -> guard -> passt        the other end of QEMU's network socket
 *
 * passt alone would let a guest reach the host's loopback. So it runs in a network
 * namespace of its own that pasta connects to the outside with nothing mapped to the
 * host, and where the guard has made the host's own addresses and the metadata address
 * unreachable.
 */

#ifndef INSTANCE_SVC_VM_COMMAND_H
#define INSTANCE_SVC_VM_COMMAND_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "gpu_lease.h"
#include "id.h"
#include "spec.h"
#include "vm_memory.h"

/* What the guest is given; the addresses of every VM are the same, on a link of its own. */
#define VM_GUEST_ADDRESS "10.0.2.15"
#define VM_GUEST_PREFIX	 24
#define VM_GUEST_NETMASK "255.255.255.0"
#define VM_GUEST_GATEWAY "10.0.2.2"
#define VM_GUEST_DNS	 "10.0.2.3"

struct vm_plan {
	const char *name;
	const char *id;
	const char *uuid;
	uint32_t vcpus;
	uint64_t memory_bytes;
	uint64_t hotplug_bytes; /* more that it may grow by */
	struct vm_memory memory;
	uint64_t disk_io_bps; /* 0: no limit */
	const struct spec_volume *volumes;
	size_t volume_count;
	uint64_t download_bps, upload_bps; /* bits per second; 0: no limit */
	const char *machine; /* "pc-q35-7.2": not the alias, which changes with QEMU */
	bool restore;	     /* its memory comes from a file, which the supervisor has */
	bool kvm;
	const char *kernel;    /* absolute, may be read by everyone */
	const char *initramfs; /* the same */
	bool network;
	const char *host_addresses;	       /* what the guard closes: guard_list_host() */
	const struct gpu_lease *const *leases; /* what the VM gets of gpu-agent */
	size_t lease_count;
	const char *supervisor; /* absolute path of instance-supervisor: the guard */
};

/* bubblewrap and, inside, QEMU. *ret: owned by the caller (strv_free). */
int vm_command_jail(const struct vm_plan *plan, char ***ret, struct err *err);

/* pasta, the guard and passt; an empty list without a network. */
int vm_command_network(const struct vm_plan *plan, char ***ret, struct err *err);

#endif

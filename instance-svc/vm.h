/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The VM of an instance, as this process sees it: through its supervisor, which may have
 * been started by an earlier life of this process.
 *
 * The lock file decides whether a supervisor is left: it is locked before the supervisor is
 * forked and until the supervisor has gone, so there is no moment between.
 */

#ifndef INSTANCE_SVC_VM_H
#define INSTANCE_SVC_VM_H

#include <stdbool.h>

#include "common/err.h"
#include "host.h"
#include "image.h"
#include "process.h"
#include "records.h"
#include "spec.h"
#include "supervisor/protocol.h"

/* Starts the supervisor. Its disks are in place. *ret: for process_wait(). */
int vm_launch(const struct host *host, const struct record *record, const struct spec *spec,
	      const char *image_disk, struct process *ret, struct err *err);

/* A supervisor exists, or is about to. */
bool vm_is_present(const struct host *host, const struct id *id);

/*
 * When a supervisor has gone without a last word: ends every process of the VM's user, of
 * which there should be none. What cannot be done is logged.
 */
void vm_sweep(const struct host *host, const struct record *record);

/* Connects and asks to be told of changes. A descriptor, or -errno. */
int vm_connect(const struct host *host, const struct id *id);

/*
 * Connects to the port of the guest's agent, which has one connection at a time: further ones
 * wait. The other end is QEMU and the guest: not to be trusted. A descriptor that does not
 * block, or -errno.
 */
int vm_connect_agent(const struct host *host, const struct id *id);

/* The next word on the connection. 1 with *ret, 0 at its end; -errno for what is no status. */
int vm_read_status(int fd, struct control_status *ret);

/* On a connection of its own. 0, or -errno. */
int vm_read_stats(const struct host *host, const struct id *id, struct control_stats *ret);

/* 0, or -errno. */
int vm_ask_to_stop(int fd, uint32_t grace_ms);

/*
 * Its memory to the disk, for which `bytes` are reserved, and the VM's end. The status tells
 * a refusal; the guest goes on then.
 */
int vm_ask_for_standby(int fd, uint64_t bytes);

/* Size of the memory that a restore would take; 0: there is none. */
uint64_t vm_snapshot_bytes(const struct host *host, const struct id *id);

/* Before a new start: the last word of the one before is void. */
void vm_forget_exit(const struct host *host, const struct id *id);

/* The last word of the supervisor. -ENOENT: it left none. Its text is valid UTF-8. */
int vm_read_exit(const struct host *host, const struct id *id, struct vm_exit *ret);

#endif

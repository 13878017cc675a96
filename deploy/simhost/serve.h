/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host as a FUSE file system.
 *
 * Device nodes are regular files: a FUSE mount with device numbers would reach whatever the
 * machine has under them. They can be opened (which is what counts as holding them), owned and
 * closed; reads, writes and ioctls fail.
 *
 * One thread serves all requests and never blocks. A write that the kernel would block in keeps
 * its request unanswered, others go on. A signal does not end such a write, as it would not in
 * the kernel: the writer sleeps until the operation is over, killed or not. So with reads.
 */

#ifndef SIMHOST_SERVE_H
#define SIMHOST_SERVE_H

#include "host.h"

/*
 * Mounts at dir, prints "ready" on stdout, and serves until SIGTERM or SIGINT (0) or until
 * somebody unmounts (0). Nothing is mounted when it returns; writes that are still kept back
 * have failed with ENODEV.
 */
int serve_run(struct host *host, const char *dir, struct err *err);

#endif

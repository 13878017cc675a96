/* SPDX-License-Identifier: Apache-2.0 */
/* Who is calling: a FUSE request names a thread, rules ask for the process. */

#ifndef SIMHOST_PROCESS_H
#define SIMHOST_PROCESS_H

#include "host.h"

/* From /proc. A thread that is gone, or in a pid namespace we do not see, is taken as it is. */
struct process process_of_thread(pid_t thread);

#endif

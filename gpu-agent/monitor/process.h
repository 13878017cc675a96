/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking through /proc at what every process has open.
 *
 * A process that ends meanwhile is passed over. One that cannot be looked at is told, so that who
 * must decide by this can refuse.
 */

#ifndef GPU_AGENT_MONITOR_PROCESS_H
#define GPU_AGENT_MONITOR_PROCESS_H

#include <stdbool.h>
#include <sys/stat.h>

#include "gpu-agent/ops.h"

struct process {
	int dir;	 /* /proc/PID, O_PATH */
	const char *pid; /* borrowed */
};

/*
 * Calls visit for each process but this one, until it returns non-zero, which is returned. 0, or
 * -errno when /proc cannot be read.
 */
int process_each(int (*visit)(void *context, const struct process *process), void *context);

/* For each descriptor; fds is the directory that name is in. 0, what visit said, or -errno. */
int process_each_fd(const struct process *process,
		    int (*visit)(void *context, const struct process *process, int fds,
				 const char *name),
		    void *context);

/* For each mapping of a file. The text is /proc/PID/maps's, "" for what is not there. */
struct process_map {
	unsigned major, minor; /* of the file system */
	uint64_t inode;
	const char *path;
};
int process_each_map(const struct process *process,
		     int (*visit)(void *context, const struct process_map *map), void *context);

/* Whether an error of the calls above means that the process has ended. */
bool process_has_ended(int error);

void process_describe(const struct process *process, bool certain, struct op_holder *ret);

/*
 * The type, inode and device of a file. A descriptor may be on a network or FUSE file system
 * whose server does not answer: it is not asked, for all this is known without.
 */
int process_stat(int dir, const char *name, int flags, struct statx *ret);

/*
 * The same of a descriptor: 1; 0 when it is closed by now, or is on a file system of a user's own
 * (FUSE), which holds no device nodes; or -errno when it cannot be looked at.
 */
int process_stat_fd(int fds, const char *name, struct statx *ret);

/* A node may have another name in a container: a real one is known by its device number. */
bool process_is_same_node(const struct statx *a, const struct statx *b);

#endif

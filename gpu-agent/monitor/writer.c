/* SPDX-License-Identifier: Apache-2.0 */
#include "writer.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "common/scoped.h"

/* State and start time of a process; -ENOENT: there is none. */
static int read_stat(int32_t pid, char *ret_state, uint64_t *ret_start)
{
	char path[32], text[1024];
	scoped_fd int fd = -1;
	const char *after;
	ssize_t length;

	snprintf(path, sizeof(path), "/proc/%" PRId32 "/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	length = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (length < 0)
		return errno == ESRCH ? -ENOENT : -errno;
	text[length] = '\0';
	/* The name, field 2, may hold spaces and parentheses; the start time is field 22. */
	after = strrchr(text, ')');
	if (!after || sscanf(after,
			     ") %c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
			     "%*s %*s %" SCNu64,
			     ret_state, ret_start) != 2)
		return -EINVAL;
	return 0;
}

int writer_self(struct writer *ret)
{
	struct writer writer = { .pid = getpid() };
	char state;
	int r = read_stat(writer.pid, &state, &writer.start);

	if (r == 0)
		*ret = writer;
	return r;
}

bool writer_is_alive(struct writer writer)
{
	uint64_t start;
	char state;
	int r = read_stat(writer.pid, &state, &start);

	if (r < 0)
		return r != -ENOENT;
	return start == writer.start && state != 'Z' && state != 'X';
}

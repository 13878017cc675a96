/* SPDX-License-Identifier: Apache-2.0 */
#include "process_id.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/scoped.h"

/* The first line of a small file, without its end. */
static int read_line(const char *path, char *text, size_t size)
{
	scoped_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, text, size - 1);
	if (n < 0)
		return -errno;
	text[n] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return 0;
}

static int read_start_ticks(pid_t pid, uint64_t *ret)
{
	char path[64], text[1024], state;
	const char *after_name;
	unsigned long long ticks;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if (read_line(path, text, sizeof(text)) < 0)
		return -ESRCH;
	after_name = strrchr(text, ')'); /* the name may hold anything, ')' included */
	if (!after_name ||
	    sscanf(after_name + 1,
		   " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d "
		   "%llu",
		   &state, &ticks) != 2)
		return -EIO;
	if (state == 'Z' || state == 'X')
		return -ESRCH;
	*ret = ticks;
	return 0;
}

static int read_boot_id(struct uuid_text *ret)
{
	int r = read_line("/proc/sys/kernel/random/boot_id", ret->s, sizeof(ret->s));

	if (r < 0)
		return r;
	return uuid_is_valid(ret->s) ? 0 : -EIO;
}

int process_id_of(pid_t pid, struct process_id *ret)
{
	struct process_id id = { .pid = pid };
	int r = read_start_ticks(pid, &id.start_ticks);

	if (r == 0)
		r = read_boot_id(&id.boot_id);
	if (r == 0)
		*ret = id;
	return r;
}

bool process_id_is_alive(const struct process_id *id)
{
	struct process_id now;

	return id->pid > 0 && process_id_of(id->pid, &now) == 0 &&
	       now.start_ticks == id->start_ticks && strcmp(now.boot_id.s, id->boot_id.s) == 0;
}

int process_id_kill(const struct process_id *id, int signal)
{
	scoped_fd int pidfd = -1;

	if (id->pid <= 0)
		return -ESRCH;
	pidfd = (int)syscall(SYS_pidfd_open, id->pid, 0);
	if (pidfd < 0)
		return -errno;
	if (!process_id_is_alive(id))
		return -ESRCH;
	return syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0) < 0 ? -errno : 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "guests_stop.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/scoped.h"
#include "supervisor/protocol.h"

/* One connection to each supervisor; it is closed by the other side when the VM has ended. */
struct guests {
	struct pollfd *fds; /* owned, and the descriptors in it */
	size_t count;
};

static void guests_done(struct guests guests)
{
	for (size_t i = 0; i < guests.count; i++)
		if (guests.fds[i].fd >= 0)
			close(guests.fds[i].fd);
	free(guests.fds);
}
SCOPED_DEFINE(struct guests, guests_done);

/* A socket that nobody listens on is what an ended VM left: no guest. */
static int ask(const char *directory, const char *name, uint32_t grace_ms, struct guests *guests)
{
	const struct control_request request = {
		.version = SUPERVISOR_PROTOCOL_VERSION,
		.kind = CONTROL_STOP,
		.grace_ms = grace_ms,
		.host_down = 1,
	};
	scoped_fd int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct pollfd *fds;

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s", directory, name);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
	    send(fd, &request, sizeof(request), MSG_NOSIGNAL) < 0)
		return 0;
	fds = realloc(guests->fds, (guests->count + 1) * sizeof(*fds));
	if (!fds)
		return -ENOMEM;
	guests->fds = fds;
	fds[guests->count++] = (struct pollfd){ .fd = TAKE_FD(fd), .events = POLLIN };
	return 0;
}

static int ask_all(const char *run_dir, uint32_t grace_ms, struct guests *guests, struct err *err)
{
	static const char suffix[] = ".sock";
	char directory[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	scoped_dir DIR *dir = NULL;
	const struct dirent *entry;

	snprintf(directory, sizeof(directory), "%s/vm", run_dir);
	dir = opendir(directory);
	if (!dir)
		return errno == ENOENT ? 0 : err_sys(err, errno, "cannot look into %s", directory);
	while ((entry = readdir(dir))) {
		size_t length = strlen(entry->d_name);
		int r;

		if (length < sizeof(suffix) ||
		    strcmp(entry->d_name + length + 1 - sizeof(suffix), suffix) != 0)
			continue;
		r = ask(directory, entry->d_name, grace_ms, guests);
		if (r < 0)
			return err_sys(err, r, "cannot ask the guest of %s", entry->d_name);
	}
	return 0;
}

/* Reads away what the supervisors tell. Returns how many are left. */
static size_t wait_some(struct guests *guests, int timeout_ms)
{
	struct control_status status;
	size_t left = 0;
	int ready = poll(guests->fds, guests->count, timeout_ms);

	for (size_t i = 0; i < guests->count; i++) {
		struct pollfd *guest = &guests->fds[i];

		if (ready > 0 && guest->fd >= 0 && guest->revents &&
		    recv(guest->fd, &status, sizeof(status), 0) <= 0) {
			close(guest->fd);
			guest->fd = -1;
		}
		left += guest->fd >= 0;
	}
	return left;
}

int guests_stop(const char *run_dir, uint32_t grace_ms, int timeout_ms, size_t *ret_count,
		struct err *err)
{
	scoped(guests_done) struct guests guests = { 0 };
	int64_t deadline = clock_monotonic_ms() + timeout_ms, left_ms;
	size_t left;

	if (ask_all(run_dir, grace_ms, &guests, err) < 0)
		return -1;
	*ret_count = left = guests.count;
	while (left > 0) {
		left_ms = deadline - clock_monotonic_ms();
		if (left_ms <= 0)
			return err_set(err, ERR_OUTCOME_UNKNOWN,
				       "%zu of %zu guests have not ended within %d s", left,
				       guests.count, timeout_ms / 1000);
		left = wait_some(&guests, (int)left_ms);
	}
	return 0;
}

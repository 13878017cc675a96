/* SPDX-License-Identifier: Apache-2.0 */
#include "uevents.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <libudev.h>

#include "common/log.h"

#define MESSAGE_MAX 8192 /* the kernel's are at most 2048 bytes and a path */
#define BATCH_MAX   256	 /* taken at once; then it is looked whether the end has come */
#define SETTLE_MS   100	 /* a change comes as several events, which share one scan */

struct uevents {
	struct uevents_options options;
	struct udev *udev;
	struct udev_monitor *monitor; /* NULL: the kernel is not listened to */
	int socket;		      /* -1 */
};

const char *const uevents_subsystems[] = { "pci", "mdev", "vfio", "vfio-dev", NULL };

/* ---- The kernel ---------------------------------------------------------------------- */

static int listen_to_kernel(struct uevents *uevents)
{
	struct udev_monitor *monitor;

	errno = ENOMEM; /* libudev sets it in most cases */
	uevents->udev = udev_new();
	if (!uevents->udev)
		return -errno;
	monitor = uevents->monitor = udev_monitor_new_from_netlink(uevents->udev, "kernel");
	if (!monitor)
		return -errno;
	for (const char *const *name = uevents->options.subsystems; *name; name++) {
		int r = udev_monitor_filter_add_match_subsystem_devtype(monitor, *name, NULL);

		if (r < 0)
			return r;
	}
	return udev_monitor_enable_receiving(monitor);
}

static void close_kernel(struct uevents *uevents)
{
	uevents->monitor = udev_monitor_unref(uevents->monitor);
	uevents->udev = udev_unref(uevents->udev);
}

/* What the socket had no room for may have mattered. */
static bool take_from_kernel(struct uevents *uevents)
{
	bool matters = false;

	for (int i = 0; i < BATCH_MAX; i++) {
		struct udev_device *device;

		errno = 0;
		device = udev_monitor_receive_device(uevents->monitor);
		if (!device)
			return matters || errno == ENOBUFS;
		udev_device_unref(device);
		matters = true;
	}
	return matters;
}

/* ---- The socket ---------------------------------------------------------------------- */

static int listen_at(struct uevents *uevents, struct err *err)
{
	const char *path = uevents->options.socket;
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	scoped_fd int fd = -1;

	if (strlen(path) >= sizeof(address.sun_path))
		return err_field(err, "uevent-socket",
				 "uevent-socket is '%s', must be a path of at most %zu bytes", path,
				 sizeof(address.sun_path) - 1);
	strcpy(address.sun_path, path);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_sys(err, errno, "cannot make a socket");
	(void)unlink(path); /* of an earlier run: the database's lock lets only one run at a time */
	if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return err_sys(err, errno, "cannot take events at %s", path);
	uevents->socket = TAKE_FD(fd);
	return 0;
}

/* "add@/devices/...", then "KEY=value", each with its NUL. */
bool uevents_matters(const char *message, size_t size, const char *const *subsystems)
{
	static const char key[] = "SUBSYSTEM=";
	const char *end = message + size;

	if (size == 0 || end[-1] != '\0')
		return false;
	for (const char *text = message; text < end; text += strlen(text) + 1) {
		if (strncmp(text, key, sizeof(key) - 1) != 0)
			continue;
		for (const char *const *name = subsystems; *name; name++)
			if (strcmp(text + sizeof(key) - 1, *name) == 0)
				return true;
	}
	return false;
}

static bool take_from_socket(struct uevents *uevents)
{
	bool matters = false;
	char message[MESSAGE_MAX];

	for (int i = 0; i < BATCH_MAX; i++) {
		ssize_t size = recv(uevents->socket, message, sizeof(message), 0);

		if (size < 0)
			break;
		matters |= uevents_matters(message, (size_t)size, uevents->options.subsystems);
	}
	return matters;
}

/* ---- Both ---------------------------------------------------------------------------- */

int uevents_open(const struct uevents_options *options, struct uevents **ret, struct err *err)
{
	scoped(uevents_close) struct uevents *uevents = calloc(1, sizeof(*uevents));
	int r;

	if (!uevents)
		return err_sys(err, ENOMEM, "cannot listen for events");
	uevents->options = *options;
	uevents->socket = -1;
	r = options->kernel ? listen_to_kernel(uevents) : 0;
	if (r < 0) {
		close_kernel(uevents);
		log_warning(
			"cannot listen to the kernel's events: %s; what others do to this host is "
			"seen by the next scan",
			strerror(-r));
	}
	if (options->socket && listen_at(uevents, err))
		return -1;
	*ret = TAKE_PTR(uevents);
	return 0;
}

void uevents_close(struct uevents *uevents)
{
	if (!uevents)
		return;
	close_kernel(uevents);
	if (uevents->socket >= 0) {
		close(uevents->socket);
		(void)unlink(uevents->options.socket);
	}
	free(uevents);
}

bool uevents_wait(struct uevents *uevents, int stop_fd)
{
	struct pollfd pollfds[] = {
		{ .fd = stop_fd, .events = POLLIN },
		{ .fd = -1, .events = POLLIN },
		{ .fd = uevents->socket, .events = POLLIN },
	};
	bool matters = false;

	if (uevents->monitor)
		pollfds[1].fd = udev_monitor_get_fd(uevents->monitor);
	while (!matters) {
		if (poll(pollfds, 3, -1) < 0) {
			if (errno == EINTR)
				continue;
			return false;
		}
		if (pollfds[0].revents)
			return false;
		if (pollfds[1].revents)
			matters |= take_from_kernel(uevents);
		if (pollfds[2].revents)
			matters |= take_from_socket(uevents);
	}
	return true;
}

void *uevents_thread(void *argument)
{
	const struct uevents_watch *watch = argument;
	struct agent *agent = watch->agent;

	while (uevents_wait(watch->uevents, agent->stop_fd)) {
		pthread_mutex_lock(&agent->lock);
		(void)agent_request_scan_locked(agent, SETTLE_MS);
		pthread_mutex_unlock(&agent->lock);
	}
	return NULL;
}

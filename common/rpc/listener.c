/* SPDX-License-Identifier: Apache-2.0 */
#include "listener.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "common/scoped.h"

#define BACKLOG	   128
#define NEW_SUFFIX ".new"

static int take_lock(struct listener *listener, const char *path, struct err *err)
{
	scoped_free char *lock_path = NULL;
	scoped_fd int fd = -1;

	if (asprintf(&lock_path, "%s.lock", path) < 0)
		return err_sys(err, ENOMEM, "cannot lock %s", path);
	fd = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_sys(err, errno, "cannot open %s", lock_path);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno == EWOULDBLOCK)
			return err_set(err, ERR_FAILED_PRECONDITION,
				       "another server is running at %s (it holds %s)", path,
				       lock_path);
		return err_sys(err, errno, "cannot lock %s", lock_path);
	}
	listener->lock_fd = TAKE_FD(fd);
	return 0;
}

/* Whether somebody answers who does not keep the lock's rule. */
static bool is_alive(const struct sockaddr_un *address)
{
	scoped_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return false;
	return connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 ||
	       errno == EAGAIN;
}

/* What lies at the path may be replaced: nothing, or a socket that nobody serves. */
static int check_old(const struct sockaddr_un *address, struct err *err)
{
	const char *path = address->sun_path;
	struct stat st;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : err_sys(err, errno, "cannot look at %s", path);
	if (!S_ISSOCK(st.st_mode))
		return err_set(err, ERR_FAILED_PRECONDITION,
			       "%s exists and is not a socket: remove it or use another path",
			       path);
	if (is_alive(address))
		return err_set(err, ERR_FAILED_PRECONDITION, "another server answers at %s", path);
	return 0;
}

/* Binds at `temporary` and moves the socket to `path` once it can serve. */
static int bind_socket(struct listener *listener, const struct sockaddr_un *temporary,
		       const char *path, mode_t mode, struct err *err)
{
	scoped_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct stat st;

	if (fd < 0)
		return err_sys(err, errno, "cannot make a socket");
	(void)unlink(temporary->sun_path); /* of a process that died here */
	if (bind(fd, (const struct sockaddr *)temporary, sizeof(*temporary)) < 0)
		return err_sys(err, errno, "cannot bind a socket at %s", path);
	if (chmod(temporary->sun_path, mode) < 0 || listen(fd, BACKLOG) < 0 ||
	    lstat(temporary->sun_path, &st) < 0 || rename(temporary->sun_path, path) < 0) {
		err_sys(err, errno, "cannot listen at %s", path);
		(void)unlink(temporary->sun_path);
		return -1;
	}
	listener->device = st.st_dev;
	listener->inode = st.st_ino;
	listener->fd = TAKE_FD(fd);
	return 0;
}

int listener_open(struct listener *listener, const char *path, mode_t mode, struct err *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct sockaddr_un temporary = { .sun_family = AF_UNIX };

	*listener = LISTENER_CLOSED;
	if (path[0] != '/' || strlen(path) + sizeof(NEW_SUFFIX) > sizeof(address.sun_path))
		return err_field(err, "socket",
				 "socket is '%s', must be an absolute path of at most %zu bytes",
				 path, sizeof(address.sun_path) - sizeof(NEW_SUFFIX));
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	snprintf(temporary.sun_path, sizeof(temporary.sun_path), "%s" NEW_SUFFIX, path);

	listener->path = strdup(path);
	if (!listener->path)
		return err_sys(err, ENOMEM, "cannot listen at %s", path);
	if (take_lock(listener, path, err) || check_old(&address, err) ||
	    bind_socket(listener, &temporary, path, mode, err)) {
		listener_close(listener);
		return -1;
	}
	return 0;
}

void listener_close(struct listener *listener)
{
	struct stat st;

	if (listener->fd >= 0) {
		if (lstat(listener->path, &st) == 0 && st.st_dev == listener->device &&
		    st.st_ino == listener->inode)
			(void)unlink(listener->path);
		close(listener->fd);
	}
	if (listener->lock_fd >= 0)
		close(listener->lock_fd);
	free(listener->path);
	*listener = LISTENER_CLOSED;
}

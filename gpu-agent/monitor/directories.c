/* SPDX-License-Identifier: Apache-2.0 */
#include "directories.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#include "common/scoped.h"

#define LOCK_TRIES    20
#define LOCK_PAUSE_MS 100

static int make_parents(char *path)
{
	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		int r;

		*slash = '\0';
		r = mkdir(path, 0755) < 0 && errno != EEXIST ? -errno : 0;
		*slash = '/';
		if (r < 0)
			return r;
	}
	return 0;
}

static int prepare(const char *setting, const char *path, uid_t uid, gid_t gid, mode_t mode,
		   struct err *err)
{
	scoped_free char *copy = strdup(path);
	scoped_fd int fd = -1;
	struct stat st;
	int r = copy ? make_parents(copy) : -ENOMEM;

	if (r == 0 && mkdir(path, mode) < 0 && errno != EEXIST)
		r = -errno;
	if (r < 0)
		return err_sys(err, r, "cannot make the directory %s of %s", path, setting);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(err, errno, "cannot open the directory %s of %s", path, setting);
	if (st.st_uid == uid)
		return 0;
	if (st.st_uid != 0)
		return err_field(err, setting,
				 "the directory %s of %s belongs to user %u, must be user %u's",
				 path, setting, st.st_uid, uid);
	if (fchmod(fd, mode) < 0 || fchown(fd, uid, gid) < 0)
		return err_sys(err, errno, "cannot give the directory %s of %s to user %u", path,
			       setting, uid);
	return 0;
}

int directories_prepare(const struct settings *settings, struct err *err)
{
	scoped_free char *socket_dir = strdup(settings->socket);
	char *slash = socket_dir ? strrchr(socket_dir, '/') : NULL;

	if (!slash)
		return err_sys(err, ENOMEM, "cannot make the directories");
	if (slash == socket_dir)
		return err_field(err, "socket", "socket is '%s', must be in a directory of its own",
				 settings->socket);
	*slash = '\0';
	if (prepare("journal-dir", settings->journal_dir, 0, 0, 0700, err) < 0 ||
	    prepare("state-dir", settings->state_dir, settings->serve_uid, settings->serve_gid,
		    0700, err) < 0 ||
	    prepare("socket", socket_dir, settings->serve_uid, settings->serve_gid, 0755, err) < 0)
		return -1;
	return 0;
}

/* The children of a monitor that was killed end a moment after it, and may have its lock. */
static int lock_patiently(int fd)
{
	const struct timespec pause = { .tv_nsec = LOCK_PAUSE_MS * 1000000 };
	int tries = 1;

	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK || tries++ == LOCK_TRIES)
			return -errno;
		nanosleep(&pause, NULL);
	}
	return 0;
}

int directories_lock(const struct settings *settings, int *ret_fd, struct err *err)
{
	scoped_fd int fd = open(settings->journal_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r;

	if (fd < 0)
		return err_sys(err, errno, "cannot open journal-dir %s", settings->journal_dir);
	r = lock_patiently(fd);
	if (r == -EWOULDBLOCK)
		return err_set(err, ERR_FAILED_PRECONDITION,
			       "another gpu-agent works with journal-dir %s",
			       settings->journal_dir);
	if (r < 0)
		return err_sys(err, r, "cannot lock journal-dir %s", settings->journal_dir);
	*ret_fd = TAKE_FD(fd);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "layout.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/scoped.h"
#include "supervisor/protocol.h"

static struct layout_path join(const char *directory, const char *name)
{
	struct layout_path path;

	snprintf(path.s, sizeof(path.s), "%s/%s", directory, name);
	return path;
}

struct layout_path layout_records(const struct layout *layout)
{
	return join(layout->state_dir, "records.db");
}

struct layout_path layout_images(const struct layout *layout)
{
	return join(layout->state_dir, "images");
}

struct layout_path layout_kernels(const struct layout *layout)
{
	return join(layout->state_dir, "kernels");
}

struct layout_path layout_volumes(const struct layout *layout)
{
	return join(layout->state_dir, "volumes");
}

struct layout_path layout_volume_disk(const struct layout *layout, const char *volume_id)
{
	return join(join(layout_volumes(layout).s, volume_id).s, LAYOUT_VOLUME_DISK);
}

struct layout_path layout_instance(const struct layout *layout, const struct id *id)
{
	return join(join(layout->state_dir, "instances").s, id->s);
}

struct layout_path layout_control(const struct layout *layout, const struct id *id)
{
	struct layout_path path;

	snprintf(path.s, sizeof(path.s), "%s/vm/%s.sock", layout->run_dir, id->s);
	return path;
}

/* As long as layout_control(): layout_open() looks at the length of that. */
struct layout_path layout_agent(const struct layout *layout, const struct id *id)
{
	struct layout_path path;

	snprintf(path.s, sizeof(path.s), "%s/vm/%s.exec", layout->run_dir, id->s);
	return path;
}

static int make_directory(const char *path, mode_t mode, struct err *err)
{
	struct stat st;

	if (mkdir(path, mode) < 0 && errno != EEXIST)
		return err_sys(err, errno, "cannot make %s", path);
	if (stat(path, &st) < 0 || !S_ISDIR(st.st_mode))
		return err_set(err, ERR_FAILED_PRECONDITION, "%s is no directory", path);
	if (st.st_uid != geteuid())
		return err_set(err, ERR_FAILED_PRECONDITION,
			       "%s belongs to user %u, must belong to ours (%u)", path, st.st_uid,
			       geteuid());
	return 0;
}

int layout_open(struct layout *layout, const char *state_dir, const char *run_dir, struct err *err)
{
	const size_t longest = strlen(run_dir) + strlen("/vm/.sock") + ID_LENGTH;

	*layout = (struct layout){ .state_dir = state_dir, .run_dir = run_dir, .instances = -1 };
	if (longest >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
		return err_field(err, "run-dir", "run-dir is '%s': must be at most %zu bytes long",
				 run_dir,
				 sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1 -
					 (longest - strlen(run_dir)));
	if (strlen(state_dir) > PATH_MAX / 2)
		return err_field(err, "state-dir", "state-dir is longer than %d bytes",
				 PATH_MAX / 2);
	if (make_directory(state_dir, 0711, err) < 0 || make_directory(run_dir, 0700, err) < 0 ||
	    make_directory(join(state_dir, "instances").s, 0700, err) < 0 ||
	    make_directory(layout_images(layout).s, 0700, err) < 0 ||
	    make_directory(layout_volumes(layout).s, 0700, err) < 0 ||
	    make_directory(join(run_dir, "vm").s, 0700, err) < 0)
		return -1;
	layout->instances =
		open(join(state_dir, "instances").s, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return layout->instances < 0 ? err_sys(err, errno, "cannot open %s/instances", state_dir)
				     : 0;
}

void layout_close(struct layout *layout)
{
	if (layout->instances >= 0)
		close(layout->instances);
	layout->instances = -1;
}

int layout_make_instance(const struct layout *layout, const struct id *id, struct err *err)
{
	scoped_fd int directory = -1;

	if (mkdirat(layout->instances, id->s, 0700) < 0 && errno != EEXIST)
		return err_sys(err, errno, "cannot make the instance's directory");
	directory = layout_open_instance(layout, id);
	if (directory < 0)
		return err_sys(err, directory, "cannot open the instance's directory");
	if (mkdirat(directory, VM_LOG_DIRECTORY, 0700) < 0 && errno != EEXIST)
		return err_sys(err, errno, "cannot make the log directory");
	return 0;
}

int layout_open_instance(const struct layout *layout, const struct id *id)
{
	int fd = openat(layout->instances, id->s, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	return fd < 0 ? -errno : fd;
}

int layout_open_logs(const struct layout *layout, const struct id *id)
{
	scoped_fd int directory = layout_open_instance(layout, id);
	int fd;

	if (directory < 0)
		return directory;
	fd = openat(directory, VM_LOG_DIRECTORY, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	return fd < 0 ? -errno : fd;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path) < 0 && errno != ENOENT ? errno : 0;
}

int layout_remove_instance(const struct layout *layout, const struct id *id, struct err *err)
{
	struct layout_path directory = layout_instance(layout, id);
	int r;

	if ((unlink(layout_control(layout, id).s) < 0 && errno != ENOENT) ||
	    (unlink(layout_agent(layout, id).s) < 0 && errno != ENOENT))
		return err_sys(err, errno, "cannot remove the VM's sockets");
	r = nftw(directory.s, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
	if (r > 0 || (r < 0 && errno != ENOENT))
		return err_sys(err, r > 0 ? r : errno, "cannot remove %s", directory.s);
	return 0;
}

void layout_remove_disks(const struct layout *layout, const struct id *id)
{
	scoped_fd int directory = layout_open_instance(layout, id);

	if (directory < 0)
		return;
	(void)unlinkat(directory, VM_OVERLAY_FILE, 0);
	(void)unlinkat(directory, VM_CONFIG_FILE, 0);
	(void)unlinkat(directory, VM_EXIT_FILE, 0);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "serve.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/statvfs.h>

#include "driver.h"
#include "group.h"
#include "handle.h"
#include "kept.h"
#include "late.h"
#include "mountpoint.h"
#include "process.h"
#include "reading.h"
#include "tree.h"

#define ATTRIBUTE_SIZE	4096 /* what sysfs says of every file */
#define FOREVER_SECONDS 86400.0

struct server {
	struct host *host;	/* borrowed */
	struct kept *writes;	/* owned: not answered yet */
	struct handle *handles; /* owned: of all that is open */
	struct reading reading;
	bool is_changed; /* since the last late_settle() */
};

static struct server *server_of(fuse_req_t request)
{
	return fuse_req_userdata(request);
}

static struct host *host_of(fuse_req_t request)
{
	return server_of(request)->host;
}

static struct handle *handle_of(const struct fuse_file_info *file)
{
	return (struct handle *)(uintptr_t)file->fh;
}

/* ---- names and attributes ------------------------------------------------------ */

static void stat_fill(struct node node, const struct tree_stat *from, struct stat *ret)
{
	*ret = (struct stat){
		.st_ino = from->inode,
		.st_mode = from->mode,
		.st_nlink = S_ISDIR(from->mode) ? 2 : 1,
		.st_uid = from->uid,
		.st_gid = from->gid,
		.st_blksize = ATTRIBUTE_SIZE,
		.st_atime = from->time,
		.st_mtime = from->time,
		.st_ctime = from->time,
	};
	if (S_ISREG(from->mode) && node.kind != KIND_DEV_NODE && node.kind != KIND_DEV_VFIO &&
	    node.kind != KIND_DEV_GPU)
		ret->st_size = ATTRIBUTE_SIZE;
}

static void serve_lookup(fuse_req_t request, fuse_ino_t parent, const char *name)
{
	struct fuse_entry_param entry = { 0 };
	struct tree_stat from;
	struct node node;
	int r;

	r = tree_lookup(host_of(request), node_unpack(parent), name, &node);
	if (r == 0)
		r = tree_stat(host_of(request), node, &from);
	if (r < 0) {
		fuse_reply_err(request, -r);
		return;
	}
	entry.ino = node_pack(node);
	/* Attributes change through this mount only, and then the kernel is told. */
	entry.attr_timeout = FOREVER_SECONDS;
	entry.entry_timeout = from.is_fixed ? FOREVER_SECONDS : 0;
	stat_fill(node, &from, &entry.attr);
	fuse_reply_entry(request, &entry);
}

static void serve_getattr(fuse_req_t request, fuse_ino_t ino, struct fuse_file_info *file)
{
	struct tree_stat from;
	struct stat st;
	int r;

	(void)file;
	r = tree_stat(host_of(request), node_unpack(ino), &from);
	if (r < 0) {
		fuse_reply_err(request, -r);
		return;
	}
	stat_fill(node_unpack(ino), &from, &st);
	fuse_reply_attr(request, &st, FOREVER_SECONDS);
}

/* Only device nodes have owners and modes that can change. Times and sizes are not kept. */
static void serve_setattr(fuse_req_t request, fuse_ino_t ino, struct stat *st, int wanted,
			  struct fuse_file_info *file)
{
	struct group *group = tree_dev_group(host_of(request), node_unpack(ino));

	if (!group && wanted & (FUSE_SET_ATTR_MODE | FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID)) {
		fuse_reply_err(request, EPERM);
		return;
	}
	if (wanted & FUSE_SET_ATTR_MODE)
		group->node_mode = st->st_mode & 07777;
	if (wanted & FUSE_SET_ATTR_UID)
		group->node_uid = st->st_uid;
	if (wanted & FUSE_SET_ATTR_GID)
		group->node_gid = st->st_gid;
	serve_getattr(request, ino, file);
}

static void serve_readlink(fuse_req_t request, fuse_ino_t ino)
{
	scoped_free char *target = NULL;
	size_t length;
	FILE *out = open_memstream(&target, &length);
	int r = -ENOMEM;

	if (out) {
		r = tree_show(host_of(request), node_unpack(ino), out);
		if (fclose(out) != 0)
			r = -ENOMEM;
	}
	if (r < 0)
		fuse_reply_err(request, r == -ENODEV ? ENOENT : -r);
	else
		fuse_reply_readlink(request, target);
}

static void serve_statfs(fuse_req_t request, fuse_ino_t ino)
{
	const struct statvfs empty = { .f_bsize = ATTRIBUTE_SIZE,
				       .f_frsize = ATTRIBUTE_SIZE,
				       .f_namemax = 255 };

	(void)ino;
	fuse_reply_statfs(request, &empty);
}

/* ---- folders ------------------------------------------------------------------- */

static void serve_opendir(fuse_req_t request, fuse_ino_t ino, struct fuse_file_info *file)
{
	scoped(handle_free) struct handle *handle = handle_new(&server_of(request)->handles);
	int r = -ENOMEM;

	if (handle)
		r = handle_list(handle, request, host_of(request), node_unpack(ino));
	if (r < 0) {
		fuse_reply_err(request, -r);
		return;
	}
	file->fh = (uintptr_t)handle;
	if (fuse_reply_open(request, file) == 0)
		(void)TAKE_PTR(handle);
}

static void serve_readdir(fuse_req_t request, fuse_ino_t ino, size_t size, off_t offset,
			  struct fuse_file_info *file)
{
	(void)ino;
	handle_reply(handle_of(file), request, size, offset);
}

static void serve_releasedir(fuse_req_t request, fuse_ino_t ino, struct fuse_file_info *file)
{
	(void)ino;
	handle_free(handle_of(file));
	fuse_reply_err(request, 0);
}

/* ---- files --------------------------------------------------------------------- */

static int open_check(fuse_req_t request, struct node node, int flags)
{
	struct group *group = tree_dev_group(host_of(request), node);
	struct gpu *gpu = tree_dev_gpu(host_of(request), node);
	int access = flags & O_ACCMODE;
	struct process holder;

	if (gpu) {
		gpu->node_opens++;
		return 0;
	}
	if (!group)
		return tree_may_open(host_of(request), node, access != O_WRONLY,
				     access != O_RDONLY);
	holder = process_of_thread(fuse_req_ctx(request)->pid);
	return group_open(host_of(request), group, &holder);
}

static void open_undo(fuse_req_t request, struct node node)
{
	struct gpu *gpu = tree_dev_gpu(host_of(request), node);

	server_of(request)->is_changed = true;
	if (node.kind == KIND_DEV_NODE)
		group_close(host_of(request), node.object, node.extra);
	if (!gpu)
		return;
	gpu->node_opens--;
	driver_resume(host_of(request));
}

static void serve_open(fuse_req_t request, fuse_ino_t ino, struct fuse_file_info *file)
{
	scoped(handle_free) struct handle *handle = handle_new(&server_of(request)->handles);
	struct node node = node_unpack(ino);
	int r;

	if (!handle) {
		fuse_reply_err(request, ENOMEM);
		return;
	}
	r = open_check(request, node, file->flags);
	if (r < 0) {
		fuse_reply_err(request, -r);
		return;
	}
	file->fh = (uintptr_t)handle;
	file->direct_io = 1;
	handle->position = host_of(request)->events.next;
	if (fuse_reply_open(request, file) == 0)
		(void)TAKE_PTR(handle);
	else
		open_undo(request, node); /* the caller is gone */
}

static void serve_release(fuse_req_t request, fuse_ino_t ino, struct fuse_file_info *file)
{
	handle_free(handle_of(file));
	open_undo(request, node_unpack(ino));
	fuse_reply_err(request, 0);
}

static void serve_read(fuse_req_t request, fuse_ino_t ino, size_t size, off_t offset,
		       struct fuse_file_info *file)
{
	reading_read(
		&server_of(request)->reading, request, node_unpack(ino), handle_of(file), size,
		offset,
		!(file->flags & O_NONBLOCK && node_is_events(host_of(request), node_unpack(ino))));
}

static void serve_poll(fuse_req_t request, fuse_ino_t ino, struct fuse_file_info *file,
		       struct fuse_pollhandle *poller)
{
	reading_poll(&server_of(request)->reading, request, node_unpack(ino), handle_of(file),
		     poller);
}

static void serve_write(fuse_req_t request, fuse_ino_t ino, const char *bytes, size_t length,
			off_t offset, struct fuse_file_info *file)
{
	scoped_free char *copy = malloc(length + 1);
	scoped(kept_free) struct kept *kept = kept_new(request, length);
	struct server *server = server_of(request);
	struct tree_write write;
	int r = -ENOMEM;

	(void)offset;
	(void)file;
	if (copy && kept) {
		memcpy(copy, bytes, length);
		copy[length] = '\0';
		write = (struct tree_write){
			.text = copy,
			.length = length,
			.writer = process_of_thread(fuse_req_ctx(request)->pid),
			.waiter = &kept->waiter,
		};
		r = tree_store(server->host, node_unpack(ino), &write);
	}
	server->is_changed = true;
	if (r == HOST_PENDING)
		kept_add(&server->writes, TAKE_PTR(kept));
	else if (r < 0)
		fuse_reply_err(request, -r);
	else
		fuse_reply_write(request, length);
}

static void serve_init(void *arg, struct fuse_conn_info *connection)
{
	(void)arg;
	connection->want = connection->capable & (FUSE_CAP_ASYNC_READ | FUSE_CAP_PARALLEL_DIROPS |
						  FUSE_CAP_ATOMIC_O_TRUNC);
}

static const struct fuse_lowlevel_ops operations = {
	.init = serve_init,
	.lookup = serve_lookup,
	.getattr = serve_getattr,
	.setattr = serve_setattr,
	.readlink = serve_readlink,
	.statfs = serve_statfs,
	.opendir = serve_opendir,
	.readdir = serve_readdir,
	.releasedir = serve_releasedir,
	.open = serve_open,
	.release = serve_release,
	.read = serve_read,
	.write = serve_write,
	.poll = serve_poll,
};

/* ---- the loop ------------------------------------------------------------------ */

static int signals_open(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	return signalfd(-1, &set, SFD_CLOEXEC);
}

/* What can go on does. Returns how long to wait for requests at most; -1: for ever. */
static int server_settle(struct server *server)
{
	int64_t next = late_settle(server->host), wait;

	reading_retry(&server->reading);
	server->is_changed = false;
	if (next == 0)
		return -1;
	wait = next - host_now_ms(server->host);
	return wait < 0 ? 0 : (int)wait;
}

static int session_loop(struct server *server, struct fuse_session *session, int signal_fd)
{
	struct fuse_buf buffer = { .mem = NULL };
	int r = 0, wait_ms = -1;

	while (!fuse_session_exited(session)) {
		struct pollfd fds[] = { { .fd = signal_fd, .events = POLLIN },
					{ .fd = fuse_session_fd(session), .events = POLLIN } };

		if (server->is_changed || wait_ms >= 0)
			wait_ms = server_settle(server);
		if (poll(fds, 2, wait_ms) < 0) {
			if (errno == EINTR)
				continue;
			r = -errno;
			break;
		}
		if (fds[0].revents)
			break;
		if (!fds[1].revents)
			continue;
		r = fuse_session_receive_buf(session, &buffer);
		if (r == -EINTR)
			continue;
		if (r <= 0)
			break;
		fuse_session_process_buf(session, &buffer);
	}
	free(buffer.mem);
	return r < 0 ? r : 0;
}

static int serve_session(struct server *server, struct fuse_session *session, const char *dir,
			 struct err *err)
{
	scoped_fd int signal_fd = signals_open();
	int r;

	if (signal_fd < 0)
		return err_sys(err, errno, "cannot listen for signals");
	if (fuse_session_mount(session, dir) < 0)
		return err_set(err, ERR_FAILED_PRECONDITION,
			       "cannot mount at '%s' (root, and /dev/fuse, are needed)", dir);
	puts("ready");
	fflush(stdout);
	r = session_loop(server, session, signal_fd);
	kept_fail_all(&server->writes, -ENODEV);
	kept_fail_all(&server->reading.kept, -ENODEV);
	fuse_session_unmount(session);
	while (server->handles)
		handle_free(server->handles);
	return r < 0 ? err_sys(err, r, "cannot go on serving '%s'", dir) : 0;
}

int serve_run(struct host *host, const char *dir, struct err *err)
{
	char program[] = "hypeman-simhost", option[] = "-o";
	char options[] = "allow_other,default_permissions,fsname=hypeman-simhost,"
			 "subtype=hypeman-simhost";
	char *argv[] = { program, option, options, NULL };
	struct fuse_args args = FUSE_ARGS_INIT(3, argv);
	struct server server = { .host = host,
				 .reading = { .host = host, .handles = &server.handles } };
	struct fuse_session *session;
	int r;

	session = fuse_session_new(&args, &operations, sizeof(operations), &server);
	fuse_opt_free_args(&args);
	if (!session)
		return err_sys(err, ENOMEM, "cannot make a FUSE session");
	r = serve_session(&server, session, dir, err);
	fuse_session_destroy(session);
	return r;
}

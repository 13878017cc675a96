/* SPDX-License-Identifier: Apache-2.0 */
#include "image_work.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "image_ids.h"
#include "strv.h"

#define LOCK_NAME	 "lock"
#define LOCK_WAIT_STEPS	 200 /* of 50 ms: the longest that a killed jail takes to be gone */
#define LOCK_STEP_NS	 50000000
#define REMOVE_LIMIT_MS	 (5 * 60 * 1000)
#define OWNERS_INNER_IDS (IMAGE_IDS_COUNT - 1) /* 0 is our own user */

static const char *const base_jail[] = {
	"bwrap",
	"--die-with-parent",
	"--new-session",
	"--unshare-ipc",
	"--unshare-pid",
	"--unshare-uts",
	"--unshare-cgroup-try",
	"--ro-bind",
	"/usr",
	"/usr",
	"--symlink",
	"usr/lib",
	"/lib",
	"--symlink",
	"usr/lib64",
	"/lib64",
	"--symlink",
	"usr/bin",
	"/bin",
	"--symlink",
	"usr/sbin",
	"/sbin",
	"--proc",
	"/proc",
	"--dev",
	"/dev",
	"--tmpfs",
	"/tmp",
	NULL,
};

/* What a registry client reads of the host's configuration. */
static const char *const download_files[] = {
	"/etc/ssl",
	"/etc/ca-certificates",
	"/etc/pki",
	"/etc/resolv.conf",
	"/etc/hosts",
	"/etc/nsswitch.conf",
	"/etc/gai.conf",
	"/etc/containers",
	"/etc/docker/certs.d",
	NULL,
};

/* Unpacking sets owners, modes and file capabilities; nothing more is left of root. */
static const char *const owners_jail[] = {
	"--unshare-net", "--cap-add",  "CAP_CHOWN", "--cap-add",  "CAP_DAC_OVERRIDE",
	"--cap-add",	 "CAP_FOWNER", "--cap-add", "CAP_FSETID", "--cap-add",
	"CAP_SETFCAP",	 "--cap-add",  "CAP_MKNOD", NULL,
};

static const char *const look_jail[] = { "--unshare-user", "--unshare-net", NULL };

static const char *const passed_environment[] = {
	"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", NULL,
};

/* The command line, in the order in which the programs run one another. */

static int append_list(char ***argv, const char *const *list)
{
	int r = 0;

	for (; *list && r == 0; list++)
		r = strv_append(argv, *list);
	return r;
}

static int append_bind(char ***argv, const char *how, const char *from, const char *to)
{
	return append_list(argv, (const char *const[]){ how, from, to, NULL });
}

/* Root inside is our user; the ids from 1 up are the image's part of our range. */
static int append_namespace(char ***argv, const struct image_ids *ids)
{
	int r = append_list(argv, (const char *const[]){ "unshare", "--map-root-user", NULL });

	if (r == 0)
		r = strv_appendf(argv, "--map-users=%u,1,%u", ids->uid_first, OWNERS_INNER_IDS);
	if (r == 0)
		r = strv_appendf(argv, "--map-groups=%u,1,%u", ids->gid_first, OWNERS_INNER_IDS);
	return r < 0 ? r : strv_append(argv, "--");
}

static int append_download(char ***argv, const struct image_store_options *options)
{
	int r = strv_append(argv, "--unshare-user");

	for (const char *const *file = download_files; *file && r == 0; file++)
		r = append_bind(argv, "--ro-bind-try", *file, *file);
	if (r == 0 && options->registries_conf)
		r = append_bind(argv, "--ro-bind", options->registries_conf, IMAGE_JAIL_REGISTRIES);
	if (r == 0 && options->policy_json)
		r = append_bind(argv, "--ro-bind", options->policy_json, IMAGE_JAIL_POLICY);
	if (r == 0 && options->auth_file)
		r = append_bind(argv, "--ro-bind", options->auth_file, IMAGE_JAIL_AUTH);
	return r;
}

static int command_make(const struct image_work *work, const struct image_jail_run *run,
			const struct image_ids *ids, char ***ret)
{
	scoped(strv_free) char **argv = NULL;
	int r = 0;

	if (run->jail == IMAGE_JAIL_OWNERS)
		r = append_namespace(&argv, ids);
	if (r == 0)
		r = append_list(&argv, base_jail);
	if (r == 0)
		r = append_bind(&argv, run->jail == IMAGE_JAIL_LOOK ? "--ro-bind" : "--bind",
				work->path, "/work");
	if (r == 0 && run->tools)
		r = append_bind(&argv, "--ro-bind", run->options->guest_tools, "/tools");
	if (r == 0 && run->jail == IMAGE_JAIL_OWNERS)
		r = append_list(&argv, owners_jail);
	else if (r == 0 && run->jail == IMAGE_JAIL_LOOK)
		r = append_list(&argv, look_jail);
	else if (r == 0)
		r = append_download(&argv, run->options);
	if (r == 0)
		r = append_list(&argv, (const char *const[]){ "--chdir", "/work", "--", NULL });
	if (r == 0)
		r = append_list(&argv, run->argv);
	if (r == 0)
		*ret = TAKE_PTR(argv);
	return r;
}

static int environment_make(enum image_jail jail, char ***ret)
{
	scoped(strv_free) char **env = NULL;
	int r;

	r = append_list(&env, (const char *const[]){ "PATH=/usr/bin:/usr/sbin:/bin:/sbin",
						     "HOME=/work", "LC_ALL=C", NULL });
	for (const char *const *name = passed_environment; *name && r == 0; name++) {
		const char *value = getenv(*name);

		if (value && jail == IMAGE_JAIL_DOWNLOAD)
			r = strv_appendf(&env, "%s=%s", *name, value);
	}
	if (r == 0)
		*ret = TAKE_PTR(env);
	return r;
}

/* The program in its jail; strv_free both. */
struct jail_command {
	char **argv, **env;
};

static void jail_command_done(struct jail_command command)
{
	strv_free(command.argv);
	strv_free(command.env);
}
SCOPED_DEFINE(struct jail_command, jail_command_done);

static int jail_command_make(const struct image_work *work, const struct image_jail_run *run,
			     struct jail_command *ret, struct err *err)
{
	struct image_ids ids = { 0 };

	if (run->jail == IMAGE_JAIL_OWNERS && image_ids_find(&ids, err) < 0)
		return -1;
	if (command_make(work, run, &ids, &ret->argv) < 0 ||
	    environment_make(run->jail, &ret->env) < 0)
		return err_sys(err, -ENOMEM, "cannot start %s", run->argv[0]);
	return 0;
}

static struct process_spec spec_make(const struct image_work *work,
				     const struct jail_command *command)
{
	return (struct process_spec){ .argv = (const char *const *)command->argv,
				      .env = (const char *const *)command->env,
				      .fds = &work->lock,
				      .fd_count = 1 };
}

int image_work_run(const struct image_work *work, const struct image_jail_run *run,
		   struct process_result *ret, struct err *err)
{
	scoped(jail_command_done) struct jail_command command = { 0 };
	struct process_limits limits = { .timeout_ms = run->timeout_ms,
					 .out_bytes = run->out_bytes,
					 .cancelled = run->cancelled,
					 .look = run->look,
					 .look_user = run->look_user };
	struct process_spec spec;

	if (jail_command_make(work, run, &command, err) < 0)
		return -1;
	spec = spec_make(work, &command);
	return process_run(&spec, &limits, ret, err);
}

int image_work_start(const struct image_work *work, const struct image_jail_run *run, int out,
		     struct process *ret, struct err *err)
{
	scoped(jail_command_done) struct jail_command command = { 0 };
	struct process_spec spec;

	if (jail_command_make(work, run, &command, err) < 0)
		return -1;
	spec = spec_make(work, &command);
	spec.out = out;
	return process_start(&spec, ret, err);
}

/* Opening. */

static int lock_open(const char *folder)
{
	scoped_free char *path = NULL;
	int fd;

	if (asprintf(&path, "%s/" LOCK_NAME, folder) < 0)
		return -ENOMEM;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	return fd < 0 ? -errno : fd;
}

int image_work_open(const char *parent, struct image_work *ret, struct err *err)
{
	scoped_free char *path = NULL;
	scoped_fd int lock = -1;

	if (asprintf(&path, "%s/%d-XXXXXX", parent, getpid()) < 0) {
		path = NULL;
		return err_sys(err, -ENOMEM, "cannot make a folder in %s", parent);
	}
	if (!mkdtemp(path))
		return err_sys(err, errno, "cannot make a folder in %s", parent);
	lock = lock_open(path);
	if (lock < 0 || flock(lock, LOCK_EX | LOCK_NB) < 0)
		return err_sys(err, lock < 0 ? lock : errno, "cannot lock %s", path);
	ret->path = TAKE_PTR(path);
	ret->lock = TAKE_FD(lock);
	return 0;
}

/* Removing. */

/* Only what is ours alone: files of the image's ids were removed before. */
static int tree_remove(const char *path)
{
	scoped_free char *copy = strdup(path);
	FTSENT *entry;
	FTS *fts;
	int r = 0;

	fts = copy ? fts_open((char *const[]){ copy, NULL }, FTS_PHYSICAL | FTS_NOCHDIR, NULL)
		   : NULL;
	if (!fts)
		return -errno;
	while ((entry = fts_read(fts))) {
		if (entry->fts_info == FTS_D)
			continue;
		if (remove(entry->fts_accpath) < 0)
			r = -errno;
	}
	fts_close(fts);
	return r;
}

/* Takes the lock, once every jail that held it is gone. */
static int lock_wait(const char *path, struct err *err)
{
	int fd = lock_open(path);

	if (fd < 0)
		return err_sys(err, fd, "cannot lock %s", path);
	for (int i = 0; i < LOCK_WAIT_STEPS; i++) {
		if (flock(fd, LOCK_EX | LOCK_NB) == 0)
			return fd;
		nanosleep(&(struct timespec){ .tv_nsec = LOCK_STEP_NS }, NULL);
	}
	close(fd);
	return err_set(err, ERR_INTERNAL, "%s is still in use", path);
}

static int rootfs_remove(const struct image_work *work, const struct image_store_options *options,
			 struct err *err)
{
	struct image_jail_run run = {
		.jail = IMAGE_JAIL_OWNERS,
		.argv = (const char *const[]){ "rm", "-rf", "--", "/work/rootfs", NULL },
		.options = options,
		.timeout_ms = REMOVE_LIMIT_MS,
	};
	scoped_free char *rootfs = NULL;
	struct process_result result;
	int r = 0;

	if (asprintf(&rootfs, "%s/rootfs", work->path) < 0)
		return err_sys(err, -ENOMEM, "cannot remove %s", work->path);
	if (faccessat(AT_FDCWD, rootfs, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	if (image_work_run(work, &run, &result, err) < 0)
		return -1;
	if (result.status != 0)
		r = err_set(err, ERR_INTERNAL, "cannot remove %s: %.200s", rootfs, result.err.text);
	process_result_done(&result);
	return r;
}

static void folder_remove(const char *path, const struct image_store_options *options)
{
	struct image_work work = { .path = strdup(path), .lock = -1 };
	struct err err;
	int r = -1;

	if (work.path) {
		work.lock = lock_wait(path, &err);
		if (work.lock >= 0)
			r = rootfs_remove(&work, options, &err);
	} else {
		err_sys(&err, -ENOMEM, "cannot remove %s", path);
	}
	if (r == 0) {
		r = tree_remove(path);
		if (r < 0)
			err_sys(&err, r, "cannot remove %s", path);
	}
	if (r < 0)
		log_warning("%s; leaving it until the next start", err.message);
	if (work.lock >= 0)
		close(work.lock);
	free(work.path);
}

void image_work_close(struct image_work *work, const struct image_store_options *options)
{
	close(work->lock);
	folder_remove(work->path, options);
	free(work->path);
	*work = (struct image_work){ .lock = -1 };
}

void image_work_sweep(const char *parent, const struct image_store_options *options)
{
	scoped_dir DIR *dir = opendir(parent);
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		scoped_free char *path = NULL;

		if (entry->d_name[0] == '.')
			continue;
		if (asprintf(&path, "%s/%s", parent, entry->d_name) < 0)
			path = NULL;
		else if (unlink(path) < 0) /* a folder: the rule */
			folder_remove(path, options);
	}
}

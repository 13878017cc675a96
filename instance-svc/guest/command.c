/* SPDX-License-Identifier: Apache-2.0 */
#include "command.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/scoped.h"
#include "config.h"
#include "driver.h"
#include "folder.h"
#include "root.h"
#include "user.h"

#define DEFAULT_PATH "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define ID_FILE_MAX  (1024 * 1024) /* of /etc/passwd and /etc/group */

/* What the child sends up. */
struct message {
	enum command_event event;
	struct err err;
};

static int text_file_read(const char *path, char **ret, struct err *err)
{
	scoped_free char *text = calloc(1, ID_FILE_MAX + 1);
	scoped_file FILE *file = NULL;

	if (!text)
		return err_sys(err, -ENOMEM, "cannot read %s", path);
	file = fopen(path, "re");
	if (!file && errno != ENOENT && errno != ENOTDIR)
		return err_sys(err, errno, "cannot read %s", path);
	if (file && fread(text, 1, ID_FILE_MAX, file) == 0 && ferror(file))
		return err_sys(err, errno, "cannot read %s", path);
	*ret = TAKE_PTR(text);
	return 0;
}

static int user_find(const char *spec, struct user *ret, struct err *err)
{
	scoped_free char *passwd = NULL, *group = NULL;

	if (text_file_read("/etc/passwd", &passwd, err) < 0 ||
	    text_file_read("/etc/group", &group, err) < 0)
		return -1;
	return user_lookup(spec, passwd, group, ret, err);
}

static int workdir_enter(const char *workdir, struct err *err)
{
	(void)folder_make(workdir); /* entering it tells more */
	if (chdir(workdir) < 0)
		return err_sys(err, errno, "cannot enter workdir '%s'", workdir);
	return 0;
}

/* Whether `env` sets the variable that `entry` ("NAME=value") sets. */
static bool env_has(char *const *env, const char *entry)
{
	size_t length = strcspn(entry, "=") + 1;

	for (; env && *env; env++) {
		if (strncmp(*env, entry, length) == 0)
			return true;
	}
	return false;
}

/* Those of `more` that are not set yet. `env` has room. Returns the new count. */
static size_t env_add(char **env, size_t count, char *const *more)
{
	for (; more && *more; more++) {
		if (!env_has(env, *more))
			env[count++] = *more;
	}
	return count;
}

static size_t env_count(char *const *env)
{
	size_t count = 0;

	while (env && env[count])
		count++;
	return count;
}

/* What is asked for, then the image's, then what every program expects. */
static int env_apply(const struct command_spec *spec, const struct user *user, struct err *err)
{
	static char home[sizeof(user->home) + sizeof("HOME=")], hostname[256],
		path[] = DEFAULT_PATH, term[] = "TERM=xterm";
	char *const expected[] = { path, home, spec->config->hostname[0] ? hostname : home,
				   spec->has_terminal ? term : home, NULL };
	char **env = calloc(env_count(spec->env) + spec->config->env_count + 5, sizeof(*env));
	size_t count = 0;

	if (!env)
		return err_sys(err, -ENOMEM, "cannot make the environment");
	snprintf(home, sizeof(home), "HOME=%s", user->home);
	snprintf(hostname, sizeof(hostname), "HOSTNAME=%.200s", spec->config->hostname);
	count = env_add(env, count, spec->env);
	count = env_add(env, count, spec->config->env);
	env_add(env, count, expected);
	environ = env; /* lives until exec */
	return 0;
}

static int identity_take(const struct user *user, struct err *err)
{
	if (setgroups(user->group_count, user->groups) < 0 ||
	    setresgid(user->gid, user->gid, user->gid) < 0 ||
	    setresuid(user->uid, user->uid, user->uid) < 0)
		return err_sys(err, errno, "cannot become uid %u gid %u", user->uid, user->gid);
	return 0;
}

static int stdio_take(const struct command_spec *spec, const struct user *user, struct err *err)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	if (null < 0)
		return err_sys(err, errno, "cannot open /dev/null");
	for (int i = 0; i < 3; i++) {
		bool is_given = spec->stdio[i] >= 0;

		if (dup2(is_given ? spec->stdio[i] : null, i) < 0)
			return err_sys(err, errno, "cannot give the command its output");
		/* So that programs of this user can open /dev/stdout. */
		if (is_given && fchown(i, user->uid, (gid_t)-1) < 0)
			return err_sys(err, errno, "cannot give the command its output");
	}
	if (spec->has_terminal && ioctl(STDIN_FILENO, TIOCSCTTY, 0) < 0)
		return err_sys(err, errno, "cannot give the command its terminal");
	return 0;
}

static int workdir_take(const struct command_spec *spec, struct err *err)
{
	if (spec->cwd[0] == '\0')
		return workdir_enter(spec->config->workdir, err);
	if (chdir(spec->cwd) < 0)
		return err_sys(err, errno, "cannot enter '%s'", spec->cwd);
	return 0;
}

static int child_prepare(const struct command_spec *spec, struct err *err)
{
	struct user user;
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	setsid();
	if (spec->makes_root && root_enter(spec->config, err) < 0)
		return -1;
	if (spec->makes_root)
		driver_load_all(spec->stdio[STDERR_FILENO]);
	if (user_find(spec->config->user, &user, err) < 0 || workdir_take(spec, err) < 0 ||
	    env_apply(spec, &user, err) < 0 || stdio_take(spec, &user, err) < 0)
		return -1;
	return identity_take(&user, err);
}

_Static_assert(sizeof(struct message) * 2 <= 65536, "an empty pipe holds all that is ever sent");

static void message_send(int fd, const struct message *message)
{
	if (write(fd, message, sizeof(*message)) != (ssize_t)sizeof(*message))
		_exit(126);
}

__attribute__((noreturn)) static void child_run(const struct command_spec *spec, int events)
{
	struct message message = { .event = COMMAND_READY };

	if (child_prepare(spec, &message.err) < 0) {
		message.event = COMMAND_NOT_SET_UP;
		message_send(events, &message);
		_exit(126);
	}
	message_send(events, &message);
	execvp(spec->args[0], spec->args);
	message.event = errno == ENOENT ? COMMAND_NOT_FOUND : COMMAND_NOT_EXECUTABLE;
	err_sys(&message.err, errno, "cannot execute '%s'", spec->args[0]);
	message_send(events, &message);
	_exit(126);
}

int command_start(struct command *command, const struct command_spec *spec, struct err *err)
{
	int ends[2];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_sys(err, errno, "cannot start the command");
	pid = fork();
	if (pid == 0)
		child_run(spec, ends[1]);
	close(ends[1]);
	if (pid < 0) {
		close(ends[0]);
		return err_sys(err, errno, "cannot start the command");
	}
	command->pid = pid;
	command->events = ends[0];
	return 0;
}

enum command_event command_next_event(struct command *command)
{
	struct message message;
	size_t length = 0;
	ssize_t n;

	while (length < sizeof(message)) {
		n = read(command->events, (char *)&message + length, sizeof(message) - length);
		if (n <= 0)
			break;
		length += (size_t)n;
	}
	if (length < sizeof(message)) {
		close(command->events);
		command->events = -1;
		return COMMAND_EXECUTED;
	}
	command->err = message.err;
	return message.event;
}

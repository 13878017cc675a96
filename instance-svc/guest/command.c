/* SPDX-License-Identifier: Apache-2.0 */
#include "command.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/scoped.h"
#include "config.h"
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

/* Missing parents included, owned by root, as Docker does. */
static int workdir_enter(const char *workdir, struct err *err)
{
	char path[4096];

	if (snprintf(path, sizeof(path), "%s", workdir) >= (int)sizeof(path))
		return err_set(err, ERR_INVALID_ARGUMENT, "workdir is longer than %zu characters",
			       sizeof(path) - 1);
	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdir(path, 0755);
		*slash = '/';
	}
	mkdir(path, 0755);
	if (chdir(path) < 0)
		return err_sys(err, errno, "cannot enter workdir '%s'", workdir);
	return 0;
}

static bool env_has(char **env, const char *name)
{
	size_t length = strlen(name);

	for (; *env; env++) {
		if (strncmp(*env, name, length) == 0 && (*env)[length] == '=')
			return true;
	}
	return false;
}

/* The image's environment, with what every program expects added where it is missing. */
static int env_apply(const struct guest_config *config, const struct user *user, struct err *err)
{
	static char home[sizeof(user->home) + sizeof("HOME=")], hostname[256],
		path[] = DEFAULT_PATH;
	char **env = calloc(config->env_count + 4, sizeof(*env));
	size_t count = config->env_count;

	if (!env)
		return err_sys(err, -ENOMEM, "cannot make the environment");
	for (size_t i = 0; i < count; i++)
		env[i] = config->env[i];
	snprintf(home, sizeof(home), "HOME=%s", user->home);
	snprintf(hostname, sizeof(hostname), "HOSTNAME=%.200s", config->hostname);
	if (!env_has(env, "PATH"))
		env[count++] = path;
	if (!env_has(env, "HOME"))
		env[count++] = home;
	if (config->hostname[0] != '\0' && !env_has(env, "HOSTNAME"))
		env[count++] = hostname;
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

static int stdio_take(int console, const struct user *user, struct err *err)
{
	int in = open("/dev/null", O_RDONLY);

	if (in < 0 || dup2(in, STDIN_FILENO) < 0 || dup2(console, STDOUT_FILENO) < 0 ||
	    dup2(console, STDERR_FILENO) < 0)
		return err_sys(err, errno, "cannot give the command its output");
	if (in > STDERR_FILENO)
		close(in);
	/* So that programs of this user can open /dev/stdout. */
	if (fchown(STDOUT_FILENO, user->uid, (gid_t)-1) < 0)
		return err_sys(err, errno, "cannot give the command its output");
	return 0;
}

static int child_prepare(const struct guest_config *config, int console, struct err *err)
{
	struct user user;
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setsid();
	if (root_enter(config, err) < 0 || user_find(config->user, &user, err) < 0 ||
	    workdir_enter(config->workdir, err) < 0 || env_apply(config, &user, err) < 0 ||
	    stdio_take(console, &user, err) < 0)
		return -1;
	return identity_take(&user, err);
}

_Static_assert(sizeof(struct message) * 2 <= 65536, "an empty pipe holds all that is ever sent");

static void message_send(int fd, const struct message *message)
{
	if (write(fd, message, sizeof(*message)) != (ssize_t)sizeof(*message))
		_exit(126);
}

__attribute__((noreturn)) static void child_run(const struct guest_config *config, int console,
						int events)
{
	struct message message = { .event = COMMAND_READY };

	if (child_prepare(config, console, &message.err) < 0) {
		message.event = COMMAND_NOT_SET_UP;
		message_send(events, &message);
		_exit(126);
	}
	message_send(events, &message);
	execvp(config->args[0], config->args);
	message.event = errno == ENOENT ? COMMAND_NOT_FOUND : COMMAND_NOT_EXECUTABLE;
	err_sys(&message.err, errno, "cannot execute '%s'", config->args[0]);
	message_send(events, &message);
	_exit(126);
}

int command_start(struct command *command, const struct guest_config *config, int console,
		  struct err *err)
{
	int ends[2];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_sys(err, errno, "cannot start the command");
	pid = fork();
	if (pid == 0)
		child_run(config, console, ends[1]);
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

/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "guard.h"
#include "jail.h"
#include "shape.h"
#include "supervisor.h"

/*
 * instance-supervisor DIRECTORY IMAGE UID GID FLAGS volumes N DISK... network N ARG...
 *                     jail N ARG...
 * instance-supervisor guard-network "ADDRESS..." PROGRAM ARG...
 * instance-supervisor sweep UID GID
 *
 * Started by instance-svc only. The two command lines are counted, and the first is empty
 * without a network. Texts of options point into argv, which is cut up.
 */
static int take_list(int argc, char ***argv, const char *word, char ***ret)
{
	char **at = *argv;
	char *end;
	long count;

	if (argc < 2 || strcmp(at[0], word) != 0)
		return -EINVAL;
	count = strtol(at[1], &end, 10);
	if (*end || count < 0 || count > argc - 2)
		return -EINVAL;
	/* One place to the left, over the count, so that there is room for the NULL. */
	memmove(at + 1, at + 2, (size_t)count * sizeof(*at));
	at[1 + count] = NULL;
	*ret = count > 0 ? at + 1 : NULL;
	*argv = at + 2 + count;
	return (int)count + 2;
}

/* "-", or words of SUPERVISOR_FLAG_... with a comma between. */
static int parse_flags(const char *text, struct supervisor_options *options)
{
	while (*text) {
		size_t length = strcspn(text, ",");

		if (length == strlen(SUPERVISOR_FLAG_GPU) &&
		    strncmp(text, SUPERVISOR_FLAG_GPU, length) == 0)
			options->gpu = true;
		else if (length == strlen(SUPERVISOR_FLAG_RESTORE) &&
			 strncmp(text, SUPERVISOR_FLAG_RESTORE, length) == 0)
			options->restore = true;
		else if (length != 1 || *text != '-')
			return -EINVAL;
		text += length + (text[length] == ',');
	}
	return 0;
}

static int parse_options(int argc, char **argv, struct supervisor_options *options)
{
	char **at = argv + 6;
	int left = argc - 6, used;

	if (left < 0)
		return -EINVAL;
	options->directory = argv[1];
	options->image = argv[2];
	options->uid = (uid_t)strtoul(argv[3], NULL, 10);
	options->gid = (gid_t)strtoul(argv[4], NULL, 10);
	if (options->uid == 0 || options->gid == 0 || parse_flags(argv[5], options) < 0)
		return -EINVAL;
	used = take_list(left, &at, "volumes", &options->volumes);
	if (used < 0 || used - 2 > SUPERVISOR_VOLUMES_MAX)
		return -EINVAL;
	left -= used;
	used = take_list(left, &at, "network", &options->network);
	if (used < 0)
		return used;
	left -= used;
	used = take_list(left, &at, "jail", &options->jail);
	if (used < 0 || used != left || !options->jail)
		return -EINVAL;
	return 0;
}

/* passt ends when QEMU's end of the link is closed, and pasta with it. */
static void end_network(struct supervisor *sv)
{
	const struct timespec pause = { .tv_nsec = 20 * 1000 * 1000 };

	for (int i = 0; sv->network > 0 && i < 150; i++) {
		if (i == 50)
			(void)kill(sv->network, SIGTERM);
		if (waitpid(sv->network, NULL, WNOHANG) == sv->network)
			sv->network = 0;
		else
			nanosleep(&pause, NULL);
	}
	if (sv->network > 0) {
		(void)kill(sv->network, SIGKILL);
		(void)waitpid(sv->network, NULL, 0);
		sv->network = 0;
	}
}

static void describe_failure(const struct err *err, struct vm_exit *end)
{
	memset(end, 0, sizeof(*end));
	end->version = SUPERVISOR_PROTOCOL_VERSION;
	end->end = VM_END_VMM;
	end->ended_ms = clock_realtime_ms();
	snprintf(end->text, sizeof(end->text), "%s", err->message);
}

static int sweep(char **argv)
{
	uid_t uid = (uid_t)strtoul(argv[2], NULL, 10);
	gid_t gid = (gid_t)strtoul(argv[3], NULL, 10);
	struct err err;

	if (uid == 0 || gid == 0)
		return 2;
	if (jail_sweep(uid, gid, &err) == 0)
		return 0;
	log_error("%s", err.message);
	return 1;
}

int main(int argc, char **argv)
{
	static struct supervisor sv; /* holds large buffers */
	struct supervisor_options options = { 0 };
	struct vm_exit end;
	struct err err;
	int status;

	if (argc > 1 && strcmp(argv[1], "guard-network") == 0)
		return guard_main(argc, argv);
	if (argc > 1 && strcmp(argv[1], "shape-network") == 0)
		return shape_main(argc, argv);
	if (argc == 4 && strcmp(argv[1], "sweep") == 0)
		return sweep(argv);
	if (parse_options(argc, argv, &options) < 0) {
		log_error("instance-supervisor is started by instance-svc only");
		return 2;
	}
	supervisor_init(&sv, &options);
	if (supervisor_open(&sv, &err) < 0) {
		log_error("instance-supervisor: %s", err.message);
		return 1;
	}
	if (supervisor_start_vm(&sv, &err) < 0) {
		log_event(sv.logs, "cannot start the VM: %s", err.message);
		if (sv.network > 0)
			(void)kill(sv.network, SIGKILL);
		describe_failure(&err, &end);
	} else {
		status = supervisor_run(&sv);
		supervisor_describe_end(&sv, status, &end);
	}
	end_network(&sv);
	log_event(sv.logs, "the VM has ended%s%s", end.text[0] ? ": " : "", end.text);
	if (supervisor_write_exit(sv.directory, &end) < 0) {
		log_event(sv.logs, "cannot write the exit file: %s", strerror(errno));
		return 1;
	}
	return 0;
}

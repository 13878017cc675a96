/* SPDX-License-Identifier: Apache-2.0 */
/* hypeman-simhost: a host with GPUs, for machines that have none. */

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/config.h"
#include "common/log.h"
#include "mountpoint.h"
#include "serve.h"

static const char *mount_dir, *spec_text, *boards_dir, *uevent_socket;

static const struct config_setting settings[] = {
	{ .name = "mount",
	  .type = CONFIG_PATH,
	  .value = &mount_dir,
	  .help = "folder to mount at: gets sys/, dev/, control and events" },
	{ .name = "spec",
	  .type = CONFIG_TEXT,
	  .value = &spec_text,
	  .help = "GPUs: BOARD:COUNT[:OPTION...][@ADDRESS], separated by commas (README.md)" },
	{ .name = "boards",
	  .type = CONFIG_PATH,
	  .value = &boards_dir,
	  .help = "folder of .board files (default: beside the program, else as installed)" },
	{ .name = "uevent-socket",
	  .type = CONFIG_PATH,
	  .value = &uevent_socket,
	  .help = "datagram socket of a program that wants events in the form of kernel uevents" },
};

/* A program that runs from its build folder has its boards beside it. */
static const char *default_boards_dir(char beside[static PATH_MAX])
{
	ssize_t length = readlink("/proc/self/exe", beside, PATH_MAX - sizeof("/boards"));
	struct stat st;

	if (length < 0)
		return SIMHOST_BOARDS_DIR;
	beside[length] = '\0';
	strcpy(strrchr(beside, '/'), "/boards");
	return stat(beside, &st) == 0 ? beside : SIMHOST_BOARDS_DIR;
}

static int simhost_run(bool check_only, struct err *err)
{
	scoped(host_free) struct host *host = NULL;
	char beside[PATH_MAX];
	struct spec spec;

	if (!mount_dir)
		return err_field(err, "mount", "--mount DIR is missing");
	if (!spec_text)
		return err_field(err, "spec", "--spec SPEC is missing, for example l40s:2");
	if (!boards_dir)
		boards_dir = default_boards_dir(beside);
	if (spec_parse(spec_text, &spec, err) < 0 || host_new(&spec, boards_dir, &host, err) < 0)
		return -1;
	if (check_only) {
		puts("ok");
		return 0;
	}
	if (uevent_socket && uevent_sender_open(&host->uevents, uevent_socket, err) < 0)
		return -1;
	if (mountpoint_prepare(mount_dir, err) < 0)
		return -1;
	return serve_run(host, mount_dir, err);
}

int main(int argc, char **argv)
{
	struct config config = {
		.program = "hypeman-simhost",
		.description = "Serves a simulated host with GPUs as a file system.",
		.settings = settings,
		.setting_count = sizeof(settings) / sizeof(settings[0]),
	};
	struct err err;
	int r = config_parse(&config, argc, argv, &err);

	if (r == 0)
		r = simhost_run(config.check_only, &err);
	if (r < 0)
		log_error("hypeman-simhost: %s", err.message);
	config_done(&config);
	return r < 0 ? 1 : 0;
}

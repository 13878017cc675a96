/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "common/log.h"
#include "common/scoped.h"
#include "directories.h"
#include "monitor.h"
#include "settings.h"

/* Descriptors 0 to 2 are there, so that no later one takes their place. */
static int open_stdio(struct err *err)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd < 0)
		return err_sys(err, errno, "cannot open /dev/null");
	dup2(fd, STDIN_FILENO);
	close(fd);
	return 0;
}

static int run(const struct settings *settings, struct err *err)
{
	scoped_fd int lock = -1;

	if (settings->config.check_only) {
		puts("ok");
		return 0;
	}
	if (geteuid() != 0)
		return err_set(err, ERR_FAILED_PRECONDITION, "must be started as root");
	umask(022);
	if (open_stdio(err) < 0 || directories_prepare(settings, err) < 0 ||
	    directories_lock(settings, &lock, err) < 0)
		return -1;
	return monitor_run(settings, err);
}

int main(int argc, char **argv)
{
	struct settings settings;
	struct err err;
	int r = settings_read(&settings, argc, argv, &err), status = 0;

	if (r == 0 && settings.check && !settings.config.check_only)
		status = check_main(&settings);
	else if (r == 0)
		r = run(&settings, &err);
	if (r < 0)
		log_error("%s", err.message);
	settings_done(&settings);
	return r < 0 ? 1 : status;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PID 1 of a guest. It sets the machine up as its config disk says, runs one command, tells
 * the host how that ended, and switches the machine off.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "agent.h"
#include "command.h"
#include "common/clock.h"
#include "common/scoped.h"
#include "config.h"
#include "disk.h"
#include "module.h"
#include "net.h"
#include "report.h"
#include "volume.h"

#define AGENT_LIFE_MIN_MS 1000
#define QUIET_PORT_MS	  500 /* between looks at a report port that nobody has open */

struct init {
	int console;
	int signals; /* signalfd of SIGCHLD */
	struct report report;
	struct guest_config config;
	struct command command;
	pid_t agent; /* 0: none */
	long long agent_began_ms;

	bool ended; /* the command did, with `status` */
	int status;
	enum command_event last_event;
	long long kill_at_ms; /* 0: nobody asked to stop */
};

/* The command's bytes reach the host's log as they are: no carriage returns added. */
static int console_open(void)
{
	int fd = open("/dev/console", O_RDWR | O_NOCTTY | O_CLOEXEC);
	struct termios mode;

	if (fd >= 0 && tcgetattr(fd, &mode) == 0) {
		mode.c_oflag &= ~(tcflag_t)OPOST;
		tcsetattr(fd, TCSANOW, &mode);
	}
	return fd;
}

static int machine_open(struct init *init, struct err *err)
{
	sigset_t child;

	mkdir("/dev", 0755);
	mkdir("/sys", 0755);
	if (mount("devtmpfs", "/dev", "devtmpfs", MS_NOSUID, "mode=0755") < 0)
		return err_sys(err, errno, "cannot mount /dev");
	init->console = console_open();
	if (init->console < 0)
		return err_sys(err, errno, "cannot open the console");
	if (mount("sysfs", "/sys", "sysfs", MS_NOSUID | MS_NOEXEC | MS_NODEV, NULL) < 0)
		return err_sys(err, errno, "cannot mount /sys");
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, NULL);
	init->signals = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
	if (init->signals < 0)
		return err_sys(err, errno, "cannot watch processes");
	return 0;
}

static int config_load(struct init *init, struct err *err)
{
	scoped_free uint8_t *data = NULL;
	size_t length;

	if (disk_read(GUEST_DISK_CONFIG, GUEST_CONFIG_MAX_BYTES, &data, &length, err) < 0)
		return -1;
	return guest_config_parse(data, length, &init->config, err);
}

static int set_up(struct init *init, struct err *err)
{
	if (machine_open(init, err) < 0 || module_load_all(err) < 0)
		return -1;
	report_open(&init->report);
	if (config_load(init, err) < 0 || net_configure(&init->config, err) < 0 ||
	    disk_mount_root(err) < 0 || volume_mount_all(&init->config, err) < 0)
		return -1;
	const struct command_spec spec = {
		.config = &init->config,
		.args = init->config.args,
		.cwd = "",
		.stdio = { -1, init->console, init->console },
		.makes_root = true,
	};

	return command_start(&init->command, &spec, err);
}

/* Supervision. */

static void start_agent(struct init *init)
{
	init->agent = agent_start(&init->config, init->command.pid);
	init->agent_began_ms = clock_monotonic_ms();
}

/* Another, unless it cannot live: then the guest has none. */
static void replace_agent(struct init *init)
{
	init->agent = 0;
	if (!init->ended && clock_monotonic_ms() - init->agent_began_ms > AGENT_LIFE_MIN_MS)
		start_agent(init);
}

static void take_command_event(struct init *init)
{
	enum command_event event = command_next_event(&init->command);

	if (event == COMMAND_READY) {
		report_send(&init->report, "started");
		start_agent(init);
	} else if (event != COMMAND_EXECUTED) {
		init->last_event = event;
	}
}

static void reap(struct init *init)
{
	struct signalfd_siginfo news;
	int status;
	pid_t pid;

	while (read(init->signals, &news, sizeof(news)) > 0)
		;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == init->command.pid) {
			init->ended = true;
			init->status = status;
		} else if (pid == init->agent) {
			replace_agent(init);
		}
	}
}

/* A second word may shorten the grace, not lengthen it. */
static void stop_command(struct init *init, int grace_ms)
{
	long long kill_at_ms = clock_monotonic_ms() + grace_ms;

	if (init->kill_at_ms == 0)
		kill(init->command.pid, SIGTERM);
	if (init->kill_at_ms == 0 || kill_at_ms < init->kill_at_ms)
		init->kill_at_ms = kill_at_ms;
}

static void take_report(struct init *init)
{
	int grace_ms = report_read_stop(&init->report);

	if (grace_ms >= 0)
		stop_command(init, grace_ms);
}

/* How long poll may sleep; kills when the grace is over. */
static int next_timeout_ms(struct init *init, bool port_is_quiet)
{
	long long timeout = port_is_quiet ? QUIET_PORT_MS : -1, left;

	if (init->kill_at_ms == 0)
		return (int)timeout;
	left = init->kill_at_ms - clock_monotonic_ms();
	if (left <= 0) {
		kill(-1, SIGKILL);
		left = 1000;
	}
	return (int)(timeout < 0 || left < timeout ? left : timeout);
}

static void supervise(struct init *init)
{
	bool port_is_quiet = false;

	while (!init->ended) {
		struct pollfd polls[] = {
			{ .fd = init->signals, .events = POLLIN },
			{ .fd = init->command.events, .events = POLLIN },
			{ .fd = port_is_quiet ? -1 : init->report.fd, .events = POLLIN },
		};

		poll(polls, 3, next_timeout_ms(init, port_is_quiet));
		/* A port that nobody has open is ready all the time. */
		port_is_quiet = (polls[2].revents & (POLLIN | POLLHUP)) == POLLHUP;
		if (polls[1].revents)
			take_command_event(init);
		if (polls[2].revents)
			take_report(init);
		if (polls[0].revents)
			reap(init);
	}
	while (init->command.events >= 0)
		take_command_event(init);
}

static void report_end(struct init *init)
{
	const char *why = init->command.err.message;

	switch (init->last_event) {
	case COMMAND_NOT_SET_UP:
		dprintf(init->console, "hypeman: the guest cannot be set up: %s\n", why);
		report_send(&init->report, "failed %s", why);
		return;
	case COMMAND_NOT_FOUND:
	case COMMAND_NOT_EXECUTABLE:
		dprintf(init->console, "hypeman: %s\n", why);
		report_send(&init->report, "exit %d %s",
			    init->last_event == COMMAND_NOT_FOUND ? 127 : 126, why);
		return;
	default:
		break;
	}
	if (WIFSIGNALED(init->status))
		report_send(&init->report, "exit %d killed by signal %d (%s)",
			    128 + WTERMSIG(init->status), WTERMSIG(init->status),
			    strsignal(WTERMSIG(init->status)));
	else
		report_send(&init->report, "exit %d exited with code %d", WEXITSTATUS(init->status),
			    WEXITSTATUS(init->status));
}

__attribute__((noreturn)) static void power_off(const struct init *init)
{
	kill(-1, SIGKILL);
	while (wait(NULL) > 0 || errno == EINTR)
		;
	volume_unmount_all(&init->config);
	disk_unmount_root();
	sync();
	if (init->console >= 0)
		tcdrain(init->console);
	reboot(RB_POWER_OFF);
	_exit(1); /* a panic, which ends the VM too */
}

int main(void)
{
	struct init init = { .console = -1,
			     .signals = -1,
			     .report = { .fd = -1 },
			     .command = { .events = -1 },
			     .last_event = COMMAND_EXECUTED };
	struct err err;

	if (set_up(&init, &err) < 0) {
		dprintf(init.console, "hypeman: the guest cannot be set up: %s\n", err.message);
		report_send(&init.report, "failed %s", err.message);
		power_off(&init);
	}
	supervise(&init);
	report_end(&init);
	power_off(&init);
}

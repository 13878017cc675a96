/* SPDX-License-Identifier: Apache-2.0 */
#include "monitor.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/scoped.h"
#include "common/send_fd.h"
#include "request.h"
#include "serve_process.h"
#include "worker.h"
#include "workers.h"

#define PREPARE_MS	 10000 /* for the host to answer at start */
#define RESTART_FIRST_MS 100
#define RESTART_MAX_MS	 10000
#define RESTART_CALM_MS	 30000 /* a serve that lived so long starts again without delay */
#define SERVE_STOP_MS	 16000 /* longer than any request's deadline */
#define SERVE_CLOSED_MS	 1000
#define WORKERS_STOP_MS	 10000 /* a kernel write's deadline */
#define WORKERS_LEAVE_MS 2000  /* at the end: killed ones are gone by then, or stuck */

struct monitor {
	const struct settings *settings; /* borrowed */
	int signals;			 /* owned; signalfd */
	struct serve_process serve;
	struct workers workers;
	int64_t serve_started_ms;
	int64_t serve_ended_ms;
	int64_t restart_delay_ms;
	int64_t kill_serve_at_ms; /* 0: it may live */
	bool stopping;
	bool complained; /* about this serve's malformed packets */
};

/* ---- serve's requests -------------------------------------------------------------- */

/* take_fd: goes along with the reply; -1: none. false: serve does not take its answers. */
static bool reply_send(struct monitor *monitor, struct monitor_reply *reply, int take_fd)
{
	scoped_fd int fd = take_fd;

	reply->version = OPS_VERSION;
	return send_fd(monitor->serve.socket, reply, sizeof(*reply), fd) == 0;
}

/* Nothing more is heard from it; its death comes as SIGCHLD. */
static void serve_hang_up(struct monitor *monitor)
{
	if (monitor->serve.socket >= 0)
		close(monitor->serve.socket);
	monitor->serve.socket = -1;
}

static void serve_kill(struct monitor *monitor, const char *why)
{
	log_error("killing gpu-agent-serve (pid %d): %s", monitor->serve.pid, why);
	kill(monitor->serve.pid, SIGKILL);
	serve_hang_up(monitor);
	monitor->kill_serve_at_ms = 0;
}

/* Its socket closes before it is quite dead. One that lives on without is of no use. */
static void serve_closed(struct monitor *monitor)
{
	serve_hang_up(monitor);
	if (monitor->kill_serve_at_ms == 0)
		monitor->kill_serve_at_ms = clock_monotonic_ms() + SERVE_CLOSED_MS;
}

static void answer(struct monitor *monitor, const struct monitor_request *request, size_t size)
{
	struct monitor_reply reply;
	const char *complaint = request_check_monitor(request, size);
	int fd = -1;

	memset(&reply, 0, sizeof(reply)); /* no stray bytes cross */
	if (complaint) {
		if (!monitor->complained)
			log_warning("gpu-agent-serve: %s, refusing it", complaint);
		monitor->complained = true;
		reply.kind = MONITOR_FAILED;
		reply.error = EINVAL;
	} else if (request->kind == MONITOR_GIVE_UP_WORKER) {
		workers_give_up(&monitor->workers, request->worker_id);
		return;
	} else {
		fd = workers_start(&monitor->workers, monitor->settings, &reply);
	}
	if (!reply_send(monitor, &reply, fd))
		serve_kill(monitor, "it does not read the monitor's answers");
}

/* recv() without a control buffer: descriptors that serve may attach are dropped. */
static void read_request(struct monitor *monitor)
{
	struct monitor_request request;
	ssize_t size =
		recv(monitor->serve.socket, &request, sizeof(request), MSG_DONTWAIT | MSG_TRUNC);

	if (size > 0)
		answer(monitor, &request, (size_t)size);
	else if (size == 0)
		serve_closed(monitor);
	else if (errno != EAGAIN && errno != EINTR)
		serve_kill(monitor, strerror(errno));
}

/* ---- life of serve ----------------------------------------------------------------- */

static void describe_end(int status, char *text, size_t size)
{
	if (WIFSIGNALED(status))
		snprintf(text, size, "was killed by signal %d", WTERMSIG(status));
	else
		snprintf(text, size, "ended with status %d", WEXITSTATUS(status));
}

/* Work that nobody waits for any more would only surprise the next serve. */
static void serve_ended(struct monitor *monitor, int status)
{
	int64_t now = clock_monotonic_ms();
	char how[64];

	describe_end(status, how, sizeof(how));
	serve_process_forget(&monitor->serve);
	monitor->kill_serve_at_ms = 0;
	workers_give_up_all(&monitor->workers);
	monitor->serve_ended_ms = now;
	if (monitor->stopping) {
		log_info("gpu-agent-serve %s", how);
		return;
	}
	if (now - monitor->serve_started_ms >= RESTART_CALM_MS)
		monitor->restart_delay_ms = RESTART_FIRST_MS;
	log_error("gpu-agent-serve %s, starting it again in %lld ms", how,
		  (long long)monitor->restart_delay_ms);
}

/* The next serve's first look at the host must not race with what its predecessor began. */
static bool may_restart(const struct monitor *monitor, int64_t now)
{
	int64_t waited = now - monitor->serve_ended_ms;

	if (waited < monitor->restart_delay_ms)
		return false;
	return workers_are_idle(&monitor->workers) || waited >= WORKERS_STOP_MS;
}

static void serve_start(struct monitor *monitor)
{
	struct err err;

	monitor->serve_started_ms = monitor->serve_ended_ms = clock_monotonic_ms();
	monitor->restart_delay_ms *= 2;
	if (monitor->restart_delay_ms > RESTART_MAX_MS)
		monitor->restart_delay_ms = RESTART_MAX_MS;
	monitor->complained = false;
	if (serve_process_start(&monitor->serve, monitor->settings, &err) < 0)
		log_error("%s", err.message);
	else
		log_info("started gpu-agent-serve (pid %d)", monitor->serve.pid);
}

static void stop(struct monitor *monitor)
{
	if (monitor->stopping)
		return;
	monitor->stopping = true;
	log_info("stopping");
	if (monitor->serve.pid == 0)
		return;
	kill(monitor->serve.pid, SIGTERM);
	monitor->kill_serve_at_ms = clock_monotonic_ms() + SERVE_STOP_MS;
}

/* ---- the loop ---------------------------------------------------------------------- */

static void reap(struct monitor *monitor)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == monitor->serve.pid)
			serve_ended(monitor, status);
		else
			workers_reap(&monitor->workers, monitor->settings, pid, status);
	}
}

static void read_signals(struct monitor *monitor)
{
	struct signalfd_siginfo info;

	while (read(monitor->signals, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGCHLD)
			reap(monitor);
		else
			stop(monitor);
	}
}

static void check_clock(struct monitor *monitor)
{
	int64_t now = clock_monotonic_ms();

	if (!monitor->stopping && monitor->serve.pid == 0 && may_restart(monitor, now))
		serve_start(monitor);
	if (monitor->kill_serve_at_ms != 0 && now >= monitor->kill_serve_at_ms)
		serve_kill(monitor, "it did not end in time");
}

/* What is left after the wait is in state D and dies when the kernel lets it. */
static bool is_done(const struct monitor *monitor)
{
	if (!monitor->stopping || monitor->serve.pid != 0)
		return false;
	return workers_are_idle(&monitor->workers) ||
	       clock_monotonic_ms() - monitor->serve_ended_ms >= WORKERS_LEAVE_MS;
}

static void loop(struct monitor *monitor)
{
	while (!is_done(monitor)) {
		bool running = monitor->serve.socket >= 0 && !monitor->stopping;
		struct pollfd fds[] = {
			{ .fd = monitor->signals, .events = POLLIN },
			{ .fd = monitor->serve.socket, .events = POLLIN },
		};

		/* While something is due the clock is looked at ten times a second. */
		if (poll(fds, 2, running ? -1 : 100) < 0 && errno != EINTR)
			log_error("poll: %s", strerror(errno));
		if (fds[1].revents && monitor->serve.socket >= 0)
			read_request(monitor);
		if (fds[0].revents)
			read_signals(monitor);
		check_clock(monitor);
	}
	if (workers_count(&monitor->workers) > 0)
		log_warning("leaving %zu workers that the kernel does not let die",
			    workers_count(&monitor->workers));
}

/* The first contact with the host, in a child: it may never answer. */
static int prepare(const struct monitor *monitor, struct err *err)
{
	int64_t deadline = clock_monotonic_ms() + PREPARE_MS;
	pid_t parent = getpid(), pid = fork();
	int status;

	if (pid < 0)
		return err_sys(err, errno, "cannot fork");
	if (pid == 0)
		worker_prepare(monitor->settings, parent);
	while (waitpid(pid, &status, WNOHANG) == 0) {
		struct pollfd fd = { .fd = monitor->signals, .events = POLLIN };
		struct signalfd_siginfo info;

		if (clock_monotonic_ms() >= deadline) {
			kill(pid, SIGKILL);
			return err_set(err, ERR_UNAVAILABLE, "%s or the journal does not answer",
				       monitor->settings->sysfs_root);
		}
		poll(&fd, 1, 100);
		if (read(monitor->signals, &info, sizeof(info)) == sizeof(info) &&
		    info.ssi_signo != SIGCHLD) {
			kill(pid, SIGKILL);
			return err_set(err, ERR_CANCELLED, "stopped while starting");
		}
	}
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return err_set(err, ERR_FAILED_PRECONDITION,
			       "cannot work on this host (see the line before this one)");
	return 0;
}

static int signals_open(struct monitor *monitor, struct err *err)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	signal(SIGPIPE, SIG_IGN);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return err_sys(err, errno, "cannot block signals");
	monitor->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (monitor->signals < 0)
		return err_sys(err, errno, "cannot read signals");
	return 0;
}

int monitor_run(const struct settings *settings, struct err *err)
{
	struct monitor monitor = {
		.settings = settings,
		.signals = -1,
		.serve = SERVE_PROCESS_NONE,
		.restart_delay_ms = RESTART_FIRST_MS,
	};

	if (signals_open(&monitor, err) < 0)
		return -1;
	if (prepare(&monitor, err) < 0) {
		close(monitor.signals);
		return -1;
	}
	serve_start(&monitor);
	loop(&monitor);
	close(monitor.signals);
	return 0;
}

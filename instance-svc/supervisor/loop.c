/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#include "common/clock.h"

#define DEFAULT_GRACE_MS 10000 /* for a stop by signal: the host goes down */

#define NETWORK_START_MS 10000 /* pasta and passt take a tenth of a second */

#define LOG_READ_BYTES (16 * 1024)
#define DRAIN_READS    64 /* of at least a pipe's buffer in all */

/* The sources of the loop, in the order of the pollfd array; clients come after them. */
enum source {
	FROM_SIGNALS,
	FROM_LISTENER,
	FROM_CONSOLE,
	FROM_OUTPUT,
	FROM_REPORT,
	FROM_QMP,
	FROM_INFO,
	SOURCE_COUNT,
};

/* Reads what is there. At the end of the file the descriptor is closed and set to -1. */
static ssize_t read_some(int *fd, char *bytes, size_t size)
{
	ssize_t n = read(*fd, bytes, size);

	if (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR)))
		return n;
	close(*fd);
	*fd = -1;
	return 0;
}

static bool copy_console(struct supervisor *sv)
{
	char bytes[LOG_READ_BYTES];
	ssize_t n = read_some(&sv->console, bytes, sizeof(bytes));

	if (n > 0) {
		log_writer_write(&sv->app_log, bytes, (size_t)n);
		shape_bucket_take(&sv->console_rate, (size_t)n);
	}
	return n > 0;
}

/* Keeps the last line that is not empty. */
static void remember_output(struct supervisor *sv, const char *bytes, size_t size)
{
	size_t end = size, start;

	while (end > 0 && (bytes[end - 1] == '\n' || bytes[end - 1] == '\r'))
		end--;
	for (start = end; start > 0 && bytes[start - 1] != '\n'; start--)
		;
	if (end > start)
		snprintf(sv->last_output, sizeof(sv->last_output), "%.*s", (int)(end - start),
			 bytes + start);
}

static bool copy_output(struct supervisor *sv)
{
	char bytes[LOG_READ_BYTES];
	ssize_t n = read_some(&sv->output, bytes, sizeof(bytes));

	if (n > 0) {
		log_writer_write(&sv->vmm_log, bytes, (size_t)n);
		shape_bucket_take(&sv->output_rate, (size_t)n);
		remember_output(sv, bytes, (size_t)n);
	}
	return n > 0;
}

/* No more than a pipe holds: others may still be writing. */
static void drain_output(struct supervisor *sv)
{
	for (int i = 0; i < DRAIN_READS && sv->output >= 0 && copy_output(sv); i++)
		;
}

/* The first word about the end counts: the guest cannot take it back. */
static void take_report(struct supervisor *sv, const char *line)
{
	struct report report;

	if (report_parse(line, &report) < 0) {
		log_event(sv->logs, "the guest reports something unknown: %.100s", line);
		return;
	}
	if (report.kind == REPORT_STARTED && !sv->guest_started) {
		sv->guest_started = true;
		log_event(sv->logs, "the guest runs its command");
		supervisor_tell_watchers(sv);
	} else if (report.kind == REPORT_EXIT && !sv->has_report) {
		log_event(sv->logs, "the command ended with code %d: %.200s", report.exit_code,
			  report.text);
	} else if (report.kind == REPORT_FAILED && !sv->has_report) {
		log_event(sv->logs, "the guest could not start: %.200s", report.text);
	}
	if (report.kind != REPORT_STARTED && !sv->has_report) {
		sv->has_report = true;
		sv->report = report;
	}
}

static bool read_report(struct supervisor *sv)
{
	char bytes[1024];
	ssize_t n = read_some(&sv->report_fd, bytes, sizeof(bytes));

	for (size_t at = 0; n > 0 && at < (size_t)n;) {
		const char *line;

		at += report_reader_feed(&sv->report_reader, bytes + at, (size_t)n - at, &line);
		if (line)
			take_report(sv, line);
	}
	return n > 0;
}

void supervisor_note_running(struct supervisor *sv)
{
	sv->started_ms = clock_realtime_ms();
	if (sv->phase == VM_PHASE_STARTING)
		sv->phase = VM_PHASE_RUNNING;
	log_event(sv->logs, "the VM runs");
	supervisor_tell_watchers(sv);
}

static void take_event(struct supervisor *sv, enum qmp_event event)
{
	switch (event) {
	case QMP_READY:
		supervisor_save_prepare(sv);
		if (sv->options->restore)
			supervisor_restore(sv);
		else
			supervisor_note_running(sv);
		break;
	case QMP_SHUTDOWN:
		sv->shuts_down = true;
		log_event(sv->logs, "the VM shuts down: %s", sv->qmp.text);
		break;
	case QMP_PANICKED:
		log_event(sv->logs, "the guest's kernel panicked");
		break;
	case QMP_REFUSED:
		log_event(sv->logs, "QEMU refuses a command: %s", sv->qmp.text);
		supervisor_save_refused(sv, sv->qmp.text);
		break;
	case QMP_MIGRATION:
		supervisor_save_event(sv, sv->qmp.text);
		break;
	case QMP_BLOCKSTATS:
		supervisor_send_stats(sv);
		break;
	case QMP_BROKEN:
		log_event(sv->logs, "QEMU's monitor sends nonsense: not listening any longer");
		close(sv->qmp_fd);
		sv->qmp_fd = sv->qmp.fd = -1;
		break;
	case QMP_NOTHING:
		break;
	}
}

static void read_qmp(struct supervisor *sv)
{
	char bytes[4096];
	ssize_t n = read_some(&sv->qmp_fd, bytes, sizeof(bytes));

	sv->qmp.fd = sv->qmp_fd;
	for (size_t at = 0; n > 0 && at < (size_t)n && sv->qmp.fd >= 0;) {
		enum qmp_event event;

		at += qmp_feed(&sv->qmp, bytes + at, (size_t)n - at, &event);
		take_event(sv, event);
	}
}

/* bubblewrap's {"child-pid": N, ...} */
static void read_info(struct supervisor *sv)
{
	ssize_t n = read_some(&sv->info, sv->info_text + sv->info_size,
			      sizeof(sv->info_text) - sv->info_size);
	const cJSON *pid;
	cJSON *info;

	if (n > 0)
		sv->info_size += (size_t)n;
	if (sv->info_size == sizeof(sv->info_text) && sv->info >= 0) {
		close(sv->info);
		sv->info = -1;
	}
	info = cJSON_ParseWithLength(sv->info_text, sv->info_size);
	pid = cJSON_GetObjectItemCaseSensitive(info, "child-pid");
	if (cJSON_IsNumber(pid) && pid->valueint > 1)
		sv->vmm = pid->valueint;
	cJSON_Delete(info);
}

/*
 * A VM that never had its network is worth nothing to who asked for one: its start fails. passt
 * ends with 0 when QEMU has let go of the link.
 */
static void take_network_end(struct supervisor *sv, int status)
{
	sv->network = 0;
	if (sv->stop != STOP_NONE || sv->shuts_down)
		return;
	if (status == 0 || sv->guest_started ||
	    clock_monotonic_ms() - sv->born_ms > NETWORK_START_MS) {
		log_event(sv->logs, "the network helper ended: the VM has no network now");
		return;
	}
	drain_output(sv);
	snprintf(sv->failure, sizeof(sv->failure), "cannot set up the VM's network: %.150s",
		 sv->last_output[0] ? sv->last_output : "pasta says nothing");
	supervisor_quit(sv);
}

/* True when the VM has ended, with its status. */
static bool reap(struct supervisor *sv, int *ret_status)
{
	int status;

	if (sv->network > 0 && waitpid(sv->network, &status, WNOHANG) == sv->network)
		take_network_end(sv, status);
	if (sv->jail > 0 && waitpid(sv->jail, ret_status, WNOHANG) == sv->jail) {
		sv->jail = 0;
		sv->vmm = 0;
		return true;
	}
	return false;
}

static void take_signals(struct supervisor *sv)
{
	struct signalfd_siginfo info;

	while (read(sv->signals, &info, sizeof(info)) == (ssize_t)sizeof(info))
		if (info.ssi_signo != SIGCHLD)
			supervisor_stop(sv, DEFAULT_GRACE_MS, true);
}

static void dispatch(struct supervisor *sv, const struct pollfd *fds)
{
	if (fds[FROM_SIGNALS].revents)
		take_signals(sv);
	if (fds[FROM_CONSOLE].revents)
		(void)copy_console(sv);
	if (fds[FROM_OUTPUT].revents)
		(void)copy_output(sv);
	if (fds[FROM_REPORT].revents)
		(void)read_report(sv);
	if (fds[FROM_QMP].revents)
		read_qmp(sv);
	if (fds[FROM_INFO].revents)
		read_info(sv);
	for (size_t i = 0; i < SUPERVISOR_CLIENTS_MAX; i++)
		if (sv->clients[i].fd >= 0 && sv->clients[i].fd == fds[SOURCE_COUNT + i].fd &&
		    fds[SOURCE_COUNT + i].revents)
			supervisor_serve_client(sv, &sv->clients[i]);
	if (fds[FROM_LISTENER].revents)
		supervisor_accept(sv);
}

/*
 * What the guest said last is still in the sockets when QEMU is gone: no more than they hold,
 * since the network's helpers may still be writing.
 */
static void drain(struct supervisor *sv)
{
	for (int i = 0; i < DRAIN_READS && sv->console >= 0 && copy_console(sv); i++)
		;
	drain_output(sv);
	for (int i = 0; i < DRAIN_READS && sv->report_fd >= 0 && read_report(sv); i++)
		;
}

/*
 * One that writes without end waits, so that it costs neither processor nor disk that others
 * need. Its descriptor, or -1 for now, and the time until it is looked at again.
 */
static int readable_at_rate(int fd, struct shape_bucket *rate, int *timeout_ms)
{
	int wait;

	if (fd < 0 || shape_bucket_look(rate, shape_now_ns()) >= LOG_READ_BYTES)
		return fd;
	wait = shape_bucket_wait_ms(rate);
	if (*timeout_ms < 0 || wait < *timeout_ms)
		*timeout_ms = wait;
	return -1;
}

int supervisor_run(struct supervisor *sv)
{
	int status = 0;

	while (!reap(sv, &status)) {
		int timeout_ms = supervisor_stop_timeout(sv);
		struct pollfd fds[SOURCE_COUNT + SUPERVISOR_CLIENTS_MAX] = {
			[FROM_SIGNALS] = { .fd = sv->signals },
			[FROM_LISTENER] = { .fd = sv->listener },
			[FROM_CONSOLE] = { .fd = readable_at_rate(sv->console, &sv->console_rate,
								  &timeout_ms) },
			[FROM_OUTPUT] = { .fd = readable_at_rate(sv->output, &sv->output_rate,
								 &timeout_ms) },
			[FROM_REPORT] = { .fd = sv->report_fd },
			[FROM_QMP] = { .fd = sv->qmp_fd },
			[FROM_INFO] = { .fd = sv->info },
		};

		for (size_t i = 0; i < SUPERVISOR_CLIENTS_MAX; i++)
			fds[SOURCE_COUNT + i].fd = sv->clients[i].fd;
		for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
			fds[i].events = POLLIN;
		if (poll(fds, sizeof(fds) / sizeof(fds[0]), timeout_ms) > 0)
			dispatch(sv, fds);
		supervisor_stop_tick(sv);
	}
	drain(sv);
	return status;
}

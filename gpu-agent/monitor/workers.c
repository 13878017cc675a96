/* SPDX-License-Identifier: Apache-2.0 */
#include "workers.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/log.h"
#include "common/scoped.h"
#include "worker.h"

size_t workers_count(const struct workers *workers)
{
	size_t count = 0;

	for (size_t i = 0; i < OPS_WORKERS_MAX; i++)
		count += workers->slots[i].pid != 0;
	return count;
}

static void list_stuck(const struct workers *workers, struct monitor_reply *reply)
{
	for (size_t i = 0; i < OPS_WORKERS_MAX; i++)
		if (workers->slots[i].pid != 0 && workers->slots[i].given_up)
			reply->stuck[reply->stuck_workers++] = workers->slots[i].id;
}

static struct worker_slot *find_pid(struct workers *workers, pid_t pid)
{
	for (size_t i = 0; i < OPS_WORKERS_MAX; i++)
		if (workers->slots[i].pid == pid)
			return &workers->slots[i];
	return NULL;
}

/* The descriptor for serve, or -errno. */
static int fork_worker(struct worker_slot *slot, const struct settings *settings)
{
	pid_t monitor = getpid();
	int ends[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return -errno;
	pid = fork();
	if (pid == 0)
		worker_serve(settings, monitor, ends[0]);
	close(ends[0]);
	if (pid < 0) {
		close(ends[1]);
		return -EAGAIN;
	}
	slot->pid = pid;
	return ends[1];
}

int workers_start(struct workers *workers, const struct settings *settings,
		  struct monitor_reply *reply)
{
	struct worker_slot *slot = find_pid(workers, 0);
	int fd;

	list_stuck(workers, reply);
	if (reply->stuck_workers >= OPS_STUCK_MAX) {
		reply->kind = MONITOR_TOO_MANY_STUCK;
		return -1;
	}
	if (!slot) {
		reply->kind = MONITOR_TOO_MANY_WORKERS;
		return -1;
	}
	fd = fork_worker(slot, settings);
	if (fd < 0) {
		log_error("cannot start a worker: %s", strerror(-fd));
		reply->kind = MONITOR_FAILED;
		reply->error = -fd;
		return -1;
	}
	slot->id = ++workers->last_id;
	slot->given_up = false;
	reply->kind = MONITOR_WORKER_STARTED;
	reply->worker_id = slot->id;
	return fd;
}

static void give_up(struct worker_slot *slot)
{
	if (slot->pid == 0 || slot->given_up)
		return;
	slot->given_up = true;
	kill(slot->pid, SIGKILL);
}

void workers_give_up(struct workers *workers, uint64_t id)
{
	for (size_t i = 0; i < OPS_WORKERS_MAX; i++) {
		struct worker_slot *slot = &workers->slots[i];

		if (slot->pid == 0 || slot->id != id || slot->given_up)
			continue;
		log_warning("worker %" PRIu64 " (pid %d) does not answer, killing it", id,
			    slot->pid);
		give_up(slot);
	}
}

void workers_give_up_all(struct workers *workers)
{
	for (size_t i = 0; i < OPS_WORKERS_MAX; i++)
		give_up(&workers->slots[i]);
}

static void start_settler(struct workers *workers, const struct settings *settings)
{
	pid_t monitor = getpid(), pid = fork();

	if (pid == 0)
		worker_settle(settings, monitor);
	if (pid < 0) {
		log_error("cannot fork: %s", strerror(errno)); /* the next reap tries again */
		return;
	}
	workers->settler = pid;
	workers->unsettled = false;
}

void workers_reap(struct workers *workers, const struct settings *settings, pid_t pid, int status)
{
	struct worker_slot *slot = find_pid(workers, pid);

	if (pid == workers->settler)
		workers->settler = 0;
	if (slot) {
		*slot = (struct worker_slot){ 0 };
		workers->unsettled |= WIFSIGNALED(status);
	}
	if (workers->unsettled && workers->settler == 0)
		start_settler(workers, settings);
}

bool workers_are_idle(const struct workers *workers)
{
	return workers_count(workers) == 0 && workers->settler == 0;
}

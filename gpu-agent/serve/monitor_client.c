/* SPDX-License-Identifier: Apache-2.0 */
#include "monitor_client.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "clock.h"

#define MONITOR_TIMEOUT_MS 5000 /* it only forks: longer means that it is gone */
#define SCAN_TIMEOUTS	   12	/* of a scan in all, while it goes on */

struct monitor_client {
	int fd;
	pthread_mutex_t talk; /* one request and its reply at a time; guards broken */
	bool broken;	      /* a reply is missing: what comes next cannot be matched */

	pthread_mutex_t lock; /* guards free_writes */
	pthread_cond_t freed;
	unsigned free_writes;
};

struct monitor_client *monitor_client_new(int take_fd, unsigned writes)
{
	struct monitor_client *client = calloc(1, sizeof(*client));

	if (!client) {
		close(take_fd);
		return NULL;
	}
	client->fd = take_fd;
	client->free_writes = writes;
	pthread_mutex_init(&client->talk, NULL);
	pthread_mutex_init(&client->lock, NULL);
	clock_cond_init(&client->freed);
	return client;
}

void monitor_client_free(struct monitor_client *client)
{
	if (!client)
		return;
	close(client->fd);
	pthread_mutex_destroy(&client->talk);
	pthread_mutex_destroy(&client->lock);
	pthread_cond_destroy(&client->freed);
	free(client);
}

void outcome_done(struct outcome *outcome)
{
	free(outcome->records);
	*outcome = (struct outcome){ 0 };
}

static void end(struct outcome *outcome, enum outcome_kind kind, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void end(struct outcome *outcome, enum outcome_kind kind, const char *format, ...)
{
	va_list args;

	outcome->kind = kind;
	va_start(args, format);
	vsnprintf(outcome->result.message, sizeof(outcome->result.message), format, args);
	va_end(args);
}

/* ---- A worker from the monitor -------------------------------------------------- */

static int send_packet(int fd, const void *packet, size_t size)
{
	ssize_t sent;

	do
		sent = send(fd, packet, size, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	return sent == (ssize_t)size ? 0 : -errno;
}

/* 0 once readable (or closed), -ECANCELED, -ETIMEDOUT, or -errno. cancel_fd may be -1. */
static int wait_readable(int fd, int cancel_fd, int64_t deadline_ms)
{
	for (;;) {
		struct pollfd pollfds[] = {
			{ .fd = fd, .events = POLLIN },
			{ .fd = cancel_fd, .events = POLLIN },
		};
		int64_t left = deadline_ms - clock_monotonic_ms();
		int r = poll(pollfds, 2, left > 0 ? (int)left : 0);

		if (r > 0)
			return pollfds[1].revents ? -ECANCELED : 0;
		if (r == 0)
			return -ETIMEDOUT;
		if (errno != EINTR)
			return -errno;
	}
}

static int take_descriptor(struct msghdr *message)
{
	struct cmsghdr *header = CMSG_FIRSTHDR(message);
	int fd = -1;

	if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS &&
	    header->cmsg_len == CMSG_LEN(sizeof(fd)))
		memcpy(&fd, CMSG_DATA(header), sizeof(fd));
	return fd;
}

/* *ret_fd is -1 when the reply carries none. */
static int receive_reply(int fd, struct monitor_reply *reply, int *ret_fd)
{
	char control[CMSG_SPACE(sizeof(int))];
	struct iovec iovec = { .iov_base = reply, .iov_len = sizeof(*reply) };
	struct msghdr message = {
		.msg_iov = &iovec,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	int r = wait_readable(fd, -1, clock_monotonic_ms() + MONITOR_TIMEOUT_MS);
	ssize_t size;

	if (r < 0)
		return r;
	do
		size = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
	while (size < 0 && errno == EINTR);
	if (size < 0)
		return -errno;
	*ret_fd = take_descriptor(&message);
	if (size == 0)
		return -ECONNRESET;
	if (size != sizeof(*reply) || (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) ||
	    reply->version != OPS_VERSION || reply->stuck_workers > OPS_WORKERS_MAX)
		return -EPROTO;
	return 0;
}

static int ask_locked(struct monitor_client *client, struct monitor_reply *reply, int *ret_fd)
{
	const struct monitor_request request = { OPS_VERSION, MONITOR_START_WORKER, 0 };
	int r;

	if (client->broken)
		return -EPIPE;
	r = send_packet(client->fd, &request, sizeof(request));
	if (r == 0)
		r = receive_reply(client->fd, reply, ret_fd);
	client->broken = r < 0;
	return r;
}

/* The worker's socket, or -1 with the outcome ended. */
static int start_worker(struct monitor_client *client, struct monitor_reply *reply,
			struct outcome *outcome)
{
	scoped_fd int fd = -1;
	int r;

	pthread_mutex_lock(&client->talk);
	r = ask_locked(client, reply, &fd);
	pthread_mutex_unlock(&client->talk);

	if (r < 0) {
		end(outcome, OUTCOME_NOT_STARTED, "no answer from gpu-agent's monitor: %s",
		    strerror(-r));
		return -1;
	}
	outcome->stuck_count = reply->stuck_workers;
	memcpy(outcome->stuck, reply->stuck, sizeof(outcome->stuck));
	if (reply->kind == MONITOR_WORKER_STARTED && fd >= 0) {
		outcome->worker_id = reply->worker_id;
		return TAKE_FD(fd);
	}
	if (reply->kind == MONITOR_TOO_MANY_STUCK)
		end(outcome, OUTCOME_NOT_STARTED,
		    "%u workers are stuck in the kernel, no more are started",
		    reply->stuck_workers);
	else if (reply->kind == MONITOR_TOO_MANY_WORKERS)
		end(outcome, OUTCOME_NOT_STARTED, "too many operations run at once");
	else
		end(outcome, OUTCOME_NOT_STARTED, "the monitor could not start a worker: %s",
		    strerror(reply->error));
	return -1;
}

static void give_up_worker(struct monitor_client *client, uint64_t worker_id)
{
	const struct monitor_request request = { OPS_VERSION, MONITOR_GIVE_UP_WORKER, worker_id };

	pthread_mutex_lock(&client->talk);
	if (send_packet(client->fd, &request, sizeof(request)) < 0)
		client->broken = true;
	pthread_mutex_unlock(&client->talk);
}

/* ---- One operation --------------------------------------------------------------- */

/* Texts end inside their arrays, whatever was sent. */
static void terminate(struct op_record *record)
{
	switch (record->kind) {
	case OP_RECORD_PCI:
		record->pci.driver[OPS_DRIVER_MAX - 1] = '\0';
		record->pci.name[OPS_NAME_MAX - 1] = '\0';
		record->pci.reset_methods[OPS_RESET_MAX - 1] = '\0';
		break;
	case OP_RECORD_MDEV_TYPE:
		record->mdev_type.type[OPS_TYPE_MAX - 1] = '\0';
		record->mdev_type.name[OPS_NAME_MAX - 1] = '\0';
		break;
	case OP_RECORD_MDEV:
		record->mdev.uuid[OPS_UUID_SIZE - 1] = '\0';
		record->mdev.type[OPS_TYPE_MAX - 1] = '\0';
		break;
	case OP_RECORD_HOLDER:
		record->holder.command[OPS_NAME_MAX - 1] = '\0';
		break;
	case OP_RECORD_VENDOR_VF:
		record->vendor_vf.uuid[OPS_UUID_SIZE - 1] = '\0';
		break;
	case OP_RECORD_VENDOR_TYPE:
		record->vendor_type.name[OPS_NAME_MAX - 1] = '\0';
		break;
	case OP_RECORD_GROUP_MEMBER:
		record->group_member.driver[OPS_DRIVER_MAX - 1] = '\0';
		break;
	case OP_RECORD_SCANNING:
		record->scanning.name[OPS_NAME_MAX - 1] = '\0';
		break;
	case OP_RECORD_BINDING:
		record->binding.uuid[OPS_UUID_SIZE - 1] = '\0';
		record->binding.driver[OPS_DRIVER_MAX - 1] = '\0';
		break;
	}
}

static int keep_record(struct outcome *outcome, size_t *room, const struct op_record *record)
{
	if (outcome->record_count == *room) {
		size_t more = *room ? *room * 2 : 64;
		struct op_record *grown = realloc(outcome->records, more * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		outcome->records = grown;
		*room = more;
	}
	outcome->records[outcome->record_count] = *record;
	terminate(&outcome->records[outcome->record_count++]);
	return 0;
}

union packet {
	struct op_record record;
	struct op_result result;
};

_Static_assert(sizeof(struct op_record) != sizeof(struct op_result),
	       "packets are told apart by their size");

/* 1 with the result, 0 to go on, or -errno. */
static int take_packet(struct outcome *outcome, size_t *room, const union packet *packet,
		       size_t size)
{
	if (size == 0)
		return -ECONNRESET;
	if (size == sizeof(packet->record) && packet->record.version == OPS_VERSION)
		return keep_record(outcome, room, &packet->record);
	if (size != sizeof(packet->result) || packet->result.version != OPS_VERSION)
		return -EPROTO;
	outcome->result = packet->result;
	outcome->result.message[OPS_MESSAGE_MAX - 1] = '\0';
	return outcome->result.records == outcome->record_count ? 1 : -EPROTO;
}

/* How long a worker is waited for. */
struct patience {
	int64_t deadline_ms; /* for its result */
	int quiet_ms;	     /* for its next packet */
	int cancel_fd;	     /* once readable: no longer; -1 */
};

static int wait_packet(int fd, const struct patience *patience)
{
	int64_t quiet_until_ms = clock_monotonic_ms() + patience->quiet_ms;

	return wait_readable(fd, patience->cancel_fd,
			     quiet_until_ms < patience->deadline_ms ? quiet_until_ms
								    : patience->deadline_ms);
}

/* 0 with the result, or -errno. */
static int receive_all(int fd, const struct patience *patience, struct outcome *outcome)
{
	size_t room = 0;
	int r = 0;

	while (r == 0) {
		union packet packet;
		ssize_t size;

		r = wait_packet(fd, patience);
		if (r < 0)
			break;
		size = recv(fd, &packet, sizeof(packet), MSG_TRUNC);
		if (size < 0)
			r = errno == EINTR ? 0 : -errno;
		else
			r = take_packet(outcome, &room, &packet, (size_t)size);
	}
	return r == 1 ? 0 : r;
}

static void run(struct monitor_client *client, const struct op_request *request,
		const struct patience *patience, struct outcome *outcome)
{
	struct monitor_reply reply = { 0 };
	scoped_fd int fd = start_worker(client, &reply, outcome);
	int r;

	if (fd < 0)
		return;
	r = send_packet(fd, request, sizeof(*request));
	if (r < 0) {
		end(outcome, OUTCOME_NOT_STARTED, "the worker ended before it was told anything");
		return;
	}
	r = receive_all(fd, patience, outcome);
	if (r == 0) {
		outcome->kind = OUTCOME_ANSWERED;
		return;
	}
	if (r == -ECONNRESET) {
		end(outcome, OUTCOME_UNKNOWN, "the worker ended without an answer");
		return;
	}
	give_up_worker(client, reply.worker_id);
	outcome->timed_out = r == -ETIMEDOUT;
	if (r == -ETIMEDOUT)
		end(outcome, OUTCOME_UNKNOWN, "the kernel did not answer in time");
	else if (r == -EPROTO)
		end(outcome, OUTCOME_UNKNOWN, "the worker's answer is malformed or not whole");
	else
		end(outcome, OUTCOME_UNKNOWN, "no answer from the worker: %s", strerror(-r));
}

static bool acquire_write(struct monitor_client *client, int64_t deadline_ms)
{
	bool acquired;

	pthread_mutex_lock(&client->lock);
	while (client->free_writes == 0)
		if (clock_cond_wait(&client->freed, &client->lock, deadline_ms) == ETIMEDOUT)
			break;
	acquired = client->free_writes > 0;
	client->free_writes -= acquired;
	pthread_mutex_unlock(&client->lock);
	return acquired;
}

static void release_write(struct monitor_client *client)
{
	pthread_mutex_lock(&client->lock);
	client->free_writes++;
	pthread_cond_signal(&client->freed);
	pthread_mutex_unlock(&client->lock);
}

void monitor_client_run(struct monitor_client *client, const struct op_request *request,
			int timeout_ms, struct outcome *ret)
{
	const struct patience patience = {
		.deadline_ms = clock_monotonic_ms() + timeout_ms,
		.quiet_ms = timeout_ms,
		.cancel_fd = -1,
	};

	if (request->kind == OP_SCAN) {
		monitor_client_scan(client, request, timeout_ms, -1, ret);
		return;
	}
	*ret = (struct outcome){ 0 };
	if (!acquire_write(client, patience.deadline_ms)) {
		end(ret, OUTCOME_NOT_STARTED, "too many operations wait for the kernel");
		return;
	}
	run(client, request, &patience, ret);
	release_write(client);
}

/* Scans have workers of their own: they must go on while all writes hang. */
void monitor_client_scan(struct monitor_client *client, const struct op_request *request,
			 int timeout_ms, int cancel_fd, struct outcome *ret)
{
	const struct patience patience = {
		.deadline_ms = clock_monotonic_ms() + (int64_t)SCAN_TIMEOUTS * timeout_ms,
		.quiet_ms = timeout_ms,
		.cancel_fd = cancel_fd,
	};

	*ret = (struct outcome){ 0 };
	run(client, request, &patience, ret);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void client_close(struct supervisor_client *client)
{
	close(client->fd);
	client->fd = -1;
	client->watching = false;
	client->wants_stats = false;
}

static void send_status(struct supervisor *sv, struct supervisor_client *client)
{
	struct control_status status = {
		.version = SUPERVISOR_PROTOCOL_VERSION,
		.phase = sv->phase,
		.supervisor_pid = getpid(),
		.guest_started = sv->guest_started,
		.started_ms = sv->started_ms,
	};

	memcpy(status.refusal, sv->refusal, sizeof(status.refusal));
	/* Who does not read loses the connection, and learns the state when it comes again. */
	if (send(client->fd, &status, sizeof(status), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		client_close(client);
}

void supervisor_tell_watchers(struct supervisor *sv)
{
	for (size_t i = 0; i < SUPERVISOR_CLIENTS_MAX; i++)
		if (sv->clients[i].fd >= 0 && sv->clients[i].watching)
			send_status(sv, &sv->clients[i]);
}

/* Only the user we run as: the directory of the socket says so, this makes sure. */
static bool is_allowed(int fd)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.uid == geteuid();
}

void supervisor_accept(struct supervisor *sv)
{
	int fd = accept4(sv->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return;
	for (size_t i = 0; is_allowed(fd) && i < SUPERVISOR_CLIENTS_MAX; i++) {
		if (sv->clients[i].fd >= 0)
			continue;
		sv->clients[i].fd = fd;
		return;
	}
	close(fd);
}

void supervisor_serve_client(struct supervisor *sv, struct supervisor_client *client)
{
	struct control_request request;
	ssize_t n = recv(client->fd, &request, sizeof(request), MSG_TRUNC | MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n != (ssize_t)sizeof(request) || request.version != SUPERVISOR_PROTOCOL_VERSION) {
		client_close(client);
		return;
	}
	switch (request.kind) {
	case CONTROL_WATCH:
		client->watching = true;
		send_status(sv, client);
		break;
	case CONTROL_STOP:
		supervisor_stop(sv, request.grace_ms, request.host_down);
		if (client->fd >= 0 && !client->watching)
			send_status(sv, client);
		break;
	case CONTROL_STANDBY:
		supervisor_save(sv, request.bytes);
		break;
	case CONTROL_STATS:
		client->wants_stats = true;
		if (qmp_execute(&sv->qmp, "query-blockstats") < 0)
			supervisor_send_stats(sv);
		break;
	default:
		client_close(client);
	}
}

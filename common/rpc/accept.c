/* SPDX-License-Identifier: Apache-2.0 */
#include "accept.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "common/log.h"
#include "common/scoped.h"

#include "log_limit.h"
#include "server.h"

#define RETRY_MS 20 /* after accept() failed for want of descriptors or memory */

/*
 * The core owns and closes the descriptors it was given and tells nobody. A connection
 * is counted until its number no longer names the socket it named at first.
 */
struct connection {
	int fd;
	ino_t inode; /* sockets of one boot do not share numbers while they exist */
	const struct server_peer *peer;
};

struct acceptor {
	struct rpc_server *server;
	pthread_t thread;
	int stop_fd;
	int per_peer_max;
	int count;
	struct connection *connections; /* max_connections of them */
	struct log_limit strangers, excess, exhaustion;
};

static bool is_open(const struct connection *connection)
{
	struct stat st;

	return fstat(connection->fd, &st) == 0 && S_ISSOCK(st.st_mode) &&
	       st.st_ino == connection->inode;
}

static void forget_closed(struct acceptor *acceptor)
{
	int kept = 0;

	for (int i = 0; i < acceptor->count; i++)
		if (is_open(&acceptor->connections[i]))
			acceptor->connections[kept++] = acceptor->connections[i];
	acceptor->count = kept;
}

static int connections_of(const struct acceptor *acceptor, const struct server_peer *peer)
{
	int count = 0;

	for (int i = 0; i < acceptor->count; i++)
		count += acceptor->connections[i].peer == peer;
	return count;
}

static struct server_peer *find_peer(struct rpc_server *server, uid_t uid)
{
	for (size_t i = 0; i < server->peer_count; i++)
		if (!server->peers[i].who.san[0] && server->peers[i].who.uid == uid)
			return &server->peers[i];
	return NULL;
}

static bool has_room(const struct acceptor *acceptor, const struct server_peer *peer)
{
	return acceptor->count < acceptor->server->options.max_connections &&
	       connections_of(acceptor, peer) < acceptor->per_peer_max;
}

/* Counts the connection as the peer's; false when there are as many as may be. */
static bool admit(struct acceptor *acceptor, const struct server_peer *peer, int fd)
{
	struct stat st;

	if (!has_room(acceptor, peer))
		forget_closed(acceptor);
	if (!has_room(acceptor, peer) || fstat(fd, &st) < 0)
		return false;
	acceptor->connections[acceptor->count++] = (struct connection){ fd, st.st_ino, peer };
	return true;
}

static void take_connection(struct acceptor *acceptor, int take_fd)
{
	scoped_fd int fd = take_fd;
	struct ucred who;
	socklen_t size = sizeof(who);
	struct server_peer *peer;
	grpc_server_credentials *none;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) < 0)
		return;
	peer = find_peer(acceptor->server, who.uid);
	if (!peer) {
		if (log_limit_allows(&acceptor->strangers))
			log_warning("refused a connection of uid %u (pid %d): no configured peer",
				    who.uid, who.pid);
		return;
	}
	if (!admit(acceptor, peer, fd)) {
		if (log_limit_allows(&acceptor->excess))
			log_warning(
				"refused a connection of peer %s (pid %d): it has %d of %d open",
				peer->who.name, who.pid, connections_of(acceptor, peer),
				acceptor->count);
		return;
	}
	none = grpc_insecure_server_credentials_create();
	grpc_server_add_channel_from_fd(peer->core, TAKE_FD(fd), none);
	grpc_server_credentials_release(none);
}

static bool is_shortage(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

static void *run(void *arg)
{
	struct acceptor *acceptor = arg;
	struct pollfd fds[2] = {
		{ .fd = acceptor->stop_fd, .events = POLLIN },
		{ .fd = acceptor->server->listener.fd, .events = POLLIN },
	};

	for (;;) {
		int fd;

		if (poll(fds, 2, -1) < 0)
			continue;
		if (fds[0].revents)
			return NULL;
		fd = accept4(fds[1].fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd >= 0) {
			take_connection(acceptor, fd);
		} else if (is_shortage(errno)) {
			if (log_limit_allows(&acceptor->exhaustion))
				log_warning("cannot accept a connection, waiting: %s",
					    strerror(errno));
			(void)poll(fds, 1, RETRY_MS);
		}
	}
}

static void acceptor_free(struct acceptor *acceptor)
{
	if (acceptor->stop_fd >= 0)
		close(acceptor->stop_fd);
	free(acceptor->connections);
	free(acceptor);
}

struct acceptor *acceptor_start(struct rpc_server *server, struct err *err)
{
	struct acceptor *acceptor = calloc(1, sizeof(*acceptor));
	int max = server->options.max_connections;
	int r = -ENOMEM;

	if (acceptor) {
		acceptor->server = server;
		acceptor->per_peer_max = server_share(server, max);
		acceptor->connections = calloc((size_t)max, sizeof(*acceptor->connections));
		acceptor->stop_fd = eventfd(0, EFD_CLOEXEC);
		if (acceptor->stop_fd < 0)
			r = -errno;
		else if (acceptor->connections)
			r = core_thread_start(&acceptor->thread, run, acceptor);
	}
	if (r == 0)
		return acceptor;
	if (acceptor)
		acceptor_free(acceptor);
	err_sys(err, r, "cannot accept connections");
	return NULL;
}

void acceptor_stop(struct acceptor *acceptor)
{
	if (!acceptor)
		return;
	(void)eventfd_write(acceptor->stop_fd, 1);
	pthread_join(acceptor->thread, NULL);
	acceptor_free(acceptor);
}

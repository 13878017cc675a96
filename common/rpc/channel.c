/* SPDX-License-Identifier: Apache-2.0 */
#include "channel.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "common/scoped.h"

/* Replies: lists are paged well below this. */
#define REPLY_BYTES_MAX (4 << 20)

struct rpc_channel {
	char *path; /* owned */
	uid_t server_uid;
	pthread_mutex_t lock;
	struct connection *connection; /* NULL: none yet */
};

struct rpc_channel *rpc_channel_new(const char *path, uid_t server_uid)
{
	struct rpc_channel *channel = calloc(1, sizeof(*channel));

	if (!channel)
		return NULL;
	channel->path = strdup(path);
	if (!channel->path) {
		free(channel);
		return NULL;
	}
	channel->server_uid = server_uid;
	pthread_mutex_init(&channel->lock, NULL);
	return channel;
}

void rpc_channel_free(struct rpc_channel *channel)
{
	if (!channel)
		return;
	connection_unref(channel->connection);
	pthread_mutex_destroy(&channel->lock);
	free(channel->path);
	free(channel);
}

void connection_unref(struct connection *connection)
{
	if (!connection || atomic_fetch_sub(&connection->references, 1) > 1)
		return;
	grpc_channel_destroy(connection->core);
	close(connection->fd);
	free(connection);
}

const char *channel_path(const struct rpc_channel *channel)
{
	return channel->path;
}

/* Whether a call may be sent on it, as far as can be known before. */
static bool is_usable(const struct connection *connection)
{
	struct pollfd fd = { .fd = connection->fd, .events = POLLRDHUP };

	return !atomic_load(&connection->broken) && poll(&fd, 1, 0) == 0;
}

/* A connected socket whose other end is who it should be. -1 with *err. */
static int open_socket(const struct rpc_channel *channel, struct err *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	scoped_fd int fd = -1;
	struct ucred server;
	socklen_t size = sizeof(server);

	if (strlen(channel->path) >= sizeof(address.sun_path))
		return err_set(err, ERR_UNAVAILABLE, "%s is too long for a socket", channel->path);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", channel->path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return err_set(err, ERR_UNAVAILABLE, "cannot connect to %s: %s", channel->path,
			       strerror(errno));
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &server, &size) < 0)
		return err_set(err, ERR_UNAVAILABLE, "cannot tell who serves %s: %s", channel->path,
			       strerror(errno));
	if (channel->server_uid != (uid_t)-1 && server.uid != channel->server_uid)
		return err_set(err, ERR_UNAVAILABLE,
			       "%s is served by uid %u, must be uid %u: not used", channel->path,
			       server.uid, channel->server_uid);
	return TAKE_FD(fd);
}

static grpc_channel *create_core(int take_fd)
{
	grpc_arg list[] = {
		core_arg(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, REPLY_BYTES_MAX),
		core_arg(GRPC_ARG_MAX_METADATA_SIZE, CORE_METADATA_BYTES_MAX),
		core_arg(GRPC_COMPRESSION_CHANNEL_ENABLED_ALGORITHMS_BITSET,
			 1 << GRPC_COMPRESS_NONE),
	};
	const grpc_channel_args args = { sizeof(list) / sizeof(list[0]), list };
	grpc_channel_credentials *none = grpc_insecure_credentials_create();
	grpc_channel *core = grpc_channel_create_from_fd("unix", take_fd, none, &args);

	grpc_channel_credentials_release(none);
	return core;
}

static struct connection *connection_new(const struct rpc_channel *channel, struct err *err)
{
	struct connection *connection;
	scoped_fd int fd = open_socket(channel, err);

	if (fd < 0)
		return NULL;
	connection = calloc(1, sizeof(*connection));
	if (connection)
		connection->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (!connection || connection->fd < 0) {
		err_set(err, ERR_UNAVAILABLE, "cannot connect to %s: %s", channel->path,
			strerror(errno));
		free(connection);
		return NULL;
	}
	atomic_init(&connection->references, 1);
	atomic_init(&connection->broken, false);
	connection->core = create_core(TAKE_FD(fd));
	return connection;
}

struct connection *channel_connect(struct rpc_channel *channel, struct err *err)
{
	struct connection *connection;

	pthread_mutex_lock(&channel->lock);
	if (channel->connection && !is_usable(channel->connection)) {
		connection_unref(channel->connection);
		channel->connection = NULL;
	}
	if (!channel->connection)
		channel->connection = connection_new(channel, err);
	connection = channel->connection;
	if (connection)
		atomic_fetch_add(&connection->references, 1);
	pthread_mutex_unlock(&channel->lock);
	return connection;
}

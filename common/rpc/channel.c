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

#include "state_page.h"

/* Replies: lists are paged well below this. */
#define REPLY_BYTES_MAX (4 << 20)

#define PEM_BYTES_MAX (1 << 20)

struct rpc_channel {
	char *path; /* owned; with TLS the address */
	bool has_tls;
	char *ca, *certificate, *key, *server_name; /* owned; with TLS */
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

struct rpc_channel *rpc_channel_new_tls(const struct rpc_tls_client *client)
{
	struct rpc_channel *channel = rpc_channel_new(client->address, (uid_t)-1);

	if (!channel)
		return NULL;
	channel->has_tls = true;
	channel->ca = strdup(client->ca);
	channel->certificate = strdup(client->certificate);
	channel->key = strdup(client->key);
	channel->server_name = strdup(client->server_name);
	if (channel->ca && channel->certificate && channel->key && channel->server_name)
		return channel;
	rpc_channel_free(channel);
	return NULL;
}

void rpc_channel_free(struct rpc_channel *channel)
{
	if (!channel)
		return;
	connection_unref(channel->connection);
	pthread_mutex_destroy(&channel->lock);
	free(channel->path);
	free(channel->ca);
	free(channel->certificate);
	free(channel->key);
	free(channel->server_name);
	free(channel);
}

void connection_unref(struct connection *connection)
{
	if (!connection || atomic_fetch_sub(&connection->references, 1) > 1)
		return;
	grpc_channel_destroy(connection->core);
	if (connection->fd >= 0)
		close(connection->fd);
	if (connection->state_fd >= 0)
		close(connection->state_fd);
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

	return !atomic_load(&connection->broken) && (fd.fd < 0 || poll(&fd, 1, 0) == 0);
}

/* A connected socket whose other end is who it should be. -1 with *err. */
static int open_socket(const struct rpc_channel *channel, uid_t *ret_uid, struct err *err)
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
	*ret_uid = server.uid;
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

/* A file's text; NULL with *err. */
static char *read_text(const struct rpc_channel *channel, const char *path, struct err *err)
{
	scoped_file FILE *file = fopen(path, "re");
	scoped_free char *text = calloc(1, PEM_BYTES_MAX + 1);
	size_t size = 0;

	if (file && text)
		size = fread(text, 1, PEM_BYTES_MAX + 1, file);
	if (size > 0 && size <= PEM_BYTES_MAX) {
		text[size] = '\0';
		return TAKE_PTR(text);
	}
	err_set(err, ERR_UNAVAILABLE, "cannot connect to %s: cannot use %s: %s", channel->path,
		path,
		!file		       ? strerror(errno)
		: size > PEM_BYTES_MAX ? "it is too long"
				       : "it is empty");
	return NULL;
}

static grpc_channel_credentials *read_credentials(const struct rpc_channel *channel,
						  struct err *err)
{
	scoped_free char *ca = read_text(channel, channel->ca, err);
	scoped_free char *certificate = ca ? read_text(channel, channel->certificate, err) : NULL;
	scoped_free char *key = certificate ? read_text(channel, channel->key, err) : NULL;
	grpc_ssl_pem_key_cert_pair pair = { key, certificate };
	grpc_channel_credentials *credentials;

	if (!key)
		return NULL;
	credentials = grpc_ssl_credentials_create_ex(ca, &pair, NULL, NULL);
	explicit_bzero(key, strlen(key));
	return credentials;
}

/* The core connects, when the first call needs it. */
static struct connection *connection_new_tls(const struct rpc_channel *channel, struct err *err)
{
	grpc_arg list[] = {
		core_arg(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, REPLY_BYTES_MAX),
		core_arg(GRPC_ARG_MAX_METADATA_SIZE, CORE_METADATA_BYTES_MAX),
		core_arg(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1),
		{ .type = GRPC_ARG_STRING,
		  .key = (char *)(uintptr_t)GRPC_SSL_TARGET_NAME_OVERRIDE_ARG,
		  .value.string = channel->server_name },
	};
	const grpc_channel_args args = { sizeof(list) / sizeof(list[0]), list };
	grpc_channel_credentials *credentials = read_credentials(channel, err);
	struct connection *connection = calloc(1, sizeof(*connection));
	char target[128];

	if (credentials && connection) {
		snprintf(target, sizeof(target), "%s:%s", channel->path[0] == '[' ? "ipv6" : "ipv4",
			 channel->path);
		atomic_init(&connection->references, 1);
		atomic_init(&connection->broken, false);
		connection->fd = connection->state_fd = -1;
		connection->core = grpc_channel_create(target, credentials, &args);
	} else {
		if (credentials)
			err_set(err, ERR_UNAVAILABLE, "cannot connect to %s: %s", channel->path,
				strerror(ENOMEM));
		free(TAKE_PTR(connection));
	}
	grpc_channel_credentials_release(credentials);
	return connection;
}

static struct connection *connection_new(const struct rpc_channel *channel, struct err *err)
{
	static atomic_ullong number;
	struct connection *connection;
	uid_t uid = (uid_t)-1;
	scoped_fd int fd = open_socket(channel, &uid, err);

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
	/* After connecting: the file of a server that has died meanwhile comes with a dead socket.
	 */
	connection->state_fd = state_page_open(channel->path, uid);
	connection->number = atomic_fetch_add(&number, 1) + 1;
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
		channel->connection = channel->has_tls ? connection_new_tls(channel, err)
						       : connection_new(channel, err);
	connection = channel->connection;
	if (connection)
		atomic_fetch_add(&connection->references, 1);
	pthread_mutex_unlock(&channel->lock);
	return connection;
}

bool rpc_channel_state(struct rpc_channel *channel, struct rpc_state *ret)
{
	const struct connection *connection;
	bool known = false;

	pthread_mutex_lock(&channel->lock);
	connection = channel->connection;
	if (connection && connection->state_fd >= 0) {
		ret->connection = connection->number;
		/* The connection is looked at last: it stood when the numbers were read. */
		known = state_page_read(connection->state_fd, &ret->epoch, &ret->generation) == 0 &&
			is_usable(connection);
	}
	pthread_mutex_unlock(&channel->lock);
	return known;
}

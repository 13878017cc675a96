/* SPDX-License-Identifier: Apache-2.0 */
#include "server.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "call.h"
#include "reflection.h"
#include "rpc_proto_descriptor_set.h"

#define PING_MS 9000 /* clients may ask every 10 s whether the host is there; pings are early */

/* ---- Setting up ---------------------------------------------------------------- */

static int value_or(int value, int standard)
{
	return value > 0 ? value : standard;
}

struct rpc_server *rpc_server_new(const struct rpc_server_options *options)
{
	struct rpc_server *server = calloc(1, sizeof(*server));

	if (!server)
		return NULL;
	if (options)
		server->options = *options;
	server->options.workers = value_or(server->options.workers, 16);
	server->options.queue = value_or(server->options.queue, 256);
	server->options.long_calls = value_or(server->options.long_calls, 64);
	server->options.max_request_bytes = value_or(server->options.max_request_bytes, 1 << 20);
	server->options.max_streams = value_or(server->options.max_streams, 128);
	server->options.max_connections = value_or(server->options.max_connections, 256);
	server->listener = LISTENER_CLOSED;
	pthread_mutex_init(&server->lock, NULL);
	core_cond_init(&server->idle);
	server->health = health_new();
	if (!server->health || health_set(server->health, "", true) < 0) {
		rpc_server_free(server);
		return NULL;
	}
	return server;
}

void rpc_server_free(struct rpc_server *server)
{
	if (!server)
		return;
	listener_close(&server->listener);
	state_page_free(server->page);
	tls_acceptor_free(server->tls);
	health_free(server->health);
	for (size_t i = 0; i < server->method_count; i++)
		free(server->methods[i].path);
	free(server->methods);
	free(server->services);
	descriptors_done(&server->descriptors);
	pthread_cond_destroy(&server->idle);
	pthread_mutex_destroy(&server->lock);
	free(server);
}

int rpc_server_add_descriptors(struct rpc_server *server, const uint8_t *set, size_t size,
			       struct err *err)
{
	return descriptors_add(&server->descriptors, set, size, err);
}

static int add_method(struct rpc_server *server, const ProtobufCServiceDescriptor *service,
		      const ProtobufCMethodDescriptor *descriptor, struct err *err)
{
	const Google__Protobuf__MethodDescriptorProto *kind;
	struct method *methods;
	char *path;

	kind = descriptors_find_method(&server->descriptors, service->name, descriptor->name);
	if (!kind)
		return err_set(err, ERR_INTERNAL,
			       "the descriptors of %s must be added before the service",
			       service->name);
	methods = realloc(server->methods, (server->method_count + 1) * sizeof(*methods));
	if (!methods)
		return err_sys(err, ENOMEM, "cannot add %s", service->name);
	server->methods = methods;
	if (asprintf(&path, "/%s/%s", service->name, descriptor->name) < 0)
		return err_sys(err, ENOMEM, "cannot add %s", service->name);
	methods[server->method_count++] = (struct method){
		.path = path,
		.descriptor = descriptor,
		.client_streams = kind->client_streaming,
		.server_streams = kind->server_streaming,
	};
	return 0;
}

static struct method *find_added(struct rpc_server *server, size_t from, const char *name)
{
	for (size_t i = from; i < server->method_count; i++)
		if (strcmp(server->methods[i].descriptor->name, name) == 0)
			return &server->methods[i];
	return NULL;
}

int rpc_server_add_service(struct rpc_server *server, const ProtobufCServiceDescriptor *service,
			   const struct rpc_method *methods, void *user, struct err *err)
{
	const ProtobufCServiceDescriptor **services;
	size_t from = server->method_count;

	services = realloc(server->services, (server->service_count + 1) * sizeof(*services));
	if (!services)
		return err_sys(err, ENOMEM, "cannot add %s", service->name);
	server->services = services;
	for (unsigned i = 0; i < service->n_methods; i++)
		if (add_method(server, service, &service->methods[i], err))
			return -1;
	for (const struct rpc_method *m = methods; m->name; m++) {
		struct method *method = find_added(server, from, m->name);

		if (!method)
			return err_set(err, ERR_INTERNAL, "%s has no method %s", service->name,
				       m->name);
		method->roles = m->roles;
		method->flags = m->flags;
		method->handler = m->handler;
		method->user = user;
	}
	if (health_set(server->health, service->name, true) < 0)
		return err_sys(err, ENOMEM, "cannot add %s", service->name);
	server->services[server->service_count++] = service;
	return 0;
}

int rpc_server_add_standard_services(struct rpc_server *server, struct err *err)
{
	size_t from = server->method_count;

	if (descriptors_add(&server->descriptors, rpc_proto_descriptor_set,
			    rpc_proto_descriptor_set_size, err) ||
	    health_serve(server->health, server, err) || reflection_serve(server, err))
		return -1;
	for (size_t i = from; i < server->method_count; i++)
		server->methods[i].any_peer = true;
	return 0;
}

void rpc_server_set_health(struct rpc_server *server, const char *service, bool serving)
{
	(void)health_set(server->health, service, serving); /* only a new name can fail */
}

/* What no certificate can have, or what looks like a pattern and is none. */
static bool is_name(const char *san)
{
	for (const char *c = san; *c; c++)
		if (*c <= ' ' || *c > '~' || *c == '*')
			return false;
	return true;
}

int rpc_server_add_peer(struct rpc_server *server, const struct rpc_peer *peer, struct err *err)
{
	struct server_peer *added = &server->peers[server->peer_count];

	for (size_t i = 0; i < server->peer_count; i++) {
		const struct rpc_peer *other = &server->peers[i].who;

		if (strcmp(other->san, peer->san) != 0)
			continue;
		if (peer->san[0])
			return err_field(err, "peer", "peers %s and %s have the same name %s",
					 other->name, peer->name, peer->san);
		if (other->uid == peer->uid)
			return err_field(err, "peer", "peers %s and %s have the same uid %u",
					 other->name, peer->name, peer->uid);
	}
	if (!is_name(peer->san))
		return err_field(err, "peer",
				 "peer %s has the name '%s', must be a URI or DNS name as it is in "
				 "its certificate, no pattern",
				 peer->name, peer->san);
	if (server->peer_count == SERVER_PEERS_MAX)
		return err_field(err, "peer", "peer %s is one too many, at most %d are possible",
				 peer->name, SERVER_PEERS_MAX);
	*added = (struct server_peer){ .server = server, .who = *peer };
	if (peer->san[0])
		added->who.uid = (uid_t)-1;
	server->peer_count++;
	return 0;
}

int rpc_server_listen_unix(struct rpc_server *server, const char *path, mode_t mode,
			   struct err *err)
{
	if (server->listener.fd >= 0)
		return err_set(err, ERR_INTERNAL, "the server listens at %s already",
			       server->listener.path);
	if (listener_open(&server->listener, path, mode, err))
		return -1;
	server->page = state_page_new(path, err);
	return server->page ? 0 : -1;
}

void rpc_server_note_change(struct rpc_server *server)
{
	state_page_bump(server->page);
}

int rpc_server_listen_tls(struct rpc_server *server, const struct rpc_tls_options *options,
			  struct err *err)
{
	if (server->tls)
		return err_set(err, ERR_INTERNAL, "the server listens for TLS already");
	server->tls = tls_acceptor_new(server, options, err);
	return server->tls ? 0 : -1;
}

int rpc_server_tls_port(const struct rpc_server *server)
{
	return tls_acceptor_port(server->tls);
}

/* ---- Running ------------------------------------------------------------------- */

static int compare_paths(const char *a, size_t a_size, const char *b, size_t b_size)
{
	if (a_size != b_size)
		return a_size < b_size ? -1 : 1;
	return memcmp(a, b, a_size);
}

static int compare_methods(const void *a, const void *b)
{
	const char *left = ((const struct method *)a)->path;
	const char *right = ((const struct method *)b)->path;

	return compare_paths(left, strlen(left), right, strlen(right));
}

static int compare_slice(const void *key, const void *element)
{
	const grpc_slice *path = key;
	const struct method *method = element;

	return compare_paths((const char *)GRPC_SLICE_START_PTR(*path), GRPC_SLICE_LENGTH(*path),
			     method->path, strlen(method->path));
}

const struct method *server_find_method(const struct rpc_server *server, grpc_slice path)
{
	return bsearch(&path, server->methods, server->method_count, sizeof(*server->methods),
		       compare_slice);
}

int server_share(const struct rpc_server *server, int limit)
{
	if (server->peer_count < 2 || limit < 2)
		return limit;
	return limit * 3 / 4;
}

static void on_core_stopped(struct core_tag *tag, bool ok)
{
	struct server_peer *peer = CORE_CONTAINER(tag, struct server_peer, stopped);
	struct rpc_server *server = peer->server;

	(void)ok;
	pthread_mutex_lock(&server->lock);
	if (--server->running_cores == 0)
		pthread_cond_broadcast(&server->idle);
	pthread_mutex_unlock(&server->lock);
}

/*
 * Compressed requests are refused: this version of the core inflates a message before
 * it looks at its size, so that a few kilobytes could become gigabytes.
 */
static void create_core(struct server_peer *peer)
{
	const struct rpc_server_options *options = &peer->server->options;
	grpc_arg list[] = {
		core_arg(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, options->max_request_bytes),
		core_arg(GRPC_ARG_MAX_CONCURRENT_STREAMS, options->max_streams),
		core_arg(GRPC_ARG_MAX_METADATA_SIZE, CORE_METADATA_BYTES_MAX),
		core_arg(GRPC_COMPRESSION_CHANNEL_ENABLED_ALGORITHMS_BITSET,
			 1 << GRPC_COMPRESS_NONE),
		core_arg(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, PING_MS),
	};
	const grpc_channel_args args = { sizeof(list) / sizeof(list[0]), list };

	peer->stopped.done = on_core_stopped;
	peer->core = grpc_server_create(&args, NULL);
	grpc_server_register_completion_queue(peer->core, peer->server->queue, NULL);
	grpc_server_start(peer->core);
}

static void *run_io(void *arg)
{
	core_queue_run(arg);
	return NULL;
}

static int start_threads(struct rpc_server *server, struct err *err)
{
	const struct rpc_server_options *options = &server->options;
	int r;

	server->pool = pool_new(options->workers, options->queue, options->long_calls);
	if (!server->pool)
		return err_set(err, ERR_INTERNAL, "cannot start %d threads", options->workers);
	server->queue = grpc_completion_queue_create_for_next(NULL);
	r = core_thread_start(&server->io_thread, run_io, server->queue);
	if (r == 0)
		return 0;
	grpc_completion_queue_shutdown(server->queue);
	core_queue_run(server->queue);
	grpc_completion_queue_destroy(server->queue);
	pool_free(server->pool);
	return err_sys(err, r, "cannot start a thread");
}

int rpc_server_start(struct rpc_server *server, struct err *err)
{
	if (server->method_count)
		qsort(server->methods, server->method_count, sizeof(*server->methods),
		      compare_methods);
	if (start_threads(server, err))
		return -1;
	for (size_t i = 0; i < server->peer_count; i++) {
		create_core(&server->peers[i]);
		server->running_cores++;
		call_fill_slots(&server->peers[i]);
	}
	server->state = SERVER_RUNNING;
	if (server->listener.fd >= 0)
		server->acceptor = acceptor_start(server, err);
	if ((server->listener.fd < 0 || server->acceptor) &&
	    (!server->tls || tls_acceptor_start(server->tls, err) == 0))
		return 0;
	rpc_server_stop(server, 0);
	return -1;
}

/* ---- Stopping ------------------------------------------------------------------ */

static bool is_idle_locked(const struct rpc_server *server)
{
	return server->running_cores == 0 && server->live_calls == 0;
}

/* New calls are refused from here; those that wait for something are told. */
static void begin_stop(struct rpc_server *server)
{
	pthread_mutex_lock(&server->lock);
	server->stopping = true;
	for (struct rpc_call *call = server->running; call; call = call->next)
		call_set_stopping(call);
	pthread_mutex_unlock(&server->lock);
	for (size_t i = 0; i < server->peer_count; i++) {
		core_tag_give(&server->peers[i].stopped);
		grpc_server_shutdown_and_notify(server->peers[i].core, server->queue,
						&server->peers[i].stopped);
	}
}

static bool wait_idle(struct rpc_server *server, int grace_ms)
{
	const struct timespec until = core_time_after(grace_ms > 0 ? grace_ms : 0);
	bool idle;
	int r = 0;

	pthread_mutex_lock(&server->lock);
	while (!is_idle_locked(server) && r == 0)
		r = pthread_cond_timedwait(&server->idle, &server->lock, &until);
	idle = is_idle_locked(server);
	pthread_mutex_unlock(&server->lock);
	return idle;
}

static void cancel_all(struct rpc_server *server)
{
	for (size_t i = 0; i < server->peer_count; i++)
		grpc_server_cancel_all_calls(server->peers[i].core);
	pthread_mutex_lock(&server->lock);
	while (!is_idle_locked(server))
		pthread_cond_wait(&server->idle, &server->lock);
	pthread_mutex_unlock(&server->lock);
}

void rpc_server_stop(struct rpc_server *server, int grace_ms)
{
	if (server->state != SERVER_RUNNING)
		return;
	health_set_all(server->health, false);
	acceptor_stop(server->acceptor);
	listener_close(&server->listener);
	tls_acceptor_refuse(server->tls);
	begin_stop(server);
	if (!wait_idle(server, grace_ms))
		cancel_all(server);
	pool_free(server->pool);
	grpc_completion_queue_shutdown(server->queue);
	pthread_join(server->io_thread, NULL);
	for (size_t i = 0; i < server->peer_count; i++)
		grpc_server_destroy(server->peers[i].core);
	grpc_completion_queue_destroy(server->queue);
	tls_acceptor_stop(server->tls);
	server->state = SERVER_STOPPED;
}

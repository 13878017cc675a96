/* SPDX-License-Identifier: Apache-2.0 */
#include "health.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "grpc/health/v1/health.pb-c.h"

#include "rpc.h"

typedef Grpc__Health__V1__HealthCheckRequest check_request;
typedef Grpc__Health__V1__HealthCheckResponse check_response;
typedef Grpc__Health__V1__HealthCheckResponse__ServingStatus serving_status;

#define STATUS(name) GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__##name

struct entry {
	char *service; /* owned */
	bool serving;
};

/* On the stack of the thread that runs the Watch call. */
struct watcher {
	struct rpc_call *call;
	struct watcher *next;
};

struct health {
	pthread_mutex_t lock;
	size_t count;
	struct entry *entries;
	struct watcher *watchers;
};

struct health *health_new(void)
{
	struct health *health = calloc(1, sizeof(*health));

	if (health)
		pthread_mutex_init(&health->lock, NULL);
	return health;
}

void health_free(struct health *health)
{
	if (!health)
		return;
	for (size_t i = 0; i < health->count; i++)
		free(health->entries[i].service);
	free(health->entries);
	pthread_mutex_destroy(&health->lock);
	free(health);
}

static struct entry *find_locked(struct health *health, const char *service)
{
	for (size_t i = 0; i < health->count; i++)
		if (strcmp(health->entries[i].service, service) == 0)
			return &health->entries[i];
	return NULL;
}

static struct entry *add_locked(struct health *health, const char *service)
{
	struct entry *entries;
	char *copy;

	entries = realloc(health->entries, (health->count + 1) * sizeof(*entries));
	if (!entries)
		return NULL;
	health->entries = entries;
	copy = strdup(service);
	if (!copy)
		return NULL;
	entries[health->count] = (struct entry){ .service = copy };
	return &entries[health->count++];
}

static void wake_watchers_locked(struct health *health)
{
	for (struct watcher *w = health->watchers; w; w = w->next)
		rpc_call_wake(w->call);
}

int health_set(struct health *health, const char *service, bool serving)
{
	struct entry *entry;
	int r = -ENOMEM;

	pthread_mutex_lock(&health->lock);
	entry = find_locked(health, service);
	if (!entry)
		entry = add_locked(health, service);
	if (entry) {
		entry->serving = serving;
		wake_watchers_locked(health);
		r = 0;
	}
	pthread_mutex_unlock(&health->lock);
	return r;
}

void health_set_all(struct health *health, bool serving)
{
	pthread_mutex_lock(&health->lock);
	for (size_t i = 0; i < health->count; i++)
		health->entries[i].serving = serving;
	wake_watchers_locked(health);
	pthread_mutex_unlock(&health->lock);
}

static serving_status look_up(struct health *health, const char *service)
{
	const struct entry *entry;
	serving_status status = STATUS(SERVICE_UNKNOWN);

	pthread_mutex_lock(&health->lock);
	entry = find_locked(health, service);
	if (entry)
		status = entry->serving ? STATUS(SERVING) : STATUS(NOT_SERVING);
	pthread_mutex_unlock(&health->lock);
	return status;
}

static int send_status(struct rpc_call *call, serving_status status)
{
	check_response response = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;

	response.status = status;
	return rpc_call_send(call, &response.base);
}

static int check(struct rpc_call *call, const ProtobufCMessage *message, void *user,
		 struct err *err)
{
	const check_request *request = (const check_request *)message;
	serving_status status = look_up(user, request->service);

	if (status == STATUS(SERVICE_UNKNOWN))
		return err_set(err, ERR_NOT_FOUND, "service '%s' is not known here",
			       request->service);
	send_status(call, status);
	return 0;
}

static void add_watcher(struct health *health, struct watcher *watcher)
{
	pthread_mutex_lock(&health->lock);
	watcher->next = health->watchers;
	health->watchers = watcher;
	pthread_mutex_unlock(&health->lock);
}

static void remove_watcher(struct health *health, struct watcher *watcher)
{
	struct watcher **link = &health->watchers;

	pthread_mutex_lock(&health->lock);
	while (*link != watcher)
		link = &(*link)->next;
	*link = watcher->next;
	pthread_mutex_unlock(&health->lock);
}

/* The last status sent before the server stops is what health_set_all() left. */
static int watch(struct rpc_call *call, const ProtobufCMessage *message, void *user,
		 struct err *err)
{
	const check_request *request = (const check_request *)message;
	struct watcher self = { .call = call };
	struct health *health = user;
	serving_status sent = STATUS(UNKNOWN); /* never the state of a service here */
	bool over;
	int r = 0;

	add_watcher(health, &self);
	do {
		serving_status now;

		over = rpc_call_wait_cancelled(call, sent == STATUS(UNKNOWN) ? 0 : -1);
		now = look_up(health, request->service);
		if (now != sent)
			r = send_status(call, now);
		sent = now;
	} while (r == 0 && !over);
	remove_watcher(health, &self);
	if (rpc_call_cancelled(call))
		return err_set(err, ERR_CANCELLED, "the caller has gone");
	return err_set(err, ERR_UNAVAILABLE, "the server is stopping");
}

int health_serve(struct health *health, struct rpc_server *server, struct err *err)
{
	static const struct rpc_method methods[] = {
		{ .name = "Check", .handler = check, .flags = RPC_READ },
		{ .name = "Watch", .handler = watch, .flags = RPC_LONG | RPC_READ },
		{ 0 },
	};

	return rpc_server_add_service(server, &grpc__health__v1__health__descriptor, methods,
				      health, err);
}

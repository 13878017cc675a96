/* SPDX-License-Identifier: Apache-2.0 */
#include "instances.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "instances_internal.h"

#define THREAD_STACK_BYTES (512 * 1024)

void instance_free(struct instance *instance)
{
	if (!instance)
		return;
	spec_free(instance->spec);
	if (instance->wake >= 0)
		close(instance->wake);
	free(instance);
}

int instance_new(struct instances *all, const struct record *record, struct spec *take_spec,
		 struct instance **ret, struct err *err)
{
	struct instance *instance = calloc(1, sizeof(*instance));

	if (!instance) {
		spec_free(take_spec);
		return err_sys(err, ENOMEM, "cannot keep the instance");
	}
	instance->all = all;
	instance->record = *record;
	instance->spec = take_spec;
	instance->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (instance->wake < 0) {
		instance_free(instance);
		return err_sys(err, errno, "cannot keep the instance");
	}
	*ret = instance;
	return 0;
}

int instances_add_locked(struct instances *instances, struct instance *instance, struct err *err)
{
	struct instance **list = realloc(instances->list, (instances->count + 1) * sizeof(*list));

	if (!list)
		return err_sys(err, ENOMEM, "cannot keep the instance");
	instances->list = list;
	list[instances->count++] = instance;
	return 0;
}

void instances_forget_locked(struct instance *instance)
{
	struct instances *instances = instance->all;

	for (size_t i = 0; i < instances->count; i++) {
		if (instances->list[i] != instance)
			continue;
		memmove(&instances->list[i], &instances->list[i + 1],
			(instances->count - i - 1) * sizeof(*instances->list));
		instances->count--;
		break;
	}
	instance_free(instance);
	pthread_cond_broadcast(&instances->changed);
}

struct instance *instances_find_locked(const struct instances *instances, const struct id *id)
{
	for (size_t i = 0; i < instances->count; i++)
		if (strcmp(instances->list[i]->record.id.s, id->s) == 0)
			return instances->list[i];
	return NULL;
}

void instance_commit_locked(struct instance *instance)
{
	struct err err;

	if (records_update(instance->all->options.records, &instance->record, &err) < 0)
		log_error("instance %s: %s", instance->record.id.s, err.message);
	pthread_cond_broadcast(&instance->all->changed);
}

void instance_set_state_locked(struct instance *instance, enum instance_state state)
{
	struct record *record = &instance->record;
	enum instance_state previous = record->state;

	if (!state_may_become(previous, state)) {
		log_error("instance %s: may not go from %s to %s", record->id.s,
			  state_text(previous), state_text(state));
		return;
	}
	record->state = state;
	if (previous == state)
		return;
	log_info("instance %s: %s", record->id.s, state_text(state));
	instance_tell_state(instance, previous);
}

/* ---- Threads ---- */

static int start_thread_locked(struct instances *instances, void *(*run)(void *), void *argument)
{
	pthread_attr_t attributes;
	pthread_t thread;
	int r;

	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attributes, THREAD_STACK_BYTES);
	r = pthread_create(&thread, &attributes, run, argument);
	pthread_attr_destroy(&attributes);
	if (r == 0)
		instances->threads++;
	return -r;
}

static void wake(int fd)
{
	const uint64_t one = 1;

	if (write(fd, &one, sizeof(one)) < 0)
		return; /* full: it is awake already */
}

void instance_kick_locked(struct instance *instance)
{
	int r;

	wake(instance->wake);
	if (instance->busy || instance->all->closing)
		return;
	r = start_thread_locked(instance->all, instance_live, instance);
	if (r < 0)
		log_error("instance %s: cannot start a thread, it stays as it is until the next "
			  "start: %s",
			  instance->record.id.s, strerror(-r));
	else
		instance->busy = true;
}

/* ---- Opening and closing ---- */

static int load_record(void *user, const struct record *record, struct spec *take_spec,
		       struct err *err)
{
	struct instances *instances = user;
	scoped(instance_free) struct instance *instance = NULL;

	if (instance_new(instances, record, take_spec, &instance, err) < 0 ||
	    instances_add_locked(instances, instance, err) < 0)
		return -1;
	TAKE_PTR(instance);
	return 0;
}

static void report_damaged(void *user, const char *id, const struct err *err)
{
	(void)user;
	log_error("instance %s cannot be read, leaving it and its GPU alone: %s", id, err->message);
}

/* Something is to be finished, undone, watched, or perhaps started again. */
static bool has_work(const struct record *record)
{
	return record->deleting || state_holds_resources(record->state) ||
	       instance_holds_any(record) || record->shutdown_boot.s[0];
}

static struct instances *instances_new(const struct instances_options *options)
{
	struct instances *instances = calloc(1, sizeof(*instances));
	pthread_condattr_t attributes;

	if (!instances)
		return NULL;
	instances->options = *options;
	pthread_mutex_init(&instances->lock, NULL);
	pthread_mutex_init(&instances->kernels_lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&instances->changed, &attributes);
	pthread_condattr_destroy(&attributes);
	instances->closing_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return instances;
}

static void instances_free(struct instances *instances)
{
	if (!instances)
		return;
	for (size_t i = 0; i < instances->count; i++)
		instance_free(instances->list[i]);
	free(instances->list);
	if (instances->closing_fd >= 0)
		close(instances->closing_fd);
	pthread_cond_destroy(&instances->changed);
	pthread_mutex_destroy(&instances->kernels_lock);
	pthread_mutex_destroy(&instances->lock);
	free(instances);
}
SCOPED_DEFINE(struct instances *, instances_free);

int instances_open(const struct instances_options *options, struct instances **ret, struct err *err)
{
	scoped(instances_free) struct instances *instances = instances_new(options);
	const struct records_visitor visitor = { load_record, report_damaged, instances };

	if (!instances || instances->closing_fd < 0)
		return err_sys(err, ENOMEM, "cannot keep instances");
	if (records_load(options->records, &visitor, err) < 0)
		return -1;
	instances_collect_kernels(instances);
	pthread_mutex_lock(&instances->lock);
	for (size_t i = 0; i < instances->count; i++)
		if (has_work(&instances->list[i]->record))
			instance_kick_locked(instances->list[i]);
	if (start_thread_locked(instances, instances_release_orphans, instances) < 0)
		log_warning("cannot look for GPUs that no instance claims: no thread for it");
	pthread_mutex_unlock(&instances->lock);
	*ret = TAKE_PTR(instances);
	return 0;
}

void instances_interrupt(struct instances *instances)
{
	if (!instances)
		return;
	SCOPED_INSTANCES_LOCK(instances);
	instances->closing = true;
	wake(instances->closing_fd);
	for (size_t i = 0; i < instances->count; i++) {
		instances->list[i]->interrupted = true;
		wake(instances->list[i]->wake);
	}
	pthread_cond_broadcast(&instances->changed);
}

void instances_close(struct instances *instances)
{
	if (!instances)
		return;
	instances_interrupt(instances);
	pthread_mutex_lock(&instances->lock);
	while (instances->threads > 0)
		pthread_cond_wait(&instances->changed, &instances->lock);
	pthread_mutex_unlock(&instances->lock);
	instances_free(instances);
}

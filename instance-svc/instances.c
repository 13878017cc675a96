/* SPDX-License-Identifier: Apache-2.0 */
#include "instances.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "instance_wire.h"
#include "instances_internal.h"
#include "log_file.h"

#define THREAD_STACK_BYTES (512 * 1024)

int64_t instances_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void instance_free(struct instance *instance)
{
	if (!instance)
		return;
	spec_free(instance->spec);
	if (instance->wake >= 0)
		close(instance->wake);
	free(instance);
}
SCOPED_DEFINE(struct instance *, instance_free);

static int instance_new(struct instances *all, const struct record *record, struct spec *take_spec,
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

static int table_add_locked(struct instances *instances, struct instance *instance, struct err *err)
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

void instance_commit_locked(struct instance *instance)
{
	struct err err;

	if (records_update(instance->all->options.records, &instance->record, &err) < 0)
		log_error("instance %s: %s", instance->record.id.s, err.message);
	pthread_cond_broadcast(&instance->all->changed);
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
	    table_add_locked(instances, instance, err) < 0)
		return -1;
	TAKE_PTR(instance);
	return 0;
}

static void report_damaged(void *user, const char *id, const struct err *err)
{
	(void)user;
	log_error("instance %s cannot be read, leaving it and its GPU alone: %s", id, err->message);
}

/* Something is to be finished, undone or watched. */
static bool has_work(const struct record *record)
{
	return record->deleting || state_holds_resources(record->state) || record->gpu_request.s[0];
}

static struct instances *instances_new(const struct instances_options *options)
{
	struct instances *instances = calloc(1, sizeof(*instances));
	pthread_condattr_t attributes;

	if (!instances)
		return NULL;
	instances->options = *options;
	pthread_mutex_init(&instances->lock, NULL);
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

/* ---- Creation ---- */

static int admit_locked(struct instances *instances, const struct spec *spec, struct err *err)
{
	struct resources resources;

	if (instances->closing)
		return err_set(err, ERR_UNAVAILABLE, "instance-svc is shutting down");
	if (resources_read(instances->options.host->layout.state_dir, &instances->options.factors,
			   &resources, err) < 0)
		return -1;
	for (size_t i = 0; i < instances->count; i++)
		resources_add(&resources, instances->list[i]->spec,
			      state_holds_resources(instances->list[i]->record.state));
	return resources_admit(&resources, spec, err);
}

static int fill_record(struct instances *instances, const struct spec *spec, struct record *record,
		       struct err *err)
{
	*record = (struct record){
		.state = STATE_INITIALIZING,
		.uuid = uuid_new(),
		.created_ms = instances_now_ms(),
	};
	if (spec->gpu_profile)
		record->gpu_request = uuid_new();
	if (id_new(&record->id) < 0)
		return err_set(err, ERR_INTERNAL, "the kernel gives no random bytes");
	return records_free_slot(instances->options.records, host_slots(instances->options.host),
				 &record->slot, err);
}

/* Admitted and recorded, with the GPU's request id in the record, before anything is made. */
static int enter(struct instances *instances, struct spec *take_spec, struct instance **ret,
		 struct err *err)
{
	SCOPED_INSTANCES_LOCK(instances);
	scoped(spec_free) struct spec *spec = take_spec;
	scoped(instance_free) struct instance *instance = NULL;
	struct record record;

	if (admit_locked(instances, spec, err) < 0 ||
	    fill_record(instances, spec, &record, err) < 0 ||
	    instance_new(instances, &record, TAKE_PTR(spec), &instance, err) < 0 ||
	    table_add_locked(instances, instance, err) < 0)
		return -1;
	if (records_insert(instances->options.records, &instance->record, instance->spec, err) <
	    0) {
		instances->count--; /* the last one, under one lock all the time */
		return -1;
	}
	instance->busy = true;
	*ret = TAKE_PTR(instance);
	return 0;
}

/* Without the lock: takes up to GPU_CALL_MS. */
static int reserve_gpu(struct instance *instance, struct gpu_lease *ret, struct err *err)
{
	const struct instances_options *options = &instance->all->options;
	char owner[64];

	if (!instance->spec->gpu_profile)
		return 0;
	snprintf(owner, sizeof(owner), "instance %s", instance->record.id.s);
	return gpu_client_reserve(options->gpu, instance->record.gpu_request.s, owner,
				  instance->spec->gpu_profile,
				  host_gid(options->host, instance->record.slot), ret, err);
}

/* Nothing of it shall stay; what the agent may have done is looked for by its thread. */
static void drop_locked(struct instance *instance, const struct err *err)
{
	if (gpu_client_was_refused(err))
		instance->record.gpu_request = (struct uuid_text){ 0 };
	instance->record.deleting = true;
	instance->record.dropped = true;
}

static void log_creation(struct instance *instance)
{
	const struct record *record = &instance->record;
	scoped_fd int logs = layout_open_logs(&instance->all->options.host->layout, &record->id);

	log_info("instance %s created: name %s, image %s%s%s", record->id.s, instance->spec->name,
		 instance->spec->image, record->lease.id.s[0] ? ", GPU " : "",
		 record->lease.profile);
	if (logs < 0)
		return;
	log_event(logs, "created '%s' from %s", instance->spec->name, instance->spec->image);
	if (record->lease.id.s[0])
		log_event(logs, "reserved a %s at %s%s", record->lease.profile,
			  record->lease.pci_address,
			  record->lease.simulated ? " (simulated: the VM gets a stand-in)" : "");
}

/* What can be known to fail is refused before anything is recorded. */
static int check_first(struct instances *instances, const struct spec *spec, struct err *err)
{
	const struct host *host = instances->options.host;

	if (spec->network && host->network_problem[0])
		return err_set(err, ERR_FAILED_PRECONDITION,
			       "this host cannot give VMs a network: %s; or create the instance "
			       "with network.enabled false",
			       host->network_problem);
	return spec->gpu_profile ? gpu_client_check(instances->options.gpu, err) : 0;
}

int instances_create(struct instances *instances, struct spec *take_spec,
		     Hypeman__Instance__V1__Instance **ret, struct err *err)
{
	struct gpu_lease lease = { 0 };
	struct instance *instance;
	int r;

	if (check_first(instances, take_spec, err) < 0) {
		spec_free(take_spec);
		return -1;
	}
	if (enter(instances, take_spec, &instance, err) < 0)
		return -1;
	r = layout_make_instance(&instances->options.host->layout, &instance->record.id, err);
	if (r == 0)
		r = reserve_gpu(instance, &lease, err);

	SCOPED_INSTANCES_LOCK(instances);
	if (r == 0) {
		instance->record.lease = lease;
		log_creation(instance);
		*ret = instance_to_wire(&instance->record, instance->spec);
		if (!*ret)
			r = err_sys(err, ENOMEM, "cannot describe the instance");
	}
	if (r < 0)
		drop_locked(instance, err);
	instance_commit_locked(instance);
	instance->busy = false;
	instance_kick_locked(instance);
	return r;
}

/* ---- Deletion ---- */

static void mark_deleting(struct instance *instance)
{
	if (instance->record.deleting)
		return;
	instance->record.deleting = true;
	instance->interrupted = true;
	instance_commit_locked(instance);
	log_info("instance %s: deletion begins", instance->record.id.s);
}

static bool is_present_locked(const struct instances *instances, const struct id *id)
{
	for (size_t i = 0; i < instances->count; i++)
		if (strcmp(instances->list[i]->record.id.s, id->s) == 0)
			return true;
	return false;
}

int instances_delete(struct instances *instances, const char *name, int64_t timeout_ms,
		     struct err *err)
{
	SCOPED_INSTANCES_LOCK(instances);
	struct instance *instance =
		instances_resolve_locked(instances, name, INSTANCES_PREFIX_MIN_DELETE, err);
	struct timespec deadline;
	struct id id;

	if (!instance)
		return -1;
	id = instance->record.id;
	mark_deleting(instance);
	instance_kick_locked(instance);
	clock_gettime(CLOCK_MONOTONIC, &deadline);
	deadline.tv_sec += timeout_ms / 1000;
	while (is_present_locked(instances, &id)) {
		if (instances->closing ||
		    pthread_cond_timedwait(&instances->changed, &instances->lock, &deadline) ==
			    ETIMEDOUT)
			return err_set(err, ERR_OUTCOME_UNKNOWN,
				       "instance %s is still being deleted, which goes on: ask "
				       "for it again until it is gone",
				       id.s);
	}
	return 0;
}

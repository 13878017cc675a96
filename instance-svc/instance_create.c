/* SPDX-License-Identifier: Apache-2.0 */
/* From a spec to a record with everything reserved; the instance's thread does the rest. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "instance_wire.h"
#include "instances_internal.h"
#include "log_file.h"

int instance_check_first(struct instances *instances, bool network, bool devices, struct err *err)
{
	const struct host *host = instances->options.host;

	if (network && host->network_problem[0])
		return err_set(err, ERR_FAILED_PRECONDITION,
			       "this host cannot give VMs a network: %s; or create the instance "
			       "with network.enabled false",
			       host->network_problem);
	return devices ? gpu_client_check(instances->options.gpu, err) : 0;
}

/* ---- The same request again ---- */

static int digest_spec(const struct spec *spec, struct image_digest *ret, struct err *err)
{
	size_t size = 0;
	scoped_free void *bytes = spec_save(spec, &size);

	if (!bytes)
		return err_sys(err, ENOMEM, "cannot compare the request");
	*ret = image_digest_of(bytes, size);
	return 0;
}

static int describe(const struct instance *instance, wire_instance **ret, struct err *err)
{
	*ret = instance_to_wire(&instance->record, instance->spec);
	return *ret ? 0 : err_sys(err, ENOMEM, "cannot describe the instance");
}

/* Until the first request has its answer, which is this one's too. */
static int await_first(struct instances *instances, const struct id *id,
		       const struct instances_patience *patience, wire_instance **ret,
		       struct err *err)
{
	struct timespec deadline = instances_deadline(patience);
	const struct instance *instance;

	while ((instance = instances_find_locked(instances, id)) && instance->creating)
		if (!instances_wait_locked(instances, &deadline, patience, err))
			return -1;
	if (!instance)
		return err_set(err, ERR_FAILED_PRECONDITION,
			       "the instance that this request made has been deleted: use another "
			       "request_id");
	if (instance->record.dropped)
		return err_set(err, ERR_ABORTED, "the same request failed a moment ago");
	return describe(instance, ret, err) < 0 ? -1 : 1;
}

/* 1 with *ret when the request was there before, 0 when it is new. */
static int find_earlier(struct instances *instances, struct record_request *request,
			const struct instances_patience *patience, wire_instance **ret,
			struct err *err)
{
	struct record_request earlier = *request;
	struct id id;
	int r;

	r = records_find_request(instances->options.records, &earlier, &id, err);
	if (r <= 0)
		return r;
	if (strcmp(earlier.body.s, request->body.s) != 0)
		return err_set(err, ERR_REQUEST_ID_REUSED,
			       "request_id '%s' was used for another instance", request->id);
	return await_first(instances, &id, patience, ret, err);
}

/* ---- A new one ---- */

static int admit_locked(struct instances *instances, const struct spec *spec, const char *principal,
			struct err *err)
{
	struct resources resources;

	if (instances->closing)
		return err_set(err, ERR_UNAVAILABLE, "instance-svc is shutting down");
	if (instances_admit_quota_locked(instances, principal, spec, err) < 0 ||
	    instances_measure_locked(instances, NULL, &resources, err) < 0)
		return -1;
	return resources_admit(&resources, spec, err);
}

static int fill_record(struct instances *instances, const struct spec *spec, const char *principal,
		       struct record *record, struct err *err)
{
	*record = (struct record){
		.state = STATE_INITIALIZING,
		.uuid = uuid_new(),
		.created_ms = clock_realtime_ms(),
	};
	snprintf(record->principal, sizeof(record->principal), "%s", principal);
	if (!spec->image_kernel) /* else it is not known before the image is here */
		memcpy(record->kernel, instances->options.host->kernel, sizeof(record->kernel));
	if (id_new(&record->id) < 0)
		return err_set(err, ERR_INTERNAL, "the kernel gives no random bytes");
	return records_free_slot(instances->options.records, host_slots(instances->options.host),
				 &record->slot, err);
}

/* Admitted and recorded, with the requests to the agent, before anything is made. */
static int enter_locked(struct instances *instances, struct spec *take_spec, const char *principal,
			const struct record_request *request, struct instance **ret,
			struct err *err)
{
	scoped(spec_free) struct spec *spec = take_spec;
	scoped(instance_free) struct instance *instance = NULL;
	struct record record;

	if (admit_locked(instances, spec, principal, err) < 0 ||
	    instances_check_volumes_locked(instances, spec, NULL, err) < 0 ||
	    fill_record(instances, spec, principal, &record, err) < 0 ||
	    instance_new(instances, &record, TAKE_PTR(spec), &instance, err) < 0)
		return -1;
	instance_plan_holds_locked(instance);
	if (instances_add_locked(instances, instance, err) < 0)
		return -1;
	if (records_insert(instances->options.records, &instance->record, instance->spec, request,
			   err) < 0) {
		instances->count--; /* the last one, under one lock all the time */
		return -1;
	}
	instance->busy = true;
	instance->creating = true;
	*ret = TAKE_PTR(instance);
	return 0;
}

/* 1 with *ret_answer: it was made before. 0 with *ret: it is new. */
static int enter(struct instances *instances, struct spec *take_spec, const char *principal,
		 struct record_request *request, const struct instances_patience *patience,
		 struct instance **ret, wire_instance **ret_answer, struct err *err)
{
	SCOPED_INSTANCES_LOCK(instances);
	scoped(spec_free) struct spec *spec = take_spec;
	int r = 0;

	if (request) {
		r = digest_spec(spec, &request->body, err);
		if (r == 0)
			r = find_earlier(instances, request, patience, ret_answer, err);
	}
	return r != 0 ? r : enter_locked(instances, TAKE_PTR(spec), principal, request, ret, err);
}

/* Nothing of it shall stay; what the agent may have done is looked for by its thread. */
static void drop_locked(struct instance *instance)
{
	struct err err;

	instance->record.deleting = true;
	instance->record.dropped = true;
	if (records_forget_request(instance->all->options.records, &instance->record.id, &err) < 0)
		log_error("instance %s: %s", instance->record.id.s, err.message);
}

static void log_creation(struct instance *instance)
{
	const struct record *record = &instance->record;
	scoped_fd int logs = layout_open_logs(&instance->all->options.host->layout, &record->id);

	log_info("instance %s created: name %s, image %s", record->id.s, instance->spec->name,
		 instance->spec->image);
	if (logs >= 0)
		log_event(logs, "created '%s' from %s", instance->spec->name,
			  instance->spec->image);
	instance_tell(instance, EVENT_INSTANCE_CREATED);
}

static int finish_creation(struct instance *instance, int r, wire_instance **ret, struct err *err)
{
	SCOPED_INSTANCES_LOCK(instance->all);

	if (r == 0)
		r = describe(instance, ret, err);
	if (r == 0)
		log_creation(instance);
	else
		drop_locked(instance);
	instance->creating = false;
	instance_commit_locked(instance);
	instance->busy = false;
	instance_kick_locked(instance);
	return r;
}

int instances_create(struct instances *instances, struct spec *take_spec, const char *principal,
		     struct record_request *request, const struct instances_patience *patience,
		     wire_instance **ret, struct err *err)
{
	scoped(volume_holds_done) struct volume_holds holds = { 0 };
	struct instance *instance;
	int r;

	if (instance_check_first(instances, take_spec->network, spec_hold_count(take_spec) > 0,
				 err) < 0 ||
	    (take_spec->image_kernel &&
	     image_store_check_kernel(instances->options.images, take_spec->image, err) < 0) ||
	    instances_hold_volumes(instances, take_spec, &holds, err) < 0) {
		spec_free(take_spec);
		return -1;
	}
	r = enter(instances, take_spec, principal, request, patience, &instance, ret, err);
	if (r != 0)
		return r > 0 ? 0 : -1;
	r = layout_make_instance(&instances->options.host->layout, &instance->record.id, err);
	if (r == 0)
		r = instance_take_holds(instance, err);
	return finish_creation(instance, r, ret, err);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is asked of an instance that exists. A request leaves its mark in the record, wakes
 * the instance's thread, and waits for what it does; the mark stays when the caller goes.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "instance_wire.h"
#include "instances_internal.h"
#include "vm.h"

#define LOOK_MS 250 /* between looks at whether the caller has gone */

struct timespec instances_deadline(const struct instances_patience *patience)
{
	struct timespec deadline;

	clock_gettime(CLOCK_MONOTONIC, &deadline);
	deadline.tv_sec += patience->timeout_ms / 1000;
	deadline.tv_nsec += patience->timeout_ms % 1000 * 1000000;
	if (deadline.tv_nsec >= 1000000000) {
		deadline.tv_nsec -= 1000000000;
		deadline.tv_sec++;
	}
	return deadline;
}

static bool is_before(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec != b->tv_sec ? a->tv_sec < b->tv_sec : a->tv_nsec < b->tv_nsec;
}

bool instances_wait_locked(struct instances *instances, const struct timespec *deadline,
			   const struct instances_patience *patience, struct err *err)
{
	const struct instances_patience look = { .timeout_ms = LOOK_MS };
	struct timespec now, until = *deadline;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (instances->closing)
		return err_set(err, ERR_UNAVAILABLE,
			       "instance-svc is shutting down; what was begun goes on"),
		       false;
	if (patience->is_gone && patience->is_gone(patience->user))
		return err_set(err, ERR_CANCELLED, "the caller has gone"), false;
	if (!is_before(&now, deadline))
		return err_set(err, ERR_OUTCOME_UNKNOWN,
			       "not done yet, and it goes on: look again"),
		       false;
	if (patience->is_gone) {
		struct timespec next_look = instances_deadline(&look);

		if (is_before(&next_look, &until))
			until = next_look;
	}
	(void)pthread_cond_timedwait(&instances->changed, &instances->lock, &until);
	return true;
}

static int describe(const struct instance *instance, wire_instance **ret, struct err *err)
{
	*ret = instance_to_wire(&instance->record, instance->spec);
	return *ret ? 0 : err_sys(err, ENOMEM, "cannot describe the instance");
}

static int check_allowed(const struct instance *instance, enum state_request request,
			 const char *what, struct err *err)
{
	enum instance_state state = instance->record.state;

	if (instance->record.deleting)
		return err_set(err, ERR_WRONG_STATE, "cannot %s '%s': it is being deleted", what,
			       instance->spec->name);
	if (state_allows(state, request))
		return 0;
	return err_set(err, ERR_WRONG_STATE, "cannot %s '%s': it is %s%s", what,
		       instance->spec->name, state_text(state),
		       state == STATE_STANDBY ? "; restore it first" : "");
}

static int refuse_lost(struct err *err)
{
	return err_set(err, ERR_INSTANCE_NOT_FOUND, "the instance was deleted meanwhile");
}

/* ---- Stop ---- */

static void mark_stop_locked(struct instance *instance, uint32_t grace_ms)
{
	struct record *record = &instance->record;

	if (record->goal == GOAL_STOP && record->stop_ms <= grace_ms)
		return; /* is being stopped, and as fast */
	record->goal = GOAL_STOP;
	record->stop_ms = grace_ms;
	instance->interrupted = true;
	instance_commit_locked(instance);
	instance_kick_locked(instance);
}

/* Its thread has done all that was to be done. */
static bool is_settled(const struct instance *instance)
{
	return !instance->busy && !state_holds_resources(instance->record.state);
}

/* NULL with *err when it is deleted, or the patience ends. */
static struct instance *await_settled_locked(struct instances *instances, const struct id *id,
					     const struct instances_patience *patience,
					     struct err *err)
{
	struct timespec deadline = instances_deadline(patience);
	struct instance *instance;

	while ((instance = instances_find_locked(instances, id)) && !is_settled(instance))
		if (!instances_wait_locked(instances, &deadline, patience, err))
			return NULL;
	if (!instance)
		refuse_lost(err);
	return instance;
}

int instances_stop(struct instances *instances, const char *name, uint32_t grace_ms,
		   const struct instances_patience *patience, wire_instance **ret, struct err *err)
{
	SCOPED_INSTANCES_LOCK(instances);
	struct instance *instance =
		instances_resolve_locked(instances, name, INSTANCES_PREFIX_MIN, err);
	struct id id;

	if (!instance || check_allowed(instance, REQUEST_STOP, "stop", err) < 0)
		return -1;
	id = instance->record.id;
	if (state_holds_resources(instance->record.state))
		mark_stop_locked(instance, grace_ms);
	instance = await_settled_locked(instances, &id, patience, err);
	if (!instance || check_allowed(instance, REQUEST_STOP, "stop", err) < 0)
		return -1;
	return describe(instance, ret, err);
}

/* ---- Start and restore ---- */

static int admit_again(struct instances *instances, const struct instance *instance,
		       struct err *err)
{
	struct resources resources;

	if (instance_admit_start_locked(instance, err) < 0 ||
	    instances_measure_locked(instances, instance, &resources, err) < 0)
		return -1;
	return resources_admit(&resources, instance->spec, err);
}

static int replace_options(struct instance *instance,
			   const Hypeman__Instance__V1__StartOptions *options, struct err *err)
{
	struct spec *changed;

	if (!options || options->n_entrypoint + options->n_cmd == 0)
		return 0;
	if (spec_with_options(instance->spec, options, &changed, err) < 0)
		return -1;
	if (records_replace_spec(instance->all->options.records, &instance->record.id, changed,
				 err) < 0) {
		spec_free(changed);
		return -1;
	}
	spec_free(instance->spec);
	instance->spec = changed;
	return 0;
}

/* What is left of the run before must not be taken for this one's. */
static void forget_last_run(struct instance *instance)
{
	struct record *record = &instance->record;

	vm_forget_exit(instance->all->options.host, &record->id);
	record->goal = GOAL_RUN;
	record->stop_ms = 0;
	record->state_error[0] = '\0';
	record->has_exit_code = false;
	record->exit_message[0] = '\0';
	record->shutdown_boot.s[0] = '\0';
	record->supervisor = (struct process_id){ 0 };
	instance->interrupted = false;
	instance->refusal[0] = '\0';
}

/* Found, settled, and in a state in which it may be asked; under the lock all the time. */
static struct instance *settle_for(struct instances *instances, const char *name,
				   enum state_request request, const char *what,
				   const struct instances_patience *patience, struct err *err)
{
	struct instance *instance =
		instances_resolve_locked(instances, name, INSTANCES_PREFIX_MIN, err);
	struct id id;

	if (!instance || check_allowed(instance, request, what, err) < 0)
		return NULL;
	id = instance->record.id;
	/* Stopped a moment ago: what it held is still being given back. */
	instance = await_settled_locked(instances, &id, patience, err);
	if (!instance || check_allowed(instance, request, what, err) < 0)
		return NULL;
	return instance;
}

int instance_begin_start_locked(struct instance *instance, struct err *err)
{
	struct record before = instance->record;

	forget_last_run(instance);
	instance_plan_holds_locked(instance);
	/* What the agent will be asked for is on disk before it is asked. */
	if (records_update(instance->all->options.records, &instance->record, err) < 0) {
		instance->record = before;
		return -1;
	}
	instance_set_state_locked(instance, STATE_INITIALIZING);
	instance_commit_locked(instance);
	return 0;
}

static int check_before_start(struct instances *instances, const char *name, struct err *err)
{
	bool network, devices;

	{
		SCOPED_INSTANCES_LOCK(instances);
		const struct instance *instance =
			instances_resolve_locked(instances, name, INSTANCES_PREFIX_MIN, err);

		if (!instance || check_allowed(instance, REQUEST_START, "start", err) < 0)
			return -1;
		network = instance->spec->network;
		devices = spec_hold_count(instance->spec) > 0;
	}
	return instance_check_first(instances, network, devices, err);
}

static int begin_start(struct instances *instances, const char *name,
		       const Hypeman__Instance__V1__StartOptions *options,
		       const struct instances_patience *patience, struct instance **ret,
		       struct err *err)
{
	SCOPED_INSTANCES_LOCK(instances);
	struct instance *instance =
		settle_for(instances, name, REQUEST_START, "start", patience, err);

	if (!instance || admit_again(instances, instance, err) < 0 ||
	    replace_options(instance, options, err) < 0 ||
	    instance_begin_start_locked(instance, err) < 0)
		return -1;
	instance->busy = true;
	*ret = instance;
	return 0;
}

/* A refusal is the caller's answer: the instance is as Stopped as it was. */
static int finish_start(struct instance *instance, int r, wire_instance **ret, struct err *err)
{
	SCOPED_INSTANCES_LOCK(instance->all);

	if (r == 0)
		r = describe(instance, ret, err);
	if (r < 0)
		instance_set_state_locked(instance, STATE_STOPPED);
	instance_commit_locked(instance);
	instance->busy = false;
	instance_kick_locked(instance);
	return r;
}

int instances_start(struct instances *instances, const char *name,
		    const Hypeman__Instance__V1__StartOptions *options,
		    const struct instances_patience *patience, wire_instance **ret, struct err *err)
{
	struct instance *instance;

	if (check_before_start(instances, name, err) < 0 ||
	    begin_start(instances, name, options, patience, &instance, err) < 0)
		return -1;
	return finish_start(instance, instance_take_holds(instance, err), ret, err);
}

/* Until it runs, or has come to another end. */
static int await_restored_locked(struct instances *instances, const struct id *id,
				 const struct instances_patience *patience, wire_instance **ret,
				 struct err *err)
{
	struct timespec deadline = instances_deadline(patience);
	struct instance *instance;

	while ((instance = instances_find_locked(instances, id)) &&
	       instance->record.state == STATE_INITIALIZING)
		if (!instances_wait_locked(instances, &deadline, patience, err))
			return -1;
	if (!instance)
		return refuse_lost(err);
	if (instance->record.state == STATE_STANDBY)
		return err_set(err, ERR_FAILED_PRECONDITION, "'%s' is still in standby: %s",
			       instance->spec->name, instance->record.state_error);
	return describe(instance, ret, err);
}

int instances_restore(struct instances *instances, const char *name,
		      const struct instances_patience *patience, wire_instance **ret,
		      struct err *err)
{
	SCOPED_INSTANCES_LOCK(instances);
	struct instance *instance =
		settle_for(instances, name, REQUEST_RESTORE, "restore", patience, err);
	struct id id;

	/* It holds no device: nobody is asked. */
	if (!instance || instance_check_first(instances, instance->spec->network, false, err) < 0 ||
	    admit_again(instances, instance, err) < 0)
		return -1;
	id = instance->record.id;
	forget_last_run(instance);
	instance_set_state_locked(instance, STATE_INITIALIZING);
	instance_commit_locked(instance);
	instance_kick_locked(instance);
	return await_restored_locked(instances, &id, patience, ret, err);
}

/* ---- Standby ---- */

static int check_standby(struct instances *instances, const struct instance *instance,
			 struct err *err)
{
	struct resources resources;

	if (spec_hold_count(instance->spec) > 0)
		return err_set(err, ERR_HAS_DEVICE,
			       "'%s' has a GPU or a device, whose state cannot be saved: stop it "
			       "instead",
			       instance->spec->name);
	if (instances_admit_disk_locked(instances, instance->record.principal,
					instance->spec->memory_bytes, err) < 0 ||
	    instances_measure_locked(instances, NULL, &resources, err) < 0)
		return -1;
	return resources_admit_disk(&resources, instance->spec->memory_bytes, err);
}

static int await_standby_locked(struct instances *instances, const struct id *id,
				const struct instances_patience *patience, wire_instance **ret,
				struct err *err)
{
	struct timespec deadline = instances_deadline(patience);
	struct instance *instance;

	while ((instance = instances_find_locked(instances, id)) && !is_settled(instance) &&
	       instance->record.goal == GOAL_STANDBY)
		if (!instances_wait_locked(instances, &deadline, patience, err))
			return -1;
	if (!instance)
		return refuse_lost(err);
	if (instance->record.state == STATE_STANDBY)
		return describe(instance, ret, err);
	return err_set(err, ERR_FAILED_PRECONDITION, "'%s' is not in standby but %s: %s",
		       instance->spec->name, state_text(instance->record.state),
		       instance->refusal[0] ? instance->refusal : "it ended before");
}

int instances_standby(struct instances *instances, const char *name,
		      const struct instances_patience *patience, wire_instance **ret,
		      struct err *err)
{
	SCOPED_INSTANCES_LOCK(instances);
	struct instance *instance =
		instances_resolve_locked(instances, name, INSTANCES_PREFIX_MIN, err);
	struct id id;

	if (!instance || check_allowed(instance, REQUEST_STANDBY, "put into standby", err) < 0 ||
	    check_standby(instances, instance, err) < 0)
		return -1;
	id = instance->record.id;
	instance->refusal[0] = '\0';
	instance->record.goal = GOAL_STANDBY;
	instance->record.snapshot_bytes = instance->spec->memory_bytes;
	instance_commit_locked(instance);
	instance_kick_locked(instance);
	return await_standby_locked(instances, &id, patience, ret, err);
}

/* ---- Deletion ---- */

static void mark_deleting_locked(struct instance *instance)
{
	if (instance->record.deleting)
		return;
	instance->record.deleting = true;
	instance->interrupted = true;
	instance_commit_locked(instance);
	log_info("instance %s: deletion begins", instance->record.id.s);
}

int instances_delete(struct instances *instances, const char *name,
		     const struct instances_patience *patience, struct err *err)
{
	SCOPED_INSTANCES_LOCK(instances);
	struct instance *instance =
		instances_resolve_locked(instances, name, INSTANCES_PREFIX_MIN_DELETE, err);
	struct timespec deadline = instances_deadline(patience);
	struct id id;

	if (!instance)
		return -1;
	id = instance->record.id;
	mark_deleting_locked(instance);
	instance_kick_locked(instance);
	while ((instance = instances_find_locked(instances, &id))) {
		if (instances_wait_locked(instances, &deadline, patience, err))
			continue;
		err_prefix(err, "the deletion of '%s'%s%s", instance->spec->name,
			   instance->refusal[0] ? ": " : "", instance->refusal);
		return -1;
	}
	return 0;
}

/* ---- Wait ---- */

static int answer_wait(const struct instance *instance, bool timed_out,
		       Hypeman__Instance__V1__WaitInstanceResponse **ret, struct err *err)
{
	Hypeman__Instance__V1__WaitInstanceResponse *answer = malloc(sizeof(*answer));

	if (!answer)
		return err_sys(err, ENOMEM, "cannot answer");
	hypeman__instance__v1__wait_instance_response__init(answer);
	answer->state = (Hypeman__Instance__V1__InstanceState)instance->record.state;
	answer->timed_out = timed_out;
	if (instance->record.state_error[0]) {
		answer->state_error_opt_case =
			HYPEMAN__INSTANCE__V1__WAIT_INSTANCE_RESPONSE__STATE_ERROR_OPT_STATE_ERROR;
		answer->state_error = strdup(instance->record.state_error);
		if (!answer->state_error) {
			protobuf_c_message_free_unpacked(&answer->base, NULL);
			return err_sys(err, ENOMEM, "cannot answer");
		}
	}
	*ret = answer;
	return 0;
}

int instances_wait(struct instances *instances, const char *name, enum instance_state state,
		   const struct instances_patience *patience,
		   Hypeman__Instance__V1__WaitInstanceResponse **ret, struct err *err)
{
	SCOPED_INSTANCES_LOCK(instances);
	struct instance *instance =
		instances_resolve_locked(instances, name, INSTANCES_PREFIX_MIN, err);
	struct timespec deadline = instances_deadline(patience);
	struct id id;

	if (!instance)
		return -1;
	id = instance->record.id;
	while ((instance = instances_find_locked(instances, &id)) &&
	       instance->record.state != state && state_may_lead_to(instance->record.state, state))
		if (!instances_wait_locked(instances, &deadline, patience, err))
			return err->reason == ERR_OUTCOME_UNKNOWN
				       ? answer_wait(instance, true, ret, err)
				       : -1;
	return instance ? answer_wait(instance, false, ret, err) : refuse_lost(err);
}

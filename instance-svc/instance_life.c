/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One instance from its record to its end, in one thread. Where it begins depends on what
 * the record and the host say, so the first start and every start after a crash are the
 * same code:
 *
 *   find or launch the VM -> watch it -> record its end -> give the GPU back -> delete
 */
#include "instance_life.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/log.h"
#include "vm.h"

#define DELETE_GRACE_MS	   3000	 /* for the guest; its disk goes away with it */
#define SUPERVISOR_WAIT_MS 10000 /* for one to answer, or to end after its last word */

/* ---- Small things ---- */

bool life_is_closing(struct life *life)
{
	SCOPED_INSTANCES_LOCK(life->instance->all);

	return life->instance->all->closing;
}

struct record life_read_record(struct life *life)
{
	SCOPED_INSTANCES_LOCK(life->instance->all);

	return life->instance->record;
}

void life_pause(struct life *life, int fd, int timeout_ms)
{
	struct pollfd fds[] = {
		{ .fd = life->instance->wake, .events = POLLIN },
		{ .fd = fd, .events = POLLIN },
	};
	eventfd_t count;

	if (poll(fds, 2, timeout_ms) > 0 && fds[0].revents)
		(void)eventfd_read(life->instance->wake, &count);
}

void life_sleep(struct life *life, int timeout_ms)
{
	struct pollfd fd = { .fd = life->instance->all->closing_fd, .events = POLLIN };

	(void)poll(&fd, 1, timeout_ms);
}

/* ---- While it runs ---- */

/* The standby did not come about: the guest goes on as if nobody had asked. */
static void refuse_standby_locked(struct instance *instance, const char *why)
{
	if (instance->record.goal != GOAL_STANDBY)
		return;
	log_warning("instance %s: no standby: %s", instance->record.id.s, why);
	snprintf(instance->refusal, sizeof(instance->refusal), "%s", why);
	instance->record.goal = GOAL_RUN;
	instance->record.snapshot_bytes = 0;
}

static void take_status(struct life *life, const struct control_status *status)
{
	static const enum instance_state states[] = {
		[VM_PHASE_STARTING] = STATE_INITIALIZING,
		[VM_PHASE_RUNNING] = STATE_RUNNING,
		[VM_PHASE_STOPPING] = STATE_SHUTDOWN,
		[VM_PHASE_SAVING] = STATE_PAUSED,
	};
	struct instance *instance = life->instance;
	struct record *record = &instance->record;
	SCOPED_INSTANCES_LOCK(instance->all);

	if (record->supervisor.pid != status->supervisor_pid)
		(void)process_id_of(status->supervisor_pid, &record->supervisor);
	if (status->started_ms > 0)
		record->started_ms = status->started_ms;
	if (status->refusal[0])
		refuse_standby_locked(instance, status->refusal);
	/* Out of standby, and past it. */
	if (status->phase == VM_PHASE_RUNNING && record->goal != GOAL_STANDBY)
		record->snapshot_bytes = 0;
	if (status->phase != VM_PHASE_STARTING)
		instance_set_state_locked(instance, states[status->phase]);
	instance_commit_locked(instance);
}

/* What the supervisor was told so far, over this connection. */
struct told {
	bool deleting;
	bool standby;
	bool stop;
	uint32_t stop_ms;
};

/* A mark that could not be passed on is seen again when the supervisor is connected anew. */
static void pass_on_marks(struct life *life, struct told *told)
{
	struct record record = life_read_record(life);

	if (record.deleting && !told->deleting) {
		LIFE_EVENT(life, "stopping the VM: the instance is being deleted");
		told->deleting = vm_ask_to_stop(life->control, DELETE_GRACE_MS) == 0;
	} else if (record.goal == GOAL_STOP && (!told->stop || record.stop_ms < told->stop_ms)) {
		LIFE_EVENT(life, "stopping the VM");
		told->stop = vm_ask_to_stop(life->control, record.stop_ms) == 0;
		told->stop_ms = record.stop_ms;
	} else if (record.goal == GOAL_STANDBY && !told->standby) {
		LIFE_EVENT(life, "saving the memory of the VM");
		told->standby = vm_ask_for_standby(life->control, record.snapshot_bytes) == 0;
	}
	if (record.goal != GOAL_STANDBY)
		told->standby = false;
}

/* Until the supervisor is heard no more, or this process ends. */
static enum next follow_vm(struct life *life)
{
	struct told told = { 0 };

	for (;;) {
		struct pollfd fd = { .fd = life->control, .events = POLLIN };
		struct control_status status;

		if (life_is_closing(life))
			return NEXT_LEAVE;
		pass_on_marks(life, &told);
		if (poll(&fd, 1, 0) == 0) {
			life_pause(life, life->control, -1);
			continue;
		}
		if (vm_read_status(life->control, &status) <= 0)
			return NEXT_GO_ON;
		take_status(life, &status);
	}
}

static void disconnect(struct life *life)
{
	if (life->control >= 0)
		close(life->control);
	life->control = -1;
}

/* It has the lock but does not answer: stopped, stuck in the kernel, or of another version. */
static void note_silence(struct life *life)
{
	struct instance *instance = life->instance;
	SCOPED_INSTANCES_LOCK(instance->all);

	if (instance->record.deleting || instance->record.goal == GOAL_STOP) {
		log_warning("instance %s: its supervisor does not answer: killing it", life->id.s);
		(void)process_id_kill(&instance->record.supervisor, SIGKILL);
	} else if (instance->record.state == STATE_RUNNING) {
		log_warning("instance %s: its supervisor does not answer", life->id.s);
		instance_set_state_locked(instance, STATE_UNKNOWN);
		instance_commit_locked(instance);
	}
}

/* Ends when no supervisor is left. */
static enum next watch_vm(struct life *life)
{
	int silent_ms = 0;

	while (vm_is_present(life->host, &life->id)) {
		if (life_is_closing(life))
			return NEXT_LEAVE;
		life->control = vm_connect(life->host, &life->id);
		if (life->control >= 0) {
			enum next next = follow_vm(life);

			disconnect(life);
			silent_ms = 0;
			if (next == NEXT_LEAVE)
				return next;
		}
		life_sleep(life, 50); /* it may be writing its last word */
		silent_ms += 50;
		if (silent_ms % SUPERVISOR_WAIT_MS == 0)
			note_silence(life);
	}
	if (life->child.pid > 0)
		(void)process_wait(&life->child, SUPERVISOR_WAIT_MS, NULL);
	return NEXT_GO_ON;
}

/* ---- The whole ---- */

/* A creation that failed keeps no disks; an instance that ended keeps what its guest wrote. */
static void tidy_up(struct life *life, const struct record *record)
{
	if (record->state == STATE_STOPPED && record->started_ms == 0)
		layout_remove_disks(&life->host->layout, &life->id);
}

/* The host went down under it and is up again: everything is taken anew. */
static bool start_again(struct life *life)
{
	struct instance *instance = life->instance;
	struct process_id us;
	struct err err;
	SCOPED_INSTANCES_LOCK(instance->all);

	if (!instance->spec->autostart || instance->record.deleting ||
	    instance->record.state != STATE_STOPPED || !instance->record.shutdown_boot.s[0] ||
	    process_id_of(getpid(), &us) < 0 ||
	    strcmp(us.boot_id.s, instance->record.shutdown_boot.s) == 0)
		return false;
	if (instance_begin_start_locked(instance, &err) < 0) {
		log_error("instance %s: cannot start it again: %s", life->id.s, err.message);
		return false;
	}
	log_info("instance %s: the host was restarted: starting it again", life->id.s);
	LIFE_EVENT(life, "the host was restarted: starting again");
	return true;
}

static enum next live(struct life *life)
{
	struct record record;

	do {
		record = life_read_record(life);
		if (state_holds_resources(record.state)) {
			if (life_boot(life) == NEXT_LEAVE || watch_vm(life) == NEXT_LEAVE)
				return NEXT_LEAVE;
			life_record_end(life);
		}
		if (life_give_back(life) == NEXT_LEAVE)
			return NEXT_LEAVE;
	} while (start_again(life));
	record = life_read_record(life);
	tidy_up(life, &record);
	return record.deleting ? life_remove(life) : NEXT_GO_ON;
}

/* True when the thread has nothing more to do; a deletion may have been asked for meanwhile. */
static bool is_over(struct life *life, enum next next)
{
	struct instance *instance = life->instance;
	struct instances *all = instance->all;
	SCOPED_INSTANCES_LOCK(all);

	if (next == NEXT_GO_ON && instance->record.deleting && !life->removed)
		return false;
	if (life->removed) {
		if (!instance->record.dropped)
			instance_tell(instance, EVENT_INSTANCE_DELETED);
		instances_forget_locked(instance);
	} else {
		instance->busy = false;
	}
	all->threads--;
	pthread_cond_broadcast(&all->changed);
	return true;
}

static void close_logs(struct life *life)
{
	if (life->logs >= 0)
		close(life->logs);
	life->logs = -1;
}

void *instance_live(void *argument)
{
	struct instance *instance = argument;
	struct life life = {
		.instance = instance,
		.host = instance->all->options.host,
		.id = instance->record.id, /* never changes */
		.logs = -1,
		.child = PROCESS_NONE,
		.control = -1,
	};
	enum next next;

	do {
		struct err err;

		/* It is missing after a crash right behind the record. */
		if (!life_read_record(&life).deleting &&
		    layout_make_instance(&life.host->layout, &life.id, &err) < 0)
			log_error("instance %s: %s", life.id.s, err.message);
		life.logs = layout_open_logs(&life.host->layout, &life.id);
		next = live(&life);
		close_logs(&life);
	} while (!is_over(&life, next));
	if (life.child.pid > 0)
		close(life.child.pidfd); /* it goes on without us */
	return NULL;
}

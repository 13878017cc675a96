/* SPDX-License-Identifier: Apache-2.0 */
/* After the VM: what is known of its end, and giving back what it had. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "instance_life.h"
#include "vm.h"

#define RETRY_FAST_MS	 500
#define RETRY_SLOW_MS	 5000
#define RETRY_FAST_COUNT 20 /* the kernel lets a device go up to 10 s after its VM */

static bool is_this_boot(const struct record *record)
{
	struct process_id us;

	return process_id_of(getpid(), &us) == 0 &&
	       strcmp(us.boot_id.s, record->supervisor.boot_id.s) == 0;
}

/* Without a last word: the supervisor was killed, or everything was. */
static void describe_silent_end(struct record *record)
{
	bool same_boot = is_this_boot(record);

	if (!same_boot)
		record->shutdown_boot = record->supervisor.boot_id;
	snprintf(record->state_error, RECORD_TEXT_MAX, "run the VM: %s",
		 same_boot ? "its supervisor was killed, and the VM with it"
			   : "the host was restarted");
}

static void describe_end(struct record *record, const struct vm_exit *end)
{
	char *error = record->state_error;

	if (end->started_ms > 0)
		record->started_ms = end->started_ms;
	record->stopped_ms = end->ended_ms;
	switch ((enum vm_end)end->end) {
	case VM_END_EXIT:
		record->has_exit_code = true;
		record->exit_code = end->exit_code;
		snprintf(record->exit_message, sizeof(record->exit_message), "%s", end->text);
		break;
	case VM_END_FAILED:
		snprintf(error, RECORD_TEXT_MAX, "start the guest: %s", end->text);
		break;
	case VM_END_VMM:
		snprintf(error, RECORD_TEXT_MAX, "run the VM: %s", end->text);
		break;
	case VM_END_STOPPED:
	case VM_END_STANDBY:
		break;
	}
	if (end->host_down)
		record->shutdown_boot = record->supervisor.boot_id;
}

/* A saved memory is there exactly as long as the VM has not gone on from it. */
static enum instance_state state_after(struct life *life, struct record *record)
{
	record->snapshot_bytes = vm_snapshot_bytes(life->host, &life->id);
	if (record->snapshot_bytes == 0)
		return STATE_STOPPED;
	record->shutdown_boot.s[0] = '\0';
	return STATE_STANDBY;
}

void life_record_end(struct life *life)
{
	struct instance *instance = life->instance;
	struct record *record = &instance->record;
	struct vm_exit end;
	struct record before = life_read_record(life);
	int found = vm_read_exit(life->host, &life->id, &end);

	if (found != 0 && before.supervisor.pid > 0)
		vm_sweep(life->host, &before);
	SCOPED_INSTANCES_LOCK(instance->all);

	if (!state_holds_resources(record->state))
		return;
	record->stopped_ms = clock_realtime_ms();
	if (found == 0)
		describe_end(record, &end);
	else if (record->supervisor.pid > 0)
		describe_silent_end(record);
	instance_set_state_locked(instance, state_after(life, record));
	record->supervisor = (struct process_id){ 0 };
	instance_commit_locked(instance);
	if (record->state_error[0])
		log_warning("instance %s: %s", life->id.s, record->state_error);
}

/* Who waits for the deletion is told why it takes so long. */
static void note_trouble(struct life *life, const struct err *err)
{
	SCOPED_INSTANCES_LOCK(life->instance->all);

	snprintf(life->instance->refusal, sizeof(life->instance->refusal), "%s", err->message);
}

enum next life_give_back(struct life *life)
{
	struct record record = life_read_record(life);
	struct err err;

	if (!instance_holds_any(&record))
		return NEXT_GO_ON;
	for (int tries = 0; instance_give_holds_back(life->instance, &err) < 0; tries++) {
		if (life_is_closing(life))
			return NEXT_LEAVE;
		if (tries == 0 || tries == RETRY_FAST_COUNT) {
			log_warning("instance %s: cannot give the GPU back yet: %s", life->id.s,
				    err.message);
			LIFE_EVENT(life, "cannot give the GPU back yet: %s", err.message);
		}
		note_trouble(life, &err);
		life_sleep(life, tries < RETRY_FAST_COUNT ? RETRY_FAST_MS : RETRY_SLOW_MS);
	}
	return NEXT_GO_ON;
}

/* Nothing is left that reads its image or its kernel. */
static void release_files(struct life *life)
{
	struct instance *instance = life->instance;

	{
		SCOPED_INSTANCES_LOCK(instance->all);

		instance->record.digest[0] = '\0';
		instance->record.kernel[0] = '\0';
	}
	instances_collect_kernels(instance->all);
	image_store_collect(instance->all->options.images);
}

/* Disks and logs first: a record without them can be deleted again, they alone could not. */
enum next life_remove(struct life *life)
{
	struct err err;

	while (layout_remove_instance(&life->host->layout, &life->id, &err) < 0 ||
	       records_remove(life->instance->all->options.records, &life->id, &err) < 0) {
		if (life_is_closing(life))
			return NEXT_LEAVE;
		log_error("instance %s: %s: trying again", life->id.s, err.message);
		note_trouble(life, &err);
		life_sleep(life, RETRY_SLOW_MS);
	}
	release_files(life);
	log_info("instance %s: deleted", life->id.s);
	life->removed = true;
	return NEXT_GO_ON;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* From the record to a VM: at the first start, after a stop, and out of standby. */
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "disks.h"
#include "instance_life.h"
#include "vm.h"

#define RETRY_MS 5000

static enum next fail(struct life *life, const char *step, const struct err *err)
{
	struct instance *instance = life->instance;
	struct record *record = &instance->record;
	SCOPED_INSTANCES_LOCK(instance->all);

	if (instance->all->closing)
		return NEXT_LEAVE; /* what failed was perhaps ended by us */
	if (!record->deleting && record->goal == GOAL_RUN) {
		snprintf(record->state_error, sizeof(record->state_error), "%s: %s", step,
			 err->message);
		log_warning("instance %s: %s", life->id.s, record->state_error);
		LIFE_EVENT(life, "%s", record->state_error);
	}
	record->stopped_ms = clock_realtime_ms();
	instance_set_state_locked(instance,
				  record->snapshot_bytes > 0 ? STATE_STANDBY : STATE_STOPPED);
	instance_commit_locked(instance);
	return NEXT_GO_ON;
}

/* Something is left to be asked for only after a crash between the record and the answer. */
static int complete_holds(struct life *life, struct err *err)
{
	struct instance *instance = life->instance;

	while (instance_take_holds(instance, err) < 0) {
		if (gpu_client_was_refused(err) || instance->interrupted)
			return -1;
		life_pause(life, -1, RETRY_MS);
	}
	SCOPED_INSTANCES_LOCK(instance->all);
	instance_commit_locked(instance);
	return 0;
}

/* What was started once keeps the image that it was started with: its overlay fits no other. */
static int find_image(struct life *life, const struct record *record, struct image **ret,
		      struct err *err)
{
	struct instance *instance = life->instance;
	struct image_store *images = instance->all->options.images;

	if (record->digest[0])
		return image_store_load(images, instance->spec->image, record->digest, ret, err);
	LIFE_EVENT(life, "getting the image %s", instance->spec->image);
	if (image_store_get(images, instance->spec->image, &instance->interrupted, ret, err) < 0)
		return -1;
	LIFE_EVENT(life, "the image is %s", (*ret)->digest);
	return 0;
}

/* Looked for once; afterwards it is pinned. */
static int find_kernel(struct life *life, const struct record *record, const struct image *image,
		       struct err *err)
{
	if (!life->instance->spec->image_kernel || record->kernel[0])
		return 0;
	return instance_keep_image_kernel(life->instance, image, err);
}

/* A guest that has run keeps what it wrote; one in standby keeps all as it is. */
static int make_disks(struct life *life, const struct record *record, const struct image *image,
		      struct err *err)
{
	struct instance *instance = life->instance;
	scoped_fd int directory = -1;

	if (record->snapshot_bytes > 0)
		return 0;
	directory = layout_open_instance(&life->host->layout, &life->id);
	if (directory < 0)
		return err_sys(err, directory, "cannot open the instance's directory");
	return disks_make(directory, layout_instance(&life->host->layout, &life->id).s,
			  instance->spec, image, record->started_ms > 0, &instance->interrupted,
			  err);
}

static int note_launch(struct life *life, const struct image *image, struct record *ret,
		       struct err *err)
{
	struct instance *instance = life->instance;
	struct record *record = &instance->record;
	SCOPED_INSTANCES_LOCK(instance->all);

	if (instance->interrupted)
		return err_set(err, ERR_CANCELLED, "not wanted any more");
	snprintf(record->digest, sizeof(record->digest), "%s", image->digest);
	if (!record->kernel[0])
		memcpy(record->kernel, life->host->kernel, sizeof(record->kernel));
	if (record->snapshot_bytes == 0) {
		snprintf(record->machine, sizeof(record->machine), "%s", life->host->machine);
		record->kvm = life->host->kvm;
	}
	instance_commit_locked(instance);
	*ret = *record;
	return 0;
}

static int launch(struct life *life, const struct image *image, struct err *err)
{
	struct instance *instance = life->instance;
	struct record record;

	if (note_launch(life, image, &record, err) < 0)
		return -1;
	LIFE_EVENT(life, "starting the VM as user %u (%s)%s", host_uid(life->host, record.slot),
		   life->host->kvm ? "KVM" : "emulated: slow",
		   record.snapshot_bytes > 0 ? ", with the memory it had" : "");
	if (vm_launch(life->host, &record, instance->spec, image->disk_path, &life->child, err) < 0)
		return -1;

	SCOPED_INSTANCES_LOCK(instance->all);
	(void)process_id_of(life->child.pid, &instance->record.supervisor);
	instance_commit_locked(instance);
	return 0;
}

static enum next start(struct life *life)
{
	struct record record = life_read_record(life);
	scoped(image_free) struct image *image = NULL;
	struct err err;

	if (complete_holds(life, &err) < 0)
		return fail(life, "reserve the GPU", &err);
	if (find_image(life, &record, &image, &err) < 0)
		return fail(life, "pull the image", &err);
	if (find_kernel(life, &record, image, &err) < 0)
		return fail(life, "find the image's kernel", &err);
	if (make_disks(life, &record, image, &err) < 0)
		return fail(life, "make the disks", &err);
	if (launch(life, image, &err) < 0)
		return fail(life, "start the VM", &err);
	return NEXT_GO_ON;
}

enum next life_boot(struct life *life)
{
	struct record record = life_read_record(life);
	struct vm_exit end;

	if (vm_is_present(life->host, &life->id)) {
		LIFE_EVENT(life, "found the VM running");
		return NEXT_GO_ON;
	}
	if (record.state != STATE_INITIALIZING || record.deleting || record.goal != GOAL_RUN ||
	    record.supervisor.pid > 0 || vm_read_exit(life->host, &life->id, &end) == 0)
		return NEXT_GO_ON;
	return start(life);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One instance from its record to its end, in one thread. Where it begins depends on what
 * the record and the host say, so the first start and every start after a crash are the
 * same code:
 *
 *   find or launch the VM -> watch it -> record its end -> give the GPU back -> delete
 *
 * Each step leaves the record so that the thread can begin again behind it.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "disks.h"
#include "instances_internal.h"
#include "log_file.h"
#include "vm.h"

#define DELETE_GRACE_MS	   3000	 /* for the guest; its disk goes away with it */
#define SUPERVISOR_WAIT_MS 10000 /* for one to answer, or to end after its last word */
#define RETRY_FAST_MS	   500
#define RETRY_SLOW_MS	   5000
#define RETRY_FAST_COUNT   20 /* the kernel lets a device go up to 10 s after its VM */

/* How a step of the life ended. */
enum next {
	NEXT_GO_ON,
	NEXT_LEAVE, /* this process ends: the record says where to begin again */
};

struct life {
	struct instance *instance;
	const struct host *host;
	struct id id;
	int logs;	      /* directory, owned; -1 when it is gone */
	struct process child; /* the supervisor, if this process started it */
	int control;	      /* connection to it, owned; -1: none */
	bool removed;	      /* disks, logs and record are gone */
};

/* ---- Small things ---- */

static bool is_closing(struct life *life)
{
	SCOPED_INSTANCES_LOCK(life->instance->all);

	return life->instance->all->closing;
}

static struct record read_record(struct life *life)
{
	SCOPED_INSTANCES_LOCK(life->instance->all);

	return life->instance->record;
}

#define EVENT(life, ...)                                                                           \
	do {                                                                                       \
		if ((life)->logs >= 0)                                                             \
			log_event((life)->logs, __VA_ARGS__);                                      \
	} while (0)

static void set_state_locked(struct instance *instance, enum instance_state state)
{
	struct record *record = &instance->record;

	if (!state_may_become(record->state, state)) {
		log_error("instance %s: may not go from %s to %s", record->id.s,
			  state_text(record->state), state_text(state));
		return;
	}
	if (record->state != state)
		log_info("instance %s: %s", record->id.s, state_text(state));
	record->state = state;
}

/* Until a mark is left for us, `fd` (-1: none) has something, or the time is over. */
static void pause_for(struct life *life, int fd, int timeout_ms)
{
	struct pollfd fds[] = {
		{ .fd = life->instance->wake, .events = POLLIN },
		{ .fd = fd, .events = POLLIN },
	};
	eventfd_t count;

	if (poll(fds, 2, timeout_ms) > 0 && fds[0].revents)
		(void)eventfd_read(life->instance->wake, &count);
}

/* Exactly so long, whatever marks are left; sooner when this process ends. */
static void sleep_for(struct life *life, int timeout_ms)
{
	struct pollfd fd = { .fd = life->instance->all->closing_fd, .events = POLLIN };

	(void)poll(&fd, 1, timeout_ms);
}

/* ---- From the record to a VM ---- */

static enum next fail_start(struct life *life, const char *step, const struct err *err)
{
	struct record *record = &life->instance->record;
	SCOPED_INSTANCES_LOCK(life->instance->all);

	if (life->instance->all->closing)
		return NEXT_LEAVE; /* what failed was perhaps ended by us */
	if (!record->deleting) {
		snprintf(record->state_error, sizeof(record->state_error), "%s: %s", step,
			 err->message);
		log_warning("instance %s: %s", life->id.s, record->state_error);
		EVENT(life, "%s", record->state_error);
	}
	record->stopped_ms = instances_now_ms();
	set_state_locked(life->instance, STATE_STOPPED);
	instance_commit_locked(life->instance);
	return NEXT_GO_ON;
}

/* Only after a crash between the record and the agent's answer. */
static int complete_reservation(struct life *life, struct err *err)
{
	const struct instances_options *options = &life->instance->all->options;
	struct record record = read_record(life);
	struct gpu_lease lease;
	char owner[64];

	if (!life->instance->spec->gpu_profile || record.lease.id.s[0])
		return 0;
	snprintf(owner, sizeof(owner), "instance %s", life->id.s);
	while (gpu_client_reserve(options->gpu, record.gpu_request.s, owner,
				  life->instance->spec->gpu_profile,
				  host_gid(life->host, record.slot), &lease, err) < 0) {
		if (gpu_client_was_refused(err) || life->instance->interrupted)
			return -1;
		pause_for(life, -1, RETRY_SLOW_MS);
	}
	SCOPED_INSTANCES_LOCK(life->instance->all);
	life->instance->record.lease = lease;
	instance_commit_locked(life->instance);
	return 0;
}

/* What was started once keeps the image that it was started with: its overlay fits no other. */
static int get_image(struct life *life, struct image **ret, struct err *err)
{
	struct instance *instance = life->instance;
	struct image_store *images = instance->all->options.images;
	struct record record = read_record(life);

	if (record.digest[0])
		return image_store_load(images, instance->spec->image, record.digest, ret, err);
	EVENT(life, "getting the image %s", instance->spec->image);
	if (image_store_get(images, instance->spec->image, &instance->interrupted, ret, err) < 0)
		return -1;
	EVENT(life, "the image is %s", (*ret)->digest);
	return 0;
}

static int prepare(struct life *life, const char **step, struct image **ret, struct err *err)
{
	struct instance *instance = life->instance;
	scoped_fd int directory = -1;

	*step = "reserve the GPU";
	if (complete_reservation(life, err) < 0)
		return -1;
	*step = "pull the image";
	if (get_image(life, ret, err) < 0)
		return -1;
	*step = "make the disks";
	directory = layout_open_instance(&life->host->layout, &life->id);
	if (directory < 0)
		return err_sys(err, directory, "cannot open the instance's directory");
	return disks_make(directory, layout_instance(&life->host->layout, &life->id).s,
			  instance->spec, *ret, &instance->interrupted, err);
}

static int launch(struct life *life, const struct image *image, struct err *err)
{
	struct instance *instance = life->instance;
	struct record record;

	{
		SCOPED_INSTANCES_LOCK(instance->all);

		if (instance->interrupted)
			return err_set(err, ERR_CANCELLED, "not wanted any more");
		snprintf(instance->record.digest, sizeof(instance->record.digest), "%s",
			 image->digest);
		instance_commit_locked(instance);
		record = instance->record;
	}
	EVENT(life, "starting the VM as user %u (%s)", host_uid(life->host, record.slot),
	      life->host->kvm ? "KVM" : "emulated: slow");
	if (vm_launch(life->host, &record, instance->spec, image->disk_path, &life->child, err) < 0)
		return -1;

	SCOPED_INSTANCES_LOCK(instance->all);
	(void)process_id_of(life->child.pid, &instance->record.supervisor);
	instance_commit_locked(instance);
	return 0;
}

static enum next start_vm(struct life *life)
{
	scoped(image_free) struct image *image = NULL;
	const char *step = "start";
	struct err err;

	if (prepare(life, &step, &image, &err) < 0)
		return fail_start(life, step, &err);
	if (launch(life, image, &err) < 0)
		return fail_start(life, "start the VM", &err);
	return NEXT_GO_ON;
}

/* The VM of a record that says nothing of an end: it runs, it ended, or it never began. */
static enum next find_vm(struct life *life)
{
	struct record record = read_record(life);
	struct vm_exit end;

	if (vm_is_present(life->host, &life->id)) {
		EVENT(life, "found the VM running");
		return NEXT_GO_ON;
	}
	if (record.state != STATE_INITIALIZING || record.deleting || record.supervisor.pid > 0 ||
	    vm_read_exit(life->host, &life->id, &end) == 0)
		return NEXT_GO_ON;
	return start_vm(life);
}

/* ---- While it runs ---- */

static void take_status(struct life *life, const struct control_status *status)
{
	struct instance *instance = life->instance;
	struct record *record = &instance->record;
	SCOPED_INSTANCES_LOCK(instance->all);

	if (record->supervisor.pid != status->supervisor_pid)
		(void)process_id_of(status->supervisor_pid, &record->supervisor);
	if (status->started_ms > 0)
		record->started_ms = status->started_ms;
	if (status->phase == VM_PHASE_RUNNING)
		set_state_locked(instance, STATE_RUNNING);
	else if (status->phase == VM_PHASE_STOPPING)
		set_state_locked(instance, STATE_SHUTDOWN);
	instance_commit_locked(instance);
}

/* Until the supervisor is heard no more, or this process ends. */
static enum next follow_vm(struct life *life)
{
	bool asked = false;

	for (;;) {
		struct pollfd fd = { .fd = life->control, .events = POLLIN };
		struct control_status status;

		if (is_closing(life))
			return NEXT_LEAVE;
		if (read_record(life).deleting && !asked) {
			EVENT(life, "stopping the VM: the instance is being deleted");
			asked = vm_ask_to_stop(life->control, DELETE_GRACE_MS) == 0;
		}
		if (poll(&fd, 1, 0) == 0) {
			pause_for(life, life->control, -1);
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

	if (instance->record.deleting) {
		log_warning("instance %s: its supervisor does not answer: killing it", life->id.s);
		(void)process_id_kill(&instance->record.supervisor, SIGKILL);
	} else if (instance->record.state == STATE_RUNNING) {
		log_warning("instance %s: its supervisor does not answer", life->id.s);
		set_state_locked(instance, STATE_UNKNOWN);
		instance_commit_locked(instance);
	}
}

/* Ends when no supervisor is left. */
static enum next watch_vm(struct life *life)
{
	int silent_ms = 0;

	while (vm_is_present(life->host, &life->id)) {
		if (is_closing(life))
			return NEXT_LEAVE;
		life->control = vm_connect(life->host, &life->id);
		if (life->control >= 0) {
			enum next next = follow_vm(life);

			disconnect(life);
			silent_ms = 0;
			if (next == NEXT_LEAVE)
				return next;
		}
		sleep_for(life, 50); /* it may be writing its last word */
		silent_ms += 50;
		if (silent_ms % SUPERVISOR_WAIT_MS == 0)
			note_silence(life);
	}
	if (life->child.pid > 0)
		(void)process_wait(&life->child, SUPERVISOR_WAIT_MS, NULL);
	return NEXT_GO_ON;
}

/* Without a last word: the supervisor was killed, or everything was. */
static void describe_silent_end(struct record *record)
{
	struct process_id us;
	bool same_boot = process_id_of(getpid(), &us) == 0 &&
			 strcmp(us.boot_id.s, record->supervisor.boot_id.s) == 0;

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
		break;
	}
}

/* The VM is gone: its last word goes into the record, its disks away when it is deleted. */
static void record_end(struct life *life)
{
	struct instance *instance = life->instance;
	struct record *record = &instance->record;
	struct vm_exit end;
	int found = vm_read_exit(life->host, &life->id, &end);
	SCOPED_INSTANCES_LOCK(instance->all);

	if (record->state == STATE_STOPPED || !state_holds_resources(record->state))
		return;
	record->stopped_ms = instances_now_ms();
	if (found == 0)
		describe_end(record, &end);
	else if (record->supervisor.pid > 0)
		describe_silent_end(record);
	record->supervisor = (struct process_id){ 0 };
	set_state_locked(instance, STATE_STOPPED);
	instance_commit_locked(instance);
	if (record->state_error[0])
		log_warning("instance %s: %s", life->id.s, record->state_error);
}

/* ---- After it ---- */

struct search {
	const char *request_id;
	struct uuid_text found;
};

static int match_request(void *user, const char *allocation_id, const char *request_id,
			 struct err *err)
{
	struct search *search = user;

	(void)err;
	if (strcmp(request_id, search->request_id) == 0 && uuid_is_valid(allocation_id))
		snprintf(search->found.s, sizeof(search->found.s), "%s", allocation_id);
	return 0;
}

/* A reservation whose answer was lost is found by its request. */
static int release_once(struct life *life, const struct record *record, struct err *err)
{
	struct gpu_client *gpu = life->instance->all->options.gpu;
	struct search search = { .request_id = record->gpu_request.s, .found = record->lease.id };

	if (!search.found.s[0] && gpu_client_list(gpu, match_request, &search, err) < 0)
		return -1;
	return search.found.s[0] ? gpu_client_release(gpu, search.found.s, err) : 0;
}

static void forget_gpu(struct life *life)
{
	struct instance *instance = life->instance;
	struct gpu_lease *lease = &instance->record.lease;
	SCOPED_INSTANCES_LOCK(instance->all);

	if (lease->id.s[0])
		EVENT(life, "gave the %s back", lease->profile);
	lease->id.s[0] = '\0';
	lease->mdev_uuid.s[0] = '\0';
	lease->pci_address[0] = '\0';
	lease->device_node[0] = '\0';
	lease->sysfs_path[0] = '\0';
	instance->record.gpu_request.s[0] = '\0';
	instance_commit_locked(instance);
}

/* Tries until it is done: a GPU is never forgotten. */
static enum next release_gpu(struct life *life)
{
	struct record record = read_record(life);
	struct err err;

	if (!record.gpu_request.s[0])
		return NEXT_GO_ON;
	for (int tries = 0; release_once(life, &record, &err) < 0; tries++) {
		if (is_closing(life))
			return NEXT_LEAVE;
		if (tries == 0 || tries == RETRY_FAST_COUNT) {
			log_warning("instance %s: cannot give the GPU back yet: %s", life->id.s,
				    err.message);
			EVENT(life, "cannot give the GPU back yet: %s", err.message);
		}
		sleep_for(life, tries < RETRY_FAST_COUNT ? RETRY_FAST_MS : RETRY_SLOW_MS);
	}
	forget_gpu(life);
	return NEXT_GO_ON;
}

/* Nothing is left that reads it. */
static void release_image(struct life *life)
{
	struct instance *instance = life->instance;

	{
		SCOPED_INSTANCES_LOCK(instance->all);

		instance->record.digest[0] = '\0';
	}
	image_store_collect(instance->all->options.images);
}

/* Disks and logs first: a record without them can be deleted again, they alone could not. */
static enum next remove_all(struct life *life)
{
	struct err err;

	while (layout_remove_instance(&life->host->layout, &life->id, &err) < 0 ||
	       records_remove(life->instance->all->options.records, &life->id, &err) < 0) {
		if (is_closing(life))
			return NEXT_LEAVE;
		log_error("instance %s: %s: trying again", life->id.s, err.message);
		sleep_for(life, RETRY_SLOW_MS);
	}
	release_image(life);
	log_info("instance %s: deleted", life->id.s);
	life->removed = true;
	return NEXT_GO_ON;
}

/* A creation that failed keeps no disks; an instance that ended keeps what its guest wrote. */
static void tidy_up(struct life *life, const struct record *record)
{
	if (record->state == STATE_STOPPED && record->started_ms == 0)
		layout_remove_disks(&life->host->layout, &life->id);
}

/* ---- The whole ---- */

static enum next live(struct life *life)
{
	struct record record = read_record(life);

	if (state_holds_resources(record.state)) {
		if (find_vm(life) == NEXT_LEAVE || watch_vm(life) == NEXT_LEAVE)
			return NEXT_LEAVE;
		record_end(life);
	}
	if (release_gpu(life) == NEXT_LEAVE)
		return NEXT_LEAVE;
	record = read_record(life);
	tidy_up(life, &record);
	return record.deleting ? remove_all(life) : NEXT_GO_ON;
}

/* True when the thread has nothing more to do; a deletion may have been asked for meanwhile. */
static bool is_over(struct life *life, enum next next)
{
	struct instance *instance = life->instance;
	struct instances *all = instance->all;
	SCOPED_INSTANCES_LOCK(all);

	if (next == NEXT_GO_ON && instance->record.deleting && !life->removed)
		return false;
	if (life->removed)
		instances_forget_locked(instance);
	else
		instance->busy = false;
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
		if (!read_record(&life).deleting &&
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

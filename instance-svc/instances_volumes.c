/* SPDX-License-Identifier: Apache-2.0 */
/* Which instances have which volumes. A volume is attached while a spec names it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "instance_wire.h"
#include "instances_internal.h"

/* ---- Holding ---- */

void volume_holds_done(struct volume_holds holds)
{
	for (size_t i = 0; i < holds.count; i++)
		volumes_release(holds.volumes, holds.ids[i]);
}

static int hold_one(struct spec_volume *wanted, struct volume_holds *holds, struct err *err)
{
	struct volume volume;

	if (volumes_hold(holds->volumes, wanted->id, &volume, err) < 0)
		return -1;
	memcpy(wanted->id, volume.id, sizeof(wanted->id));
	memcpy(holds->ids[holds->count++], volume.id, sizeof(holds->ids[0]));
	for (size_t i = 0; i + 1 < holds->count; i++)
		if (strcmp(holds->ids[i], volume.id) == 0)
			return err_field(err, "instance.volumes", "volumes names '%s' twice",
					 volume.name);
	return 0;
}

int instances_hold_volumes(struct instances *instances, struct spec *spec, struct volume_holds *ret,
			   struct err *err)
{
	ret->volumes = instances->options.volumes;
	ret->count = 0;
	for (size_t i = 0; i < spec->volume_count; i++)
		if (hold_one(&spec->volumes[i], ret, err) < 0)
			return -1;
	return 0;
}

/* ---- Who has what ---- */

static const struct spec_volume *find(const struct instance *instance, const char *id)
{
	for (size_t i = 0; !instance->record.dropped && i < instance->spec->volume_count; i++)
		if (strcmp(instance->spec->volumes[i].id, id) == 0)
			return &instance->spec->volumes[i];
	return NULL;
}

int instances_check_volumes_locked(struct instances *instances, const struct spec *spec,
				   const struct instance *but, struct err *err)
{
	for (size_t i = 0; i < spec->volume_count; i++) {
		const struct spec_volume *wanted = &spec->volumes[i];

		for (size_t j = 0; j < instances->count; j++) {
			const struct instance *other = instances->list[j];
			const struct spec_volume *has =
				other == but ? NULL : find(other, wanted->id);

			if (has && !(has->read_only && wanted->read_only))
				return err_set(err, ERR_VOLUME_IN_USE,
					       "volume '%s' is attached to instance '%s'%s: one "
					       "instance may write, or many may read",
					       wanted->id, other->spec->name,
					       has->read_only ? " for reading" : "");
		}
	}
	return 0;
}

bool instances_have_volume(void *user, const char *id, char name[64])
{
	struct instances *instances = user;
	SCOPED_INSTANCES_LOCK(instances);

	for (size_t i = 0; i < instances->count; i++) {
		if (!find(instances->list[i], id))
			continue;
		snprintf(name, 64, "%s", instances->list[i]->spec->name);
		return true;
	}
	return false;
}

int instances_find_attachments(struct instances *instances, const char *volume_id,
			       struct volume_attachment **ret, size_t *ret_count, struct err *err)
{
	SCOPED_INSTANCES_LOCK(instances);
	struct volume_attachment *list = calloc(instances->count + 1, sizeof(*list));
	size_t count = 0;

	if (!list)
		return err_sys(err, ENOMEM, "cannot look for the volume's instances");
	for (size_t i = 0; i < instances->count; i++) {
		const struct instance *instance = instances->list[i];
		const struct spec_volume *has = find(instance, volume_id);

		if (!has)
			continue;
		memcpy(list[count].instance, instance->record.id.s, sizeof(list[0].instance));
		memcpy(list[count].path, has->path, sizeof(list[0].path));
		list[count++].read_only = has->read_only;
	}
	*ret = list;
	*ret_count = count;
	return 0;
}

int instances_admit_volume(void *user, const struct volume *volume, struct err *err)
{
	struct instances *instances = user;
	SCOPED_INSTANCES_LOCK(instances);
	struct resources resources;

	if (instances_admit_disk_locked(instances, volume->principal, volumes_bytes(volume), err) <
		    0 ||
	    instances_measure_locked(instances, NULL, &resources, err) < 0 ||
	    resources_admit_disk(&resources, volumes_bytes(volume), err) < 0)
		return -1;
	return volumes_promise(instances->options.volumes, volume, err);
}

/* ---- Attaching and detaching ---- */

/* NULL with *err. */
static struct instance *find_stopped_locked(struct instances *instances, const char *name,
					    const char *what, struct err *err)
{
	struct instance *instance =
		instances_resolve_locked(instances, name, INSTANCES_PREFIX_MIN, err);

	if (!instance || (instance->record.state == STATE_STOPPED && !instance->busy &&
			  !instance->record.deleting))
		return instance;
	err_set(err, ERR_WRONG_STATE, "cannot %s '%s' a volume: it is %s, and must be Stopped",
		what, instance->spec->name,
		instance->record.deleting ? "being deleted" : state_text(instance->record.state));
	return NULL;
}

static int replace_spec_locked(struct instance *instance, struct spec *take_spec,
			       wire_instance **ret, struct err *err)
{
	scoped(spec_free) struct spec *spec = take_spec;

	if (records_replace_spec(instance->all->options.records, &instance->record.id, spec, err) <
	    0)
		return -1;
	spec_free(instance->spec);
	instance->spec = TAKE_PTR(spec);
	*ret = instance_to_wire(&instance->record, instance->spec);
	return *ret ? 0 : err_sys(err, ENOMEM, "cannot describe the instance");
}

static int add_volume(struct spec *spec, const struct spec_volume *volume, struct err *err)
{
	if (spec->volume_count == SPEC_VOLUMES_MAX)
		return err_set(err, ERR_FAILED_PRECONDITION,
			       "'%s' has %d volumes, which is the most", spec->name,
			       SPEC_VOLUMES_MAX);
	for (size_t i = 0; i < spec->volume_count; i++) {
		if (strcmp(spec->volumes[i].id, volume->id) == 0)
			return err_set(err, ERR_VOLUME_IN_USE,
				       "volume '%s' is attached to '%s' already", volume->id,
				       spec->name);
		if (strcmp(spec->volumes[i].path, volume->path) == 0)
			return err_field(err, "attachment.mount_path",
					 "mount_path is '%.80s', where another volume is",
					 volume->path);
	}
	spec->volumes[spec->volume_count++] = *volume;
	return 0;
}

int instances_attach_volume(struct instances *instances, const char *name,
			    const struct spec_volume *volume, wire_instance **ret, struct err *err)
{
	scoped(volume_holds_done) struct volume_holds holds = {
		.volumes = instances->options.volumes
	};
	scoped(spec_free) struct spec *spec = NULL;
	struct spec_volume wanted = *volume;
	struct instance *instance;

	if (hold_one(&wanted, &holds, err) < 0)
		return -1;
	SCOPED_INSTANCES_LOCK(instances);
	instance = find_stopped_locked(instances, name, "give", err);
	if (!instance || spec_copy(instance->spec, &spec, err) < 0 ||
	    add_volume(spec, &wanted, err) < 0 ||
	    instances_check_volumes_locked(instances, spec, instance, err) < 0)
		return -1;
	return replace_spec_locked(instance, TAKE_PTR(spec), ret, err);
}

static int remove_volume(struct spec *spec, const struct volume *volume, struct err *err)
{
	for (size_t i = 0; i < spec->volume_count; i++) {
		if (strcmp(spec->volumes[i].id, volume->id) != 0)
			continue;
		memmove(&spec->volumes[i], &spec->volumes[i + 1],
			(spec->volume_count - i - 1) * sizeof(spec->volumes[0]));
		spec->volume_count--;
		return 0;
	}
	return err_set(err, ERR_VOLUME_NOT_FOUND, "volume '%s' is not attached to '%s'",
		       volume->name, spec->name);
}

int instances_detach_volume(struct instances *instances, const char *name, const char *text,
			    wire_instance **ret, struct err *err)
{
	scoped(spec_free) struct spec *spec = NULL;
	struct instance *instance;
	struct volume volume;

	if (volumes_find(instances->options.volumes, text, &volume, err) < 0)
		return -1;
	SCOPED_INSTANCES_LOCK(instances);
	instance = find_stopped_locked(instances, name, "take from", err);
	if (!instance || spec_copy(instance->spec, &spec, err) < 0 ||
	    remove_volume(spec, &volume, err) < 0)
		return -1;
	return replace_spec_locked(instance, TAKE_PTR(spec), ret, err);
}

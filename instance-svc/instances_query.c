/* SPDX-License-Identifier: Apache-2.0 */
/* What only looks. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "disks.h"
#include "instance_wire.h"
#include "instances_internal.h"
#include "resolve.h"

/* One whose creation has not been answered may yet be refused, and then it never was. */
static bool is_visible(const struct instance *instance)
{
	return !instance->record.dropped && !instance->creating;
}

struct instance *instances_resolve_locked(struct instances *instances, const char *name,
					  size_t prefix_min, struct err *err)
{
	scoped_free struct resolve_candidate *candidates =
		calloc(instances->count + 1, sizeof(*candidates));
	scoped_free struct instance **present = calloc(instances->count + 1, sizeof(*present));
	size_t count = 0;
	int index;

	if (!candidates || !present) {
		err_sys(err, ENOMEM, "cannot look for the instance");
		return NULL;
	}
	for (size_t i = 0; i < instances->count; i++) {
		struct instance *instance = instances->list[i];

		if (!is_visible(instance))
			continue;
		present[count] = instance;
		candidates[count++] =
			(struct resolve_candidate){ instance->record.id.s, instance->spec->name };
	}
	index = resolve(candidates, count, name, prefix_min, err);
	return index < 0 ? NULL : present[index];
}

int instances_get(struct instances *instances, const char *name,
		  Hypeman__Instance__V1__Instance **ret, struct err *err)
{
	SCOPED_INSTANCES_LOCK(instances);
	const struct instance *instance =
		instances_resolve_locked(instances, name, INSTANCES_PREFIX_MIN, err);

	if (!instance)
		return -1;
	*ret = instance_to_wire(&instance->record, instance->spec);
	return *ret ? 0 : err_sys(err, ENOMEM, "cannot describe the instance");
}

/* A page stays well below what a client of this project receives (1 MiB). */
#define PAGE_BYTES_MAX (512 * 1024)

static bool is_listed(const struct instance *instance, int state, uint64_t after)
{
	const struct record *record = &instance->record;

	return is_visible(instance) && record->sequence > after &&
	       (state == 0 || (int)record->state == state);
}

int instances_list(struct instances *instances, int state, uint64_t after, size_t limit,
		   Hypeman__Instance__V1__Instance ***ret, size_t *ret_count, uint64_t *ret_next,
		   struct err *err)
{
	SCOPED_INSTANCES_LOCK(instances);
	Hypeman__Instance__V1__Instance **list = calloc(limit + 1, sizeof(*list));
	size_t count = 0, bytes = 0;
	uint64_t last = 0;

	if (!list)
		return err_sys(err, ENOMEM, "cannot list the instances");
	*ret_next = 0;
	for (size_t i = 0; i < instances->count; i++) {
		const struct instance *instance = instances->list[i];

		if (!is_listed(instance, state, after))
			continue;
		if (count == limit || bytes > PAGE_BYTES_MAX) {
			*ret_next = last;
			break;
		}
		list[count] = instance_to_wire(&instance->record, instance->spec);
		if (!list[count]) {
			while (count > 0)
				protobuf_c_message_free_unpacked(&list[--count]->base, NULL);
			free(list);
			return err_sys(err, ENOMEM, "cannot list the instances");
		}
		bytes += protobuf_c_message_get_packed_size(&list[count]->base);
		count++;
		last = instance->record.sequence;
	}
	*ret = list;
	*ret_count = count;
	return 0;
}

int instances_open_logs(struct instances *instances, const char *name, struct id *ret_id,
			int *ret_directory, struct err *err)
{
	SCOPED_INSTANCES_LOCK(instances);
	const struct instance *instance =
		instances_resolve_locked(instances, name, INSTANCES_PREFIX_MIN, err);
	int fd;

	if (!instance)
		return -1;
	fd = layout_open_logs(&instances->options.host->layout, &instance->record.id);
	if (fd < 0)
		return err_sys(err, fd, "cannot open the logs of '%s'", instance->spec->name);
	*ret_id = instance->record.id;
	*ret_directory = fd;
	return 0;
}

int instances_find_guest(struct instances *instances, const char *name, struct id *ret_id,
			 struct guest_channels **ret_guests, struct err *err)
{
	SCOPED_INSTANCES_LOCK(instances);
	const struct instance *instance =
		instances_resolve_locked(instances, name, INSTANCES_PREFIX_MIN, err);

	if (!instance)
		return -1;
	if (instance->record.state != STATE_RUNNING)
		return err_set(err, ERR_WRONG_STATE, "instance '%s' is %s: must be %s",
			       instance->spec->name, state_text(instance->record.state),
			       state_text(STATE_RUNNING));
	*ret_id = instance->record.id;
	*ret_guests = instances->options.guests;
	return 0;
}

bool instances_exists(struct instances *instances, const struct id *id)
{
	SCOPED_INSTANCES_LOCK(instances);

	return instances_find_locked(instances, id) != NULL;
}

int instances_measure_locked(struct instances *instances, const struct instance *but,
			     struct resources *ret, struct err *err)
{
	struct image_usage images;

	if (resources_read(instances->options.host->layout.state_dir, &instances->options.factors,
			   ret, err) < 0)
		return -1;
	for (size_t i = 0; i < instances->count; i++) {
		const struct instance *instance = instances->list[i];

		if (instance == but || instance->record.dropped)
			continue; /* nothing was ever made for one that was refused */
		resources_add(ret, instance->spec, state_holds_resources(instance->record.state));
		resources_add_disk(ret, instance->record.snapshot_bytes);
	}
	image_store_usage(instances->options.images, &images);
	resources_add_disk(ret, images.disks_bytes + images.oci_cache_bytes);
	resources_add_disk(ret, volumes_promised(instances->options.volumes, NULL));
	return 0;
}

/* Bytes that all overlays occupy now. */
static uint64_t overlay_usage_locked(struct instances *instances)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < instances->count; i++) {
		scoped_fd int directory = layout_open_instance(&instances->options.host->layout,
							       &instances->list[i]->record.id);

		if (directory >= 0)
			bytes += disks_overlay_usage(directory);
	}
	return bytes;
}

int instances_resources(struct instances *instances,
			Hypeman__Instance__V1__GetResourcesResponse **ret, struct err *err)
{
	const uint64_t volumes_bytes = volumes_usage(instances->options.volumes);
	SCOPED_INSTANCES_LOCK(instances);
	Hypeman__Instance__V1__GetResourcesResponse *wire;
	struct resources resources;
	struct image_usage usage;
	int r = 0;

	if (instances_measure_locked(instances, NULL, &resources, err) < 0)
		return -1;
	wire = resources_to_wire(&resources);
	if (!wire)
		return err_sys(err, ENOMEM, "cannot describe the resources");
	for (size_t i = 0; r == 0 && i < instances->count; i++)
		if (is_visible(instances->list[i]))
			r = resources_wire_add(wire, &instances->list[i]->record,
					       instances->list[i]->spec);
	if (r == 0)
		r = instances_quotas_to_wire_locked(instances, wire);
	if (r < 0) {
		protobuf_c_message_free_unpacked(&wire->base, NULL);
		return err_sys(err, r, "cannot describe the resources");
	}
	image_store_usage(instances->options.images, &usage);
	wire->disk_breakdown->images_bytes = (int64_t)usage.disks_bytes;
	wire->disk_breakdown->oci_cache_bytes = (int64_t)usage.oci_cache_bytes;
	wire->disk_breakdown->volumes_bytes = (int64_t)volumes_bytes;
	wire->disk_breakdown->overlays_bytes = (int64_t)overlay_usage_locked(instances);
	*ret = wire;
	return 0;
}

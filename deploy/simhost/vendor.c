/* SPDX-License-Identifier: Apache-2.0 */
#include "vendor.h"

#include <errno.h>
#include <string.h>

#include "capacity.h"
#include "group.h"

#define MIB_OF_PLACEMENT 1024

void vendor_list(const struct function *function, FILE *out)
{
	const struct faults *faults = &function->faults;
	const struct board *board = function->gpu->board;
	uint32_t shown = 0;

	if (!function->gpu->has_plain_list && !faults->plain_list)
		fputs("ID    : vGPU Name\n", out);
	for (size_t i = 0; i < board->type_count; i++) {
		if (!faults->lies && capacity_of_parent(function, &board->types[i]) == 0)
			continue;
		if (faults->short_list && shown == faults->list_length)
			break;
		fprintf(out, "%-5s : %s\n", board->types[i].id, board->types[i].name);
		shown++;
	}
}

static const struct board_type *type_by_id(const struct board *board, uint32_t id)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", id);
	for (size_t i = 0; i < board->type_count; i++)
		if (strcmp(board->types[i].id, text) == 0)
			return &board->types[i];
	return NULL;
}

static bool placement_is_free(const struct host *host, const struct function *function,
			      uint32_t placement)
{
	for (size_t i = 0; i < host->function_count; i++) {
		const struct function *other = &host->functions[i];

		if (other != function && other->gpu == function->gpu && other->vgpu.type &&
		    other->vgpu.placement == placement)
			return false;
	}
	return true;
}

static int vendor_create(struct host *host, struct function *function, uint32_t id)
{
	const struct board_type *type = type_by_id(function->gpu->board, id);
	uint32_t placement = 0;

	if (function->vgpu.type)
		return -EPERM;
	if (!type || function->faults.lies || capacity_of_parent(function, type) == 0)
		return -EIO;
	while (!placement_is_free(host, function, placement))
		placement++;
	capacity_take(function->gpu, type);
	function->vgpu = (struct vendor_vgpu){ .type = type, .placement = placement };
	event_add(host, "change", "pci", "%s", function_path(function).s);
	return 0;
}

void vendor_forget(struct host *host, struct function *function)
{
	struct waiter *destroyer = TAKE_PTR(function->vgpu.destroyer);

	if (!function->vgpu.type)
		return;
	capacity_give(function->gpu, function->vgpu.type);
	function->vgpu = (struct vendor_vgpu){ 0 };
	event_add(host, "change", "pci", "%s", function_path(function).s);
	if (destroyer)
		destroyer->done(destroyer, 0);
}

static bool is_closing(const struct function *function)
{
	return function->group->closed_at != 0;
}

static int vendor_destroy(struct host *host, struct function *function,
			  const struct process *writer, struct waiter *waiter)
{
	if (!function->vgpu.type)
		return -EPERM;
	if (is_closing(function)) {
		if (!waiter || function->vgpu.destroyer)
			return -EBUSY;
		function->vgpu.destroyer = waiter;
		function->vgpu.destroy_deadline = host_now_ms(host) + VENDOR_DESTROY_MS;
		return HOST_PENDING;
	}
	if (group_is_held_against(function->group, writer))
		return -EPERM;
	vendor_forget(host, function);
	return 0;
}

int vendor_set_type(struct host *host, struct function *function, uint32_t id,
		    const struct process *writer, struct waiter *waiter)
{
	return id == 0 ? vendor_destroy(host, function, writer, waiter)
		       : vendor_create(host, function, id);
}

void vendor_tick(struct host *host)
{
	for (size_t i = 0; i < host->function_count; i++) {
		struct function *function = &host->functions[i];
		struct waiter *destroyer = function->vgpu.destroyer;

		if (!destroyer)
			continue;
		if (!is_closing(function)) {
			vendor_forget(host, function);
		} else if (host_now_ms(host) >= function->vgpu.destroy_deadline) {
			function->vgpu.destroyer = NULL;
			destroyer->done(destroyer, -EBUSY);
		}
	}
}

static uint32_t placement_size(const struct function *function)
{
	return (uint32_t)(function->vgpu.type->framebuffer_mb / MIB_OF_PLACEMENT);
}

int vendor_placement(const struct function *function, uint32_t *ret_id)
{
	if (!function->vgpu.type)
		return -ENXIO;
	*ret_id = function->vgpu.placement * placement_size(function);
	return 0;
}

int vendor_set_placement(struct host *host, struct function *function, uint32_t id)
{
	uint32_t size;

	if (!function->vgpu.type)
		return -ENXIO;
	if (function->group->is_held)
		return -EPERM;
	size = placement_size(function);
	if (id % size != 0 || id / size >= function->vgpu.type->max_instance)
		return -EINVAL;
	if (!placement_is_free(host, function, id / size))
		return -EIO;
	function->vgpu.placement = id / size;
	return 0;
}

int vendor_set_params(struct function *function, const char *text)
{
	size_t length = strcspn(text, "\n");

	if (!function->vgpu.type)
		return -ENXIO;
	if (function->group->is_held)
		return -EPERM;
	if (length >= sizeof(function->vgpu.params))
		return -E2BIG;
	memcpy(function->vgpu.params, text, length);
	function->vgpu.params[length] = '\0';
	return 0;
}

bool vendor_group_may_open(const struct host *host, const struct group *group)
{
	for (size_t i = 0; i < host->function_count; i++) {
		const struct function *function = &host->functions[i];

		if (function->group == group && function_is_vendor_vf(function) &&
		    !function->vgpu.type)
			return false;
	}
	return true;
}

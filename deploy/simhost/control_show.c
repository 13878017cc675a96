/* SPDX-License-Identifier: Apache-2.0 */
/* What reading the control file shows. */

#include <string.h>

#include "control.h"
#include "group.h"
#include "late.h"

static const char *mode_name(const struct gpu *gpu)
{
	switch (gpu->mode) {
	case SPEC_MDEV:
		return "mdev";
	case SPEC_VENDOR:
		return "vendor";
	default:
		return "passthrough";
	}
}

static void gpus_show(const struct host *host, FILE *out)
{
	for (size_t i = 0; i < host->gpu_count; i++) {
		const struct gpu *gpu = &host->gpus[i];
		bool is_shared = gpu->mode != SPEC_PASSTHROUGH;

		fprintf(out, "gpu %s %s %s vgpus %u used %llu of %llu MiB\n",
			BDF_STR(gpu->physical->address), gpu->board->name, mode_name(gpu),
			gpu->vgpu_count, (unsigned long long)gpu->used_mb,
			(unsigned long long)(is_shared ? gpu->board->framebuffer_mb : 0));
		if (gpu->node_opens > 0)
			fprintf(out, "holder %s%u opens %u\n", gpu->board->node, gpu->node_minor,
				gpu->node_opens);
	}
}

static void vgpus_show(const struct host *host, FILE *out)
{
	for (const struct mdev *mdev = host->mdevs; mdev; mdev = mdev->next)
		fprintf(out, "vgpu %s parent %s type %s-%s group %u %s\n", mdev->uuid,
			BDF_STR(mdev->parent->address), mdev->parent->gpu->board->driver,
			mdev->type->id, mdev->group->number,
			mdev->state == MDEV_REMOVING ? "removing" : "live");
	for (size_t i = 0; i < host->function_count; i++) {
		const struct function *function = &host->functions[i];

		if (function->vgpu.type)
			fprintf(out, "type %s %s group %u%s\n", BDF_STR(function->address),
				function->vgpu.type->id, function->group->number,
				function->vgpu.destroyer ? " removing" : "");
	}
}

static void nodes_show(const struct host *host, FILE *out)
{
	for (size_t i = 0; i < host->group_slots; i++) {
		const struct group *group = host->groups[i];

		if (!group || !group_has_node(group))
			continue;
		fprintf(out, "node %u mode %04o uid %u gid %u\n", group->number, group->node_mode,
			group->node_uid, group->node_gid);
		if (group->is_held)
			fprintf(out, "holder %u pid %d %s\n", group->number, group->holder.id,
				group->holder.command);
	}
}

static void functions_show(const struct host *host, FILE *out)
{
	for (size_t i = 0; i < host->function_count; i++) {
		const struct function *function = &host->functions[i];
		const struct bdf_text address = bdf_text(function->address);

		if (function->is_absent)
			fprintf(out, "absent %s\n", address.s);
		if (function->is_unbinding)
			fprintf(out, "unbinding %s\n", address.s);
		if (function->reset_count > 0)
			fprintf(out, "reset %s %u\n", address.s, function->reset_count);
	}
}

/* "late-create TEXT on ADDRESS": not begun; "hung-create ...": done, but not back. */
static void late_writes_show(const struct host *host, FILE *out)
{
	for (const struct late_write *late = host->late_writes; late; late = late->next) {
		const char *end = strchr(late->text, '\n');

		fprintf(out, "%s-%s %.*s on %s\n", late->is_done ? "hung" : "late",
			op_name(late->op), (int)(end ? (size_t)(end - late->text) : late->length),
			late->text, BDF_STR(late->function->address));
	}
}

void control_show(struct host *host, FILE *out)
{
	gpus_show(host, out);
	vgpus_show(host, out);
	nodes_show(host, out);
	functions_show(host, out);
	late_writes_show(host, out);
	control_faults_show(host, out);
}

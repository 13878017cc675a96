/* SPDX-License-Identifier: Apache-2.0 */
#include "operation.h"

#include <stdlib.h>
#include <string.h>

#include "clock.h"

#define TIMEOUT_MIN_MS 1000 /* less, and a healthy worker would be given up */

static void note_worker(struct agent *agent, const char *id, uint64_t worker_id)
{
	struct lease *lease;

	pthread_mutex_lock(&agent->lock);
	lease = lease_find_locked(agent, id);
	if (lease)
		lease_note_worker_locked(lease, worker_id);
	pthread_mutex_unlock(&agent->lock);
}

void operation_run(struct agent *agent, enum op_kind kind, const struct allocation *allocation,
		   int64_t deadline_ms, struct outcome *ret)
{
	struct op_request request = {
		.version = OPS_VERSION,
		.kind = kind,
		.parent = allocation->slot,
		.gid = allocation->grant_gid,
	};
	int64_t timeout_ms = deadline_ms - clock_monotonic_ms();

	if (timeout_ms > agent->options.write_timeout_ms)
		timeout_ms = agent->options.write_timeout_ms;
	if (timeout_ms < TIMEOUT_MIN_MS)
		timeout_ms = TIMEOUT_MIN_MS;
	memcpy(request.uuid, allocation->id, sizeof(request.uuid));
	if (allocation->kind == ALLOCATION_VENDOR)
		request.vendor_type = (uint32_t)strtoul(allocation->type, NULL, 10);
	else if (allocation->kind == ALLOCATION_MDEV)
		memcpy(request.type, allocation->type, sizeof(request.type));
	monitor_client_run(agent->monitor, &request, (int)timeout_ms, ret);
	if (ret->kind == OUTCOME_UNKNOWN)
		note_worker(agent, allocation->id, ret->worker_id);
}

enum op_kind operation_to_create(const struct allocation *allocation)
{
	if (allocation->kind == ALLOCATION_DEVICE)
		return OP_BIND_VFIO;
	return allocation->kind == ALLOCATION_VENDOR ? OP_SET_VENDOR_TYPE : OP_CREATE_MDEV;
}

enum op_kind operation_to_remove(const struct allocation *allocation)
{
	if (allocation->kind == ALLOCATION_DEVICE)
		return OP_RESTORE_DRIVER;
	return allocation->kind == ALLOCATION_VENDOR ? OP_CLEAR_VENDOR_TYPE : OP_REMOVE_MDEV;
}

struct op_mdev operation_vgpu(const struct allocation *allocation)
{
	struct op_mdev vgpu = {
		.parent = allocation->slot,
		.iommu_group = allocation->iommu_group,
		.in_journal = 1,
	};

	memcpy(vgpu.uuid, allocation->id, sizeof(vgpu.uuid));
	memcpy(vgpu.type, allocation->type, sizeof(vgpu.type));
	return vgpu;
}

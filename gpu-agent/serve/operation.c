/* SPDX-License-Identifier: Apache-2.0 */
#include "operation.h"

#include <string.h>

#include "clock.h"

#define TIMEOUT_MIN_MS 1000 /* less, and a healthy worker would be given up */

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
	memcpy(request.type, allocation->type, sizeof(request.type));
	monitor_client_run(agent->monitor, &request, (int)timeout_ms, ret);
}

struct op_mdev operation_mdev(const struct allocation *allocation)
{
	struct op_mdev mdev = {
		.parent = allocation->slot,
		.iommu_group = allocation->iommu_group,
		.in_journal = 1,
	};

	memcpy(mdev.uuid, allocation->id, sizeof(mdev.uuid));
	memcpy(mdev.type, allocation->type, sizeof(mdev.type));
	return mdev;
}

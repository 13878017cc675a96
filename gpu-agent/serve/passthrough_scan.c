/* SPDX-License-Identifier: Apache-2.0 */
#include "passthrough_scan.h"

#include <errno.h>

/* Only GPUs that carry no vGPUs: those that do are used by their own driver. */
static void fill_request(const struct inventory *inventory, const struct functions *functions,
			 struct op_request *request)
{
	*request = (struct op_request){
		.version = OPS_VERSION,
		.kind = OP_FIND_GPU_HOLDERS,
		.scope = OP_SCOPE_ONLY,
	};
	for (size_t i = 0; i < inventory->gpu_count && request->gpu_count < OPS_GPUS_MAX; i++) {
		const struct inventory_gpu *gpu = &inventory->gpus[i];
		const struct function *function = functions_find(functions, gpu->address);

		if (gpu->framework == FRAMEWORK_PASSTHROUGH && function &&
		    function->bind_refusal == OP_REASON_NONE &&
		    !inventory_is_suspect(inventory, gpu->address))
			request->gpus[request->gpu_count++] = gpu->address;
	}
}

/* Without an answer nobody is known not to use them, so none is offered. */
static int ask_holders(struct agent *agent, const struct inventory *inventory,
		       struct functions *functions)
{
	scoped(outcome_done) struct outcome outcome = { 0 };
	struct op_request request;

	fill_request(inventory, functions, &request);
	if (request.gpu_count == 0)
		return 0;
	monitor_client_run(agent->monitor, &request, agent->options.scan_timeout_ms, &outcome);
	if (outcome.kind != OUTCOME_ANSWERED || outcome.result.status != OP_OK)
		return 0;
	return functions_set_holders(functions, outcome.records, outcome.record_count);
}

int passthrough_scan(struct agent *agent, const struct inventory *inventory,
		     const struct op_record *records, size_t count)
{
	scoped(functions_free) struct functions *functions = NULL;

	if (functions_new(records, count, &functions) || ask_holders(agent, inventory, functions))
		return -ENOMEM;
	pthread_mutex_lock(&agent->lock);
	if (!functions_equal(agent->functions, functions))
		agent_touch_locked(agent);
	functions_free(agent->functions);
	agent->functions = TAKE_PTR(functions);
	pthread_mutex_unlock(&agent->lock);
	return 0;
}

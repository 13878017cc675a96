/* SPDX-License-Identifier: Apache-2.0 */
#include "passthrough_scan.h"

#include <errno.h>

/* A GPU with vGPU types is used by its own driver. */
static bool carries_vgpus(const struct inventory *inventory, struct pci_addr address)
{
	for (size_t i = 0; i < inventory->gpu_count; i++)
		if (pci_addr_compare(inventory->gpus[i].address, address) == 0)
			return inventory->gpus[i].framework != FRAMEWORK_PASSTHROUGH;
	return false;
}

/* Only those that could be bound, were they not used. */
static void fill_request(const struct inventory *inventory, const struct functions *functions,
			 struct op_request *request)
{
	*request = (struct op_request){
		.version = OPS_VERSION,
		.kind = OP_FIND_GPU_HOLDERS,
		.scope = OP_SCOPE_ONLY,
	};
	for (size_t i = 0; i < functions->count && request->gpu_count < OPS_GPUS_MAX; i++) {
		const struct function *function = &functions->items[i];

		if (function->is_bindable && function->bind_refusal == OP_REASON_NONE &&
		    !carries_vgpus(inventory, function->address) &&
		    !inventory_is_suspect(inventory, function->address))
			request->gpus[request->gpu_count++] = function->address;
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
	functions_keep_newer(functions, agent->functions, agent->scans_started);
	if (!functions_equal(agent->functions, functions))
		agent_touch_locked(agent);
	functions_free(agent->functions);
	agent->functions = TAKE_PTR(functions);
	pthread_mutex_unlock(&agent->lock);
	return 0;
}

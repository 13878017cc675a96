/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GPUs that the agent holds for us and no record claims: left by records that were lost. A
 * record is written before its GPU is asked for, so what is in the agent's list and in no
 * record afterwards is nobody's.
 */
#include <poll.h>

#include "common/log.h"
#include "instances_internal.h"

#define RETRY_MS 2000

static int release_unclaimed(void *user, const char *allocation_id, const char *request_id,
			     struct err *err)
{
	struct instances *instances = user;
	bool claimed;

	if (records_claim(instances->options.records, allocation_id, request_id, &claimed, err) < 0)
		return -1;
	if (claimed)
		return 0;
	if (gpu_client_release(instances->options.gpu, allocation_id, err) < 0) {
		/* Somebody uses it: not ours to judge, and tried again at the next start. */
		log_warning("allocation %s belongs to no instance, but stays: %s", allocation_id,
			    err->message);
		return 0;
	}
	log_info("allocation %s belonged to no instance: released", allocation_id);
	return 0;
}

static bool wait_for_closing(struct instances *instances, int timeout_ms)
{
	struct pollfd fd = { .fd = instances->closing_fd, .events = POLLIN };

	return poll(&fd, 1, timeout_ms) > 0;
}

void *instances_release_orphans(void *argument)
{
	struct instances *instances = argument;
	bool told = false;
	struct err err;

	while (gpu_client_list(instances->options.gpu, release_unclaimed, instances, &err) < 0) {
		if (!told)
			log_warning("cannot compare GPUs with instances yet: %s", err.message);
		told = true;
		if (wait_for_closing(instances, RETRY_MS))
			break;
	}
	SCOPED_INSTANCES_LOCK(instances);
	instances->threads--;
	pthread_cond_broadcast(&instances->changed);
	return NULL;
}

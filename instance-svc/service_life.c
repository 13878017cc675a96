/* SPDX-License-Identifier: Apache-2.0 */
/* What is asked of an instance in the course of its life. */
#include <inttypes.h>
#include <stdlib.h>

#include "common/duration.h"
#include "service_internal.h"

#define STOP_DEFAULT_MS 10000
#define STOP_MAX_MS	(10 * 60000)
#define STOP_FORCE_MS	45000 /* what may come after the guest's time: quit, signals, release */
#define START_MS	25000
#define STANDBY_MS	(30 * 60000) /* as long as the disk takes */
#define WAIT_DEFAULT_MS 50000	     /* the official client gives up after 60 s */
#define WAIT_MAX_MS	(5 * 60000)

/* `text`, or the default when it is empty. */
static int read_time(const char *text, const char *most, int64_t default_ms, int64_t max_ms,
		     int64_t *ret_ms, struct err *err)
{
	int64_t ms = default_ms;

	if (*text && (duration_parse(text, &ms) < 0 || ms > max_ms))
		return err_field(err, "timeout",
				 "timeout is '%.32s': must be a time such as \"30s\", at most "
				 "\"%s\"",
				 text, most);
	*ret_ms = ms;
	return 0;
}

int service_stop_instance(struct rpc_call *call, const ProtobufCMessage *message, void *user,
			  struct err *err)
{
	const Hypeman__Instance__V1__StopInstanceRequest *request =
		(const Hypeman__Instance__V1__StopInstanceRequest *)message;
	Hypeman__Instance__V1__StopInstanceResponse response =
		HYPEMAN__INSTANCE__V1__STOP_INSTANCE_RESPONSE__INIT;
	struct instances_patience patience;
	int64_t grace_ms = 0;

	if (read_time(request->timeout, "10m", STOP_DEFAULT_MS, STOP_MAX_MS, &grace_ms, err) < 0)
		return service_refuse(call, "StopInstance", err);
	patience = service_patience(call, grace_ms + STOP_FORCE_MS);
	if (instances_stop(((const struct service *)user)->instances, request->id,
			   (uint32_t)grace_ms, &patience, &response.instance, err) < 0)
		return service_refuse(call, "StopInstance", err);
	return service_answer(call, &response.base, &response.instance->base);
}

int service_start_instance(struct rpc_call *call, const ProtobufCMessage *message, void *user,
			   struct err *err)
{
	const Hypeman__Instance__V1__StartInstanceRequest *request =
		(const Hypeman__Instance__V1__StartInstanceRequest *)message;
	Hypeman__Instance__V1__StartInstanceResponse response =
		HYPEMAN__INSTANCE__V1__START_INSTANCE_RESPONSE__INIT;
	const struct instances_patience patience = service_patience(call, START_MS);

	if (instances_start(((const struct service *)user)->instances, request->id,
			    request->options, &patience, &response.instance, err) < 0)
		return service_refuse(call, "StartInstance", err);
	return service_answer(call, &response.base, &response.instance->base);
}

int service_standby_instance(struct rpc_call *call, const ProtobufCMessage *message, void *user,
			     struct err *err)
{
	const Hypeman__Instance__V1__StandbyInstanceRequest *request =
		(const Hypeman__Instance__V1__StandbyInstanceRequest *)message;
	Hypeman__Instance__V1__StandbyInstanceResponse response =
		HYPEMAN__INSTANCE__V1__STANDBY_INSTANCE_RESPONSE__INIT;
	const struct instances_patience patience = service_patience(call, STANDBY_MS);

	if (instances_standby(((const struct service *)user)->instances, request->id, &patience,
			      &response.instance, err) < 0)
		return service_refuse(call, "StandbyInstance", err);
	return service_answer(call, &response.base, &response.instance->base);
}

int service_restore_instance(struct rpc_call *call, const ProtobufCMessage *message, void *user,
			     struct err *err)
{
	const Hypeman__Instance__V1__RestoreInstanceRequest *request =
		(const Hypeman__Instance__V1__RestoreInstanceRequest *)message;
	Hypeman__Instance__V1__RestoreInstanceResponse response =
		HYPEMAN__INSTANCE__V1__RESTORE_INSTANCE_RESPONSE__INIT;
	const struct instances_patience patience = service_patience(call, STANDBY_MS);

	if (instances_restore(((const struct service *)user)->instances, request->id, &patience,
			      &response.instance, err) < 0)
		return service_refuse(call, "RestoreInstance", err);
	return service_answer(call, &response.base, &response.instance->base);
}

int service_wait_instance(struct rpc_call *call, const ProtobufCMessage *message, void *user,
			  struct err *err)
{
	const Hypeman__Instance__V1__WaitInstanceRequest *request =
		(const Hypeman__Instance__V1__WaitInstanceRequest *)message;
	Hypeman__Instance__V1__WaitInstanceResponse *response;
	struct instances_patience patience;
	int64_t timeout_ms = 0;

	if (!state_is_valid((int)request->state))
		return err_field(err, "state", "state is %d, which is none", (int)request->state);
	if (read_time(request->timeout, "5m", WAIT_DEFAULT_MS, WAIT_MAX_MS, &timeout_ms, err) < 0)
		return -1;
	patience = service_patience(call, timeout_ms);
	if (instances_wait(((const struct service *)user)->instances, request->id,
			   (enum instance_state)request->state, &patience, &response, err) < 0)
		return -1;
	(void)rpc_call_send(call, &response->base);
	protobuf_c_message_free_unpacked(&response->base, NULL);
	return 0;
}

int service_get_instance_stats(struct rpc_call *call, const ProtobufCMessage *message, void *user,
			       struct err *err)
{
	const Hypeman__Instance__V1__GetInstanceStatsRequest *request =
		(const Hypeman__Instance__V1__GetInstanceStatsRequest *)message;
	Hypeman__Instance__V1__GetInstanceStatsResponse response =
		HYPEMAN__INSTANCE__V1__GET_INSTANCE_STATS_RESPONSE__INIT;

	if (instances_stats(((const struct service *)user)->instances, request->id, &response.stats,
			    err) < 0)
		return -1;
	return service_answer(call, &response.base, &response.stats->base);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "check_service.h"

#include <errno.h>
#include <stdio.h>

#include "hypeman/gpu/v1/gpu_service.pb-c.h"

/* A message with what it points at; the texts are the record's. */
struct wire_finding {
	Hypeman__Gpu__V1__Finding message;
	char subject[2 * OPS_DRIVER_MAX];
};

static Hypeman__Gpu__V1__Finding__Level level_to_wire(uint32_t level)
{
	switch (level) {
	case OP_LEVEL_PASS:
		return HYPEMAN__GPU__V1__FINDING__LEVEL__LEVEL_PASS;
	case OP_LEVEL_WARN:
		return HYPEMAN__GPU__V1__FINDING__LEVEL__LEVEL_WARN;
	case OP_LEVEL_FAIL:
		return HYPEMAN__GPU__V1__FINDING__LEVEL__LEVEL_FAIL;
	}
	return HYPEMAN__GPU__V1__FINDING__LEVEL__LEVEL_UNSPECIFIED;
}

/* Texts end inside their arrays, whatever was sent. */
static void finding_to_wire(struct op_finding *finding, struct wire_finding *wire)
{
	finding->check[sizeof(finding->check) - 1] = '\0';
	finding->subject[sizeof(finding->subject) - 1] = '\0';
	finding->message[sizeof(finding->message) - 1] = '\0';
	finding->fix[sizeof(finding->fix) - 1] = '\0';
	hypeman__gpu__v1__finding__init(&wire->message);
	snprintf(wire->subject, sizeof(wire->subject), "%s%s%s", finding->check,
		 finding->subject[0] ? " " : "", finding->subject);
	wire->message.level = level_to_wire(finding->level);
	wire->message.subject = wire->subject;
	wire->message.message = finding->message;
	wire->message.fix = finding->fix;
}

static int reply(struct rpc_call *call, const struct outcome *outcome, struct err *err)
{
	Hypeman__Gpu__V1__CheckHostResponse response = HYPEMAN__GPU__V1__CHECK_HOST_RESPONSE__INIT;
	scoped_free struct wire_finding *wires = calloc(outcome->record_count + 1, sizeof(*wires));
	scoped_free Hypeman__Gpu__V1__Finding **messages =
		calloc(outcome->record_count + 1, sizeof(*messages));

	if (!wires || !messages)
		return err_sys(err, ENOMEM, "cannot list the findings");
	response.findings = messages;
	for (size_t i = 0; i < outcome->record_count; i++) {
		size_t n = response.n_findings;

		if (outcome->records[i].kind != OP_RECORD_FINDING)
			continue;
		finding_to_wire(&outcome->records[i].finding, &wires[n]);
		messages[n] = &wires[n].message;
		response.n_findings++;
	}
	(void)rpc_call_send(call, &response.base); /* the caller may have gone */
	return 0;
}

int check_host(struct rpc_call *call, const ProtobufCMessage *request, void *user, struct err *err)
{
	const struct op_request check = { .version = OPS_VERSION, .kind = OP_CHECK_HOST };
	scoped(outcome_done) struct outcome outcome = { 0 };
	struct gpu_service *service = user;
	struct agent *agent = service->agent;

	(void)request;
	monitor_client_run(agent->monitor, &check, agent->options.scan_timeout_ms, &outcome);
	if (outcome.kind != OUTCOME_ANSWERED || outcome.result.status != OP_OK) {
		err_set(err, ERR_DEVICE_NOT_RESPONDING, "cannot check this host now: %s",
			outcome.result.message);
		return gpu_service_refuse(call, "CheckHost", err);
	}
	return reply(call, &outcome, err);
}

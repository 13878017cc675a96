/* SPDX-License-Identifier: Apache-2.0 */
#include "service_exec.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/scoped.h"
#include "guest_channel.h"
#include "instances.h"
#include "service_internal.h"
#include "strv.h"
#include "utf8.h"

#define TIMEOUT_MAX_S	86400
#define TERMINAL_MAX	65535 /* rows and columns */
#define DEFAULT_ROWS	24
#define DEFAULT_COLUMNS 80
#define STDIN_MAX	65536

/* What a guest may add to a timeout before it is given up: SIGHUP, SIGKILL, a busy host. */
#define GUEST_MARGIN_MS (AGENT_KILL_MS + 10000)
#define STAT_MS		15000

typedef Hypeman__Instance__V1__ExecStart wire_start;
typedef Hypeman__Instance__V1__ExecRequest wire_request;

SCOPED_DEFINE(struct guest_session *, guest_session_close);

static inline void request_free(ProtobufCMessage *message)
{
	protobuf_c_message_free_unpacked(message, NULL);
}
SCOPED_DEFINE(ProtobufCMessage *, request_free);

/* One call of Exec. */
struct exec {
	struct rpc_call *call;
	struct guest_session *session; /* owned by service_exec() */
	int64_t ends_ms;	       /* the guest is given up then */
	bool input_ended;
	struct guest_report report;
};

static void wake_call(void *call)
{
	rpc_call_wake(call);
}

/* ---- The first message ---- */

static int check_size(const char *field, uint32_t value, struct err *err)
{
	if (value > TERMINAL_MAX)
		return err_field(err, field, "%s is %" PRIu32 ": must be at most %d", field, value,
				 TERMINAL_MAX);
	return 0;
}

static int check_start(const wire_start *wire, struct err *err)
{
	if (wire->n_command == 0 || wire->command[0][0] == '\0')
		return err_field(err, "start.command",
				 "start.command is empty: must begin with a program");
	if (wire->cwd[0] != '\0' && wire->cwd[0] != '/')
		return err_field(err, "start.cwd", "start.cwd is '%.64s': must be absolute",
				 wire->cwd);
	if (wire->timeout > TIMEOUT_MAX_S)
		return err_field(err, "start.timeout",
				 "start.timeout is %" PRIu32 ": must be at most %d", wire->timeout,
				 TIMEOUT_MAX_S);
	for (size_t i = 0; i < wire->n_env; i++)
		if (wire->env[i]->key[0] == '\0' || strchr(wire->env[i]->key, '='))
			return err_field(err, "start.env",
					 "start.env has the name '%.64s': must not be empty or "
					 "contain '='",
					 wire->env[i]->key);
	if (check_size("start.rows", wire->rows, err) < 0)
		return -1;
	return check_size("start.cols", wire->cols, err);
}

static int format_start(const wire_start *wire, uint8_t **ret, size_t *ret_length, struct err *err)
{
	scoped(strv_free) char **args = NULL;
	scoped(strv_free) char **env = NULL;
	struct agent_start start = {
		.tty = wire->tty,
		.rows = wire->rows ? wire->rows : DEFAULT_ROWS,
		.columns = wire->cols ? wire->cols : DEFAULT_COLUMNS,
		.timeout_s = wire->timeout,
		.cwd = wire->cwd,
	};
	int r = 0;

	for (size_t i = 0; r == 0 && i < wire->n_command; i++)
		r = strv_append(&args, wire->command[i]);
	for (size_t i = 0; r == 0 && i < wire->n_env; i++)
		r = strv_appendf(&env, "%s=%s", wire->env[i]->key, wire->env[i]->value);
	start.args = args;
	start.env = env;
	if (r == 0)
		r = agent_start_format(&start, ret, ret_length);
	if (r == -E2BIG)
		return err_field(err, "start.command",
				 "start.command, env and cwd have more than %d bytes together",
				 AGENT_PAYLOAD_MAX - AGENT_START_FIXED);
	return r < 0 ? err_sys(err, ENOMEM, "cannot start the command") : 0;
}

static int open_session(struct exec *exec, struct instances *instances, const wire_start *wire,
			struct err *err)
{
	struct guest_channels *guests;
	uint8_t *request;
	size_t length;
	struct id id;

	if (check_start(wire, err) < 0 ||
	    instances_find_guest(instances, wire->id, &id, &guests, err) < 0 ||
	    format_start(wire, &request, &length, err) < 0)
		return -1;
	if (guest_session_open(guests, &id, AGENT_START, request, length, wake_call, exec->call,
			       &exec->session, err) < 0)
		return -1;
	exec->ends_ms = wire->timeout > 0 ? clock_monotonic_ms() + wire->timeout * INT64_C(1000) +
						    GUEST_ANSWER_MS + GUEST_MARGIN_MS
					  : INT64_MAX;
	log_info("instance %s: %s runs a command", id.s, rpc_call_peer(exec->call)->name);
	return 0;
}

static int receive_start(struct exec *exec, struct instances *instances, struct err *err)
{
	scoped(request_free) ProtobufCMessage *message = NULL;
	const wire_request *request;
	int r = rpc_call_receive(exec->call, &message, err);

	if (r < 0)
		return -1;
	request = (const wire_request *)message;
	if (r == 0 || request->kind_case != HYPEMAN__INSTANCE__V1__EXEC_REQUEST__KIND_START)
		return err_field(err, "start", "start is missing: the first message must be it");
	return open_session(exec, instances, request->start, err);
}

/* ---- While it runs ---- */

static int take_stdin(struct exec *exec, const ProtobufCBinaryData *data, struct err *err)
{
	if (data->len > STDIN_MAX)
		return err_field(err, "stdin", "stdin has %zu bytes: must be at most %d", data->len,
				 STDIN_MAX);
	if (exec->input_ended)
		return err_field(err, "stdin", "stdin comes after stdin_end");
	if (data->len > 0 && guest_session_put_input(exec->session, data->data, data->len) < 0)
		return err_sys(err, ENOMEM, "cannot pass the input on");
	return 0;
}

static void end_input(struct exec *exec)
{
	exec->input_ended = true;
	guest_session_end_input(exec->session);
}

static int take_request(struct exec *exec, const wire_request *request, struct err *err)
{
	switch ((int)request->kind_case) {
	case HYPEMAN__INSTANCE__V1__EXEC_REQUEST__KIND_STDIN:
		return take_stdin(exec, &request->stdin, err);
	case HYPEMAN__INSTANCE__V1__EXEC_REQUEST__KIND_STDIN_END:
		if (request->stdin_end)
			end_input(exec);
		return 0;
	case HYPEMAN__INSTANCE__V1__EXEC_REQUEST__KIND_RESIZE:
		if (check_size("resize.rows", request->resize->rows, err) < 0 ||
		    check_size("resize.cols", request->resize->cols, err) < 0)
			return -1;
		guest_session_resize(exec->session, request->resize->rows, request->resize->cols);
		return 0;
	case HYPEMAN__INSTANCE__V1__EXEC_REQUEST__KIND_START:
		return err_field(err, "start", "start comes twice");
	default:
		return err_field(err, "kind", "a message is empty: must hold one of its fields");
	}
}

/* 1 when the caller will send nothing more, 0, or -1. */
static int receive_request(struct exec *exec, struct err *err)
{
	scoped(request_free) ProtobufCMessage *message = NULL;
	int r = rpc_call_receive(exec->call, &message, err);

	if (r > 0)
		return take_request(exec, (const wire_request *)message, err);
	if (r == 0 && !exec->input_ended)
		end_input(exec);
	return r < 0 ? -1 : 1;
}

/* Sends what the guest said. 0, or -1 with *err. */
static int send_news(struct exec *exec, enum guest_news news, struct err *err)
{
	const struct guest_report *report = &exec->report;
	const ProtobufCBinaryData bytes = { report->length, report->bytes };
	Hypeman__Instance__V1__ExecResponse response = HYPEMAN__INSTANCE__V1__EXEC_RESPONSE__INIT;
	Hypeman__Instance__V1__ExecExit exit = HYPEMAN__INSTANCE__V1__EXEC_EXIT__INIT;

	if (news == GUEST_NEWS_EXIT) {
		response.kind_case = HYPEMAN__INSTANCE__V1__EXEC_RESPONSE__KIND_EXIT;
		exit.exit_code = report->exit_code;
		exit.error = exec->report.text;
		response.exit = &exit;
	} else if (news == GUEST_NEWS_OUTPUT) {
		response.kind_case = HYPEMAN__INSTANCE__V1__EXEC_RESPONSE__KIND_STDOUT;
		response.stdout = bytes;
	} else {
		response.kind_case = HYPEMAN__INSTANCE__V1__EXEC_RESPONSE__KIND_STDERR;
		response.stderr = bytes;
	}
	if (rpc_call_send(exec->call, &response.base) < 0)
		return err_set(err, ERR_CANCELLED, "the caller has gone");
	return 0;
}

static int check_over(const struct exec *exec, unsigned ready, struct err *err)
{
	if (clock_monotonic_ms() >= exec->ends_ms)
		return err_set(err, ERR_NO_GUEST_AGENT,
			       "the guest did not end the command at its timeout");
	if (!(ready & RPC_OVER))
		return 0;
	return rpc_call_cancelled(exec->call)
		       ? err_set(err, ERR_CANCELLED, "the caller has gone")
		       : err_set(err, ERR_UNAVAILABLE, "the service is stopping");
}

static unsigned wait_for_call(const struct exec *exec, bool receiving, enum guest_news news)
{
	int64_t left = exec->ends_ms - clock_monotonic_ms();
	unsigned wanted = news == GUEST_NEWS_NONE ? 0 : RPC_MAY_SEND;

	if (receiving && guest_session_input_room(exec->session) >= STDIN_MAX)
		wanted |= RPC_MAY_RECEIVE;
	return rpc_call_poll(exec->call, wanted, left < 60000 ? (int)left : 60000);
}

/* Both directions in turn, neither of which waits for the other, until the command has ended. */
static int relay(struct exec *exec, struct err *err)
{
	enum guest_news news = GUEST_NEWS_NONE;
	bool receiving = true;
	unsigned ready = 0;
	int r = 0;

	while (check_over(exec, ready, err) == 0) {
		if (news == GUEST_NEWS_NONE)
			news = guest_session_next(exec->session, &exec->report);
		if (news == GUEST_NEWS_LOST)
			return err_set(err, ERR_NO_GUEST_AGENT, "%s", exec->report.text);
		ready = wait_for_call(exec, receiving, news);
		if (ready & RPC_MAY_SEND) {
			if (send_news(exec, news, err) < 0)
				return -1;
			if (news == GUEST_NEWS_EXIT)
				return 0;
			news = GUEST_NEWS_NONE;
		}
		if (ready & RPC_MAY_RECEIVE) {
			r = receive_request(exec, err);
			if (r < 0)
				return -1;
			receiving = r == 0;
		}
	}
	return -1;
}

int service_exec(struct rpc_call *call, const ProtobufCMessage *none, void *user, struct err *err)
{
	scoped_free uint8_t *chunk = malloc(STDIN_MAX);
	struct exec exec = { .call = call, .report = { .bytes = chunk, .size = STDIN_MAX } };
	int r;

	(void)none;
	if (!chunk)
		return err_sys(err, ENOMEM, "cannot run a command");
	r = receive_start(&exec, ((const struct service *)user)->instances, err);
	if (r == 0)
		r = relay(&exec, err);
	guest_session_close(exec.session);
	return r;
}

/* ---- StatPath ---- */

static int format_stat(const Hypeman__Instance__V1__StatPathRequest *wire, uint8_t **ret,
		       size_t *ret_length, struct err *err)
{
	size_t size = strlen(wire->path) + 1;
	uint8_t *payload;

	if (wire->path[0] != '/')
		return err_field(err, "path", "path is '%.64s': must be absolute", wire->path);
	if (size > AGENT_LINK_MAX)
		return err_field(err, "path", "path has %zu bytes: must be at most %d", size - 1,
				 AGENT_LINK_MAX - 1);
	payload = malloc(4 + size);
	if (!payload)
		return err_sys(err, ENOMEM, "cannot look at the path");
	agent_number_format(wire->follow_links ? 1 : 0, payload);
	memcpy(payload + 4, wire->path, size);
	*ret = payload;
	*ret_length = 4 + size;
	return 0;
}

/* All that the session says until it ends. */
static int collect(struct rpc_call *call, struct guest_session *session, uint8_t *bytes,
		   size_t size, size_t *ret_length, struct err *err)
{
	struct guest_report report = { .bytes = bytes, .size = size };
	int64_t ends_ms = clock_monotonic_ms() + STAT_MS, left;

	while ((left = ends_ms - clock_monotonic_ms()) > 0) {
		switch (guest_session_next(session, &report)) {
		case GUEST_NEWS_NONE:
			if (rpc_call_wait_cancelled(call, (int)left))
				return err_set(err, ERR_CANCELLED, "the caller has gone");
			break;
		case GUEST_NEWS_OUTPUT:
			report.bytes += report.length;
			report.size -= report.length;
			break;
		case GUEST_NEWS_LOST:
			return err_set(err, ERR_NO_GUEST_AGENT, "%s", report.text);
		case GUEST_NEWS_EXIT:
			*ret_length = (size_t)(report.bytes - bytes);
			return report.text[0] ? err_set(err, ERR_NO_GUEST_AGENT, "%s", report.text)
					      : 0;
		case GUEST_NEWS_ERRORS:
			return err_set(err, ERR_NO_GUEST_AGENT,
				       "the guest's agent breaks its rules");
		}
	}
	return err_set(err, ERR_NO_GUEST_AGENT,
		       "the guest did not say what the path is within %d s", STAT_MS / 1000);
}

static void describe_path(const struct agent_stat_reply *reply, char *link, size_t link_size,
			  Hypeman__Instance__V1__PathInfo *info)
{
	info->exists = reply->error != ENOENT && reply->error != ENOTDIR;
	if (reply->error != 0) {
		if (info->exists) {
			info->error_opt_case = HYPEMAN__INSTANCE__V1__PATH_INFO__ERROR_OPT_ERROR;
			info->error = strerror(reply->error);
		}
		return;
	}
	info->is_dir = S_ISDIR(reply->mode);
	info->is_file = S_ISREG(reply->mode);
	info->is_symlink = S_ISLNK(reply->mode);
	info->mode = reply->mode & 07777;
	info->size = reply->size;
	if (!info->is_symlink)
		return;
	utf8_copy(link, link_size, reply->link);
	info->link_target_opt_case = HYPEMAN__INSTANCE__V1__PATH_INFO__LINK_TARGET_OPT_LINK_TARGET;
	info->link_target = link;
}

static int look(struct rpc_call *call, struct instances *instances,
		const Hypeman__Instance__V1__StatPathRequest *request,
		struct agent_stat_reply *ret_reply, struct err *err)
{
	scoped(guest_session_close) struct guest_session *session = NULL;
	uint8_t bytes[AGENT_STAT_FIXED + AGENT_LINK_MAX];
	struct guest_channels *guests;
	uint8_t *payload = NULL;
	size_t length = 0;
	struct id id;

	if (instances_find_guest(instances, request->id, &id, &guests, err) < 0 ||
	    format_stat(request, &payload, &length, err) < 0 ||
	    guest_session_open(guests, &id, AGENT_STAT, payload, length, wake_call, call, &session,
			       err) < 0)
		return -1;
	if (collect(call, session, bytes, sizeof(bytes), &length, err) < 0)
		return -1;
	if (agent_stat_reply_parse(bytes, length, ret_reply) < 0)
		return err_set(err, ERR_NO_GUEST_AGENT, "the guest's agent breaks its rules");
	return 0;
}

int service_stat_path(struct rpc_call *call, const ProtobufCMessage *message, void *user,
		      struct err *err)
{
	Hypeman__Instance__V1__StatPathResponse response =
		HYPEMAN__INSTANCE__V1__STAT_PATH_RESPONSE__INIT;
	Hypeman__Instance__V1__PathInfo info = HYPEMAN__INSTANCE__V1__PATH_INFO__INIT;
	struct agent_stat_reply reply;
	char link[3 * AGENT_LINK_MAX]; /* a byte becomes three at most */

	if (look(call, ((const struct service *)user)->instances,
		 (const Hypeman__Instance__V1__StatPathRequest *)message, &reply, err) < 0)
		return -1;
	describe_path(&reply, link, sizeof(link), &info);
	response.info = &info;
	(void)rpc_call_send(call, &response.base);
	return 0;
}

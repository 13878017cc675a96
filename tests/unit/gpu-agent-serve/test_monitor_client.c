/* SPDX-License-Identifier: Apache-2.0 */
/* The protocol of ops.h, against a monitor and a worker that misbehave. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/send_fd.h"
#include "gpu-agent/serve/monitor_client.h"

#define TIMEOUT_MS 400

/* What one worker sends, packet by packet, before it ends. */
struct script {
	struct {
		unsigned char data[512];
		size_t size;
	} packets[4];
	size_t count;
	int pause_ms; /* before each packet */
	bool stays;   /* does not end until serve hangs up */
	enum monitor_reply_kind reply;
	uint32_t reply_version;
	bool no_reply; /* the monitor ends instead */

	int monitor_fd;
	int gave_up; /* requests to give up that came */
	pthread_t thread;
};

static void add_packet(struct script *script, const void *data, size_t size)
{
	memcpy(script->packets[script->count].data, data, size);
	script->packets[script->count++].size = size;
}

static void add_result(struct script *script, uint32_t version, uint32_t records)
{
	struct op_result result;

	memset(&result, 0, sizeof(result));
	result.version = version;
	result.status = OP_OK;
	result.records = records;
	memset(result.message, 'x', sizeof(result.message)); /* no NUL */
	add_packet(script, &result, sizeof(result));
}

static void add_mdev(struct script *script, uint32_t version)
{
	struct op_record record;

	memset(&record, 0, sizeof(record));
	record.version = version;
	record.kind = OP_RECORD_MDEV;
	memset(record.mdev.uuid, 'a', sizeof(record.mdev.uuid));
	add_packet(script, &record, sizeof(record));
}

static void reply_with(struct script *script, int fd)
{
	struct monitor_reply reply = { .version = script->reply_version,
				       .kind = script->reply,
				       .worker_id = 7,
				       .error = EAGAIN,
				       .stuck_workers = 2,
				       .stuck = { 3, 5 } };

	if (script->reply != MONITOR_WORKER_STARTED)
		fd = -1;
	assert_int_equal(send_fd(script->monitor_fd, &reply, sizeof(reply), fd), 0);
}

static void work(struct script *script, int fd)
{
	struct op_request request;

	assert_int_equal(recv(fd, &request, sizeof(request), 0), sizeof(request));
	for (size_t i = 0; i < script->count; i++) {
		usleep((useconds_t)script->pause_ms * 1000);
		(void)send(fd, script->packets[i].data, script->packets[i].size, MSG_NOSIGNAL);
	}
	while (script->stays && recv(fd, &request, sizeof(request), 0) > 0)
		;
}

static void *play(void *argument)
{
	struct script *script = argument;
	struct monitor_request request;
	int fds[2];

	while (recv(script->monitor_fd, &request, sizeof(request), 0) == sizeof(request)) {
		if (request.kind == MONITOR_GIVE_UP_WORKER) {
			script->gave_up += request.worker_id == 7;
			continue;
		}
		if (script->no_reply)
			break;
		assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds), 0);
		reply_with(script, fds[0]);
		close(fds[0]);
		if (script->reply == MONITOR_WORKER_STARTED && script->reply_version == OPS_VERSION)
			work(script, fds[1]);
		close(fds[1]);
	}
	close(script->monitor_fd);
	return NULL;
}

/* Runs one operation against the script, which has TIMEOUT_MS for it. */
static void run_kind(struct script *script, enum op_kind kind, struct outcome *outcome)
{
	const struct op_request request = { .version = OPS_VERSION, .kind = kind };
	struct monitor_client *client;
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	script->monitor_fd = fds[1];
	assert_int_equal(pthread_create(&script->thread, NULL, play, script), 0);
	client = monitor_client_new(fds[0], 1);
	monitor_client_run(client, &request, TIMEOUT_MS, outcome);
	monitor_client_free(client);
	pthread_join(script->thread, NULL);
}

static void run(struct script *script, struct outcome *outcome)
{
	run_kind(script, OP_REMOVE_MDEV, outcome);
}

static struct script good(void)
{
	return (struct script){ .reply = MONITOR_WORKER_STARTED, .reply_version = OPS_VERSION };
}

static void records_and_result_arrive_and_end_inside_their_arrays(void **state)
{
	struct script script = good();
	struct outcome outcome;

	(void)state;
	add_mdev(&script, OPS_VERSION);
	add_result(&script, OPS_VERSION, 1);
	run(&script, &outcome);

	assert_int_equal(outcome.kind, OUTCOME_ANSWERED);
	assert_int_equal(outcome.record_count, 1);
	assert_int_equal(outcome.worker_id, 7);
	assert_int_equal(outcome.stuck_count, 2);
	assert_int_equal(outcome.stuck[1], 5);
	assert_int_equal(strlen(outcome.records[0].mdev.uuid), OPS_UUID_SIZE - 1);
	assert_int_equal(strlen(outcome.result.message), OPS_MESSAGE_MAX - 1);
	assert_int_equal(script.gave_up, 0);
	outcome_done(&outcome);
}

static void check_unknown(struct script *script, int gave_up)
{
	struct outcome outcome;

	run(script, &outcome);
	assert_int_equal(outcome.kind, OUTCOME_UNKNOWN);
	assert_true(outcome.result.message[0]);
	assert_int_equal(script->gave_up, gave_up);
	outcome_done(&outcome);
}

static void a_worker_that_says_nothing_is_given_up(void **state)
{
	struct script script = good();

	(void)state;
	script.stays = true;
	check_unknown(&script, 1);
}

/* Four packets, half a timeout apart. */
static void a_scan_that_goes_on_may_take_longer_than_a_write(void **state)
{
	struct script script = good();
	struct outcome outcome;

	(void)state;
	for (int i = 0; i < 3; i++)
		add_mdev(&script, OPS_VERSION);
	add_result(&script, OPS_VERSION, 3);
	script.pause_ms = TIMEOUT_MS / 2;
	run_kind(&script, OP_SCAN, &outcome);
	assert_int_equal(outcome.kind, OUTCOME_ANSWERED);
	assert_int_equal(outcome.record_count, 3);
	outcome_done(&outcome);

	check_unknown(&script, 1);
}

static void a_scan_that_says_nothing_is_given_up(void **state)
{
	struct script script = good();
	struct outcome outcome;

	(void)state;
	add_mdev(&script, OPS_VERSION);
	script.stays = true;
	run_kind(&script, OP_SCAN, &outcome);
	assert_int_equal(outcome.kind, OUTCOME_UNKNOWN);
	assert_true(outcome.timed_out);
	assert_int_equal(script.gave_up, 1);
	outcome_done(&outcome);
}

static void a_worker_that_ends_without_a_result_is_unknown(void **state)
{
	struct script script = good();

	(void)state;
	add_mdev(&script, OPS_VERSION);
	check_unknown(&script, 0);
}

static void packets_of_another_form_are_refused(void **state)
{
	struct script versions = good(), short_one = good(), records = good(), missing = good();

	(void)state;
	add_result(&versions, OPS_VERSION + 1, 0);
	add_result(&short_one, OPS_VERSION, 0);
	short_one.packets[0].size--;
	add_mdev(&records, OPS_VERSION + 1);
	add_result(&missing, OPS_VERSION, 1);
	check_unknown(&versions, 1);
	check_unknown(&short_one, 1);
	check_unknown(&records, 1);
	check_unknown(&missing, 1);
}

static void without_a_worker_nothing_has_been_touched(void **state)
{
	static const enum monitor_reply_kind kinds[] = { MONITOR_TOO_MANY_STUCK,
							 MONITOR_TOO_MANY_WORKERS, MONITOR_FAILED };
	struct outcome outcome;

	(void)state;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct script script = good();

		script.reply = kinds[i];
		run(&script, &outcome);
		assert_int_equal(outcome.kind, OUTCOME_NOT_STARTED);
		assert_true(outcome.result.message[0]);
		outcome_done(&outcome);
	}
}

static void a_monitor_that_ends_or_answers_nonsense_is_an_error(void **state)
{
	struct script gone = good(), nonsense = good();
	struct outcome outcome;

	(void)state;
	gone.no_reply = true;
	run(&gone, &outcome);
	assert_int_equal(outcome.kind, OUTCOME_NOT_STARTED);
	outcome_done(&outcome);
	nonsense.reply_version = OPS_VERSION + 1;
	run(&nonsense, &outcome);
	assert_int_equal(outcome.kind, OUTCOME_NOT_STARTED);
	outcome_done(&outcome);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records_and_result_arrive_and_end_inside_their_arrays),
		cmocka_unit_test(a_worker_that_says_nothing_is_given_up),
		cmocka_unit_test(a_scan_that_goes_on_may_take_longer_than_a_write),
		cmocka_unit_test(a_scan_that_says_nothing_is_given_up),
		cmocka_unit_test(a_worker_that_ends_without_a_result_is_unknown),
		cmocka_unit_test(packets_of_another_form_are_refused),
		cmocka_unit_test(without_a_worker_nothing_has_been_touched),
		cmocka_unit_test(a_monitor_that_ends_or_answers_nonsense_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

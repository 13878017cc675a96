/* SPDX-License-Identifier: Apache-2.0 */
/* A fake QEMU at the other end of a socketpair. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "instance-svc/supervisor/qmp.h"

#define GREETING "{\"QMP\": {\"version\": {\"qemu\": {\"major\": 7}}, \"capabilities\": []}}\r\n"

struct fixture {
	int ends[2]; /* ours, QEMU's */
	struct qmp qmp;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	*state = f;
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, f->ends) < 0)
		return -1;
	qmp_init(&f->qmp, f->ends[0]);
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	close(f->ends[0]);
	close(f->ends[1]);
	free(f);
	return 0;
}

/* The event of the last message in `text`; QMP_BROKEN ends it. */
static enum qmp_event feed(struct fixture *f, const char *text)
{
	enum qmp_event event = QMP_NOTHING;
	size_t size = strlen(text);

	for (size_t at = 0; at < size && event != QMP_BROKEN;)
		at += qmp_feed(&f->qmp, text + at, size - at, &event);
	return event;
}

static void expect_sent(struct fixture *f, const char *expected)
{
	char text[256] = "";
	ssize_t n = recv(f->ends[1], text, sizeof(text) - 1, MSG_DONTWAIT);

	assert_true(n > 0);
	assert_string_equal(text, expected);
}

static void negotiate(struct fixture *f)
{
	assert_int_equal(feed(f, GREETING), QMP_NOTHING);
	expect_sent(f, "{\"execute\":\"qmp_capabilities\"}\n");
	assert_int_equal(feed(f, "{\"return\": {}}\r\n"), QMP_READY);
}

static void the_greeting_is_answered_and_the_vm_is_ready(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(qmp_execute(&f->qmp, "quit"), -ENOTCONN);
	negotiate(f);
	assert_int_equal(qmp_execute(&f->qmp, "quit"), 0);
	expect_sent(f, "{\"execute\":\"quit\"}\n");
}

static void ready_comes_once(void **state)
{
	negotiate(*state);
	assert_int_equal(feed(*state, "{\"return\": {}}\r\n"), QMP_NOTHING);
}

static void events_are_told_apart(void **state)
{
	struct fixture *f = *state;

	negotiate(f);
	assert_int_equal(feed(f, "{\"event\": \"SHUTDOWN\", \"data\": {\"guest\": true, "
				 "\"reason\": \"guest-shutdown\"}}\n"),
			 QMP_SHUTDOWN);
	assert_string_equal(f->qmp.text, "guest-shutdown");
	assert_int_equal(feed(f, "{\"event\": \"SHUTDOWN\"}\n"), QMP_SHUTDOWN);
	assert_string_equal(f->qmp.text, "no reason given");
	assert_int_equal(feed(f, "{\"event\": \"GUEST_PANICKED\"}\n"), QMP_PANICKED);
	assert_int_equal(feed(f, "{\"event\": \"RTC_CHANGE\"}\n"), QMP_NOTHING);
	assert_int_equal(feed(f, "{\"error\": {\"class\": \"X\", \"desc\": \"not now\"}}\n"),
			 QMP_REFUSED);
	assert_string_equal(f->qmp.text, "not now");
}

static void messages_may_come_in_any_pieces(void **state)
{
	static const char text[] = GREETING "{\"return\": {}}\r\n";
	struct fixture *f = *state;
	enum qmp_event event = QMP_NOTHING;

	for (size_t i = 0; i < strlen(text); i++)
		assert_int_equal(qmp_feed(&f->qmp, text + i, 1, &event), 1);
	assert_int_equal(event, QMP_READY);
}

static void what_is_not_qmp_breaks_the_connection(void **state)
{
	static const char *const first[] = { "nonsense\n",	   "[]\n",     "1\n", "{}\n", "{\n",
					     "{\"return\": {}}\n", "\"QMP\"\n" };
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(first) / sizeof(first[0]); i++) {
		qmp_init(&f->qmp, f->ends[0]);
		assert_int_equal(feed(f, first[i]), QMP_BROKEN);
	}
	qmp_init(&f->qmp, f->ends[0]);
	negotiate(f);
	assert_int_equal(feed(f, "{\"something\": 1}\n"), QMP_BROKEN);
}

static void a_message_without_end_is_not_kept(void **state)
{
	struct fixture *f = *state;
	char *text = malloc(QMP_LINE_MAX + 2);

	memset(text, ' ', QMP_LINE_MAX + 1);
	text[QMP_LINE_MAX + 1] = '\0';
	assert_int_equal(feed(f, text), QMP_BROKEN);
	free(text);
}

static void a_qemu_that_has_gone_is_noticed_when_it_is_told_something(void **state)
{
	struct fixture *f = *state;

	negotiate(f);
	close(f->ends[1]);
	f->ends[1] = dup(f->ends[0]);
	assert_int_equal(qmp_execute(&f->qmp, "quit"), -EPIPE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_greeting_is_answered_and_the_vm_is_ready),
		TEST(ready_comes_once),
		TEST(events_are_told_apart),
		TEST(messages_may_come_in_any_pieces),
		TEST(what_is_not_qmp_breaks_the_connection),
		TEST(a_message_without_end_is_not_kept),
		TEST(a_qemu_that_has_gone_is_noticed_when_it_is_told_something),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

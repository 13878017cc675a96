/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses to listen at, and whom limits take for one. */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/rpc/tcp.h"

static void addresses_that_are_refused(void **state)
{
	static const char *const addresses[] = {
		"",
		":",
		"7443",
		":7443",
		"127.0.0.1",
		"127.1:",
		"localhost:1",
		"127.0.0.1:http",
		"::1:7443",
		"[127.0.0.1]:7443",
		"[]:1",
		"[::1]",
		"[::1:7443",
		"::1]:7443",
		"[::1]7443",
		"[:1",
		"1.2.3.4.5:80",
		"127.0.0.1:-1",
		"[00000000000000000000000000000000000000000000000000000000000000000000000::1]:1",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
		struct err err = { 0 };

		if (tcp_listen(addresses[i], &err) != -1)
			fail_msg("'%s' was taken", addresses[i]);
		assert_int_equal(err.reason, ERR_INVALID_ARGUMENT);
		assert_non_null(strstr(err.message, "is no address to listen at"));
	}
}

static void taken_address_is_named(void **state)
{
	char address[32];
	struct err err;
	int fd = tcp_listen("127.0.0.1:0", &err);

	(void)state;
	assert_true(fd >= 0);
	snprintf(address, sizeof(address), "127.0.0.1:%d", tcp_port(fd));
	assert_int_equal(tcp_listen(address, &err), -1);
	assert_non_null(strstr(err.message, "cannot listen at 127.0.0.1:"));
	assert_non_null(strstr(err.message, "Address already in use"));
	close(fd);
}

/* Listens at `address`, connects by the other one from `from` unless that is NULL. */
static struct tcp_source source_of(const char *address, int family, const char *from)
{
	struct sockaddr_in ip4 = { .sin_family = AF_INET };
	struct sockaddr_in6 ip6 = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	struct tcp_source source = { 0 };
	struct pollfd pollfd = { .events = POLLIN };
	struct err err;
	int client = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int fd, r;

	pollfd.fd = tcp_listen(address, &err);
	if (pollfd.fd < 0)
		fail_msg("%s", err.message);
	if (from) {
		inet_pton(AF_INET, from, &ip4.sin_addr);
		assert_int_equal(bind(client, (struct sockaddr *)&ip4, sizeof(ip4)), 0);
	}
	ip4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ip4.sin_port = ip6.sin6_port = htons((in_port_t)tcp_port(pollfd.fd));
	r = family == AF_INET ? connect(client, (struct sockaddr *)&ip4, sizeof(ip4))
			      : connect(client, (struct sockaddr *)&ip6, sizeof(ip6));
	assert_int_equal(r, 0);
	assert_int_equal(poll(&pollfd, 1, 5000), 1);
	fd = tcp_accept(pollfd.fd, &source);
	assert_true(fd >= 0);
	assert_int_equal(tcp_accept(pollfd.fd, &source), -EAGAIN);
	close(fd);
	close(client);
	close(pollfd.fd);
	return source;
}

static bool has_ip6(void)
{
	struct err err;
	int fd = tcp_listen("[::1]:0", &err);

	if (fd < 0)
		return false;
	close(fd);
	return true;
}

static void sources_are_told_apart(void **state)
{
	struct tcp_source one = source_of("127.0.0.1:0", AF_INET, "127.0.0.2");
	struct tcp_source same = source_of("127.0.0.1:0", AF_INET, "127.0.0.2");
	struct tcp_source other = source_of("127.0.0.1:0", AF_INET, "127.0.0.3");

	(void)state;
	assert_true(tcp_source_equal(&one, &same));
	assert_false(tcp_source_equal(&one, &other));
	assert_int_equal(strncmp(one.text, "127.0.0.2:", 10), 0);
}

static void both_families_are_served(void **state)
{
	struct tcp_source plain, mapped, ip6;

	(void)state;
	if (!has_ip6())
		skip();
	plain = source_of("127.0.0.1:0", AF_INET, "127.0.0.2");
	mapped = source_of("[::]:0", AF_INET, "127.0.0.2");
	ip6 = source_of("[::1]:0", AF_INET6, NULL);
	assert_true(tcp_source_equal(&plain, &mapped));
	assert_int_equal(strncmp(mapped.text, "127.0.0.2:", 10), 0);
	assert_false(tcp_source_equal(&plain, &ip6));
	assert_int_equal(strncmp(ip6.text, "[::1]:", 6), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_that_are_refused),
		cmocka_unit_test(taken_address_is_named),
		cmocka_unit_test(sources_are_told_apart),
		cmocka_unit_test(both_families_are_served),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

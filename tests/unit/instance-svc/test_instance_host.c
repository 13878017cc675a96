/* SPDX-License-Identifier: Apache-2.0 */
/* Ids for VMs, paths open to all, peers, request resolution, the guard's list. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "instance-svc/host.h"
#include "instance-svc/process_id.h"
#include "instance-svc/resolve.h"
#include "instance-svc/service.h"
#include "instance-svc/settings.h"
#include "instance-svc/supervisor/guard.h"

struct fixture {
	char directory[64];
	struct err err;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	snprintf(f->directory, sizeof(f->directory), "/tmp/host-test-XXXXXX");
	*state = f;
	return mkdtemp(f->directory) ? chmod(f->directory, 0755) : -1;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	char command[96];

	snprintf(command, sizeof(command), "rm -rf %s", f->directory);
	(void)!system(command);
	free(f);
	return 0;
}

static const char *write_file(struct fixture *f, const char *name, const char *text, mode_t mode)
{
	static char path[128];
	scoped_file FILE *file = NULL;

	snprintf(path, sizeof(path), "%s/%s", f->directory, name);
	file = fopen(path, "we");
	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(chmod(path, mode), 0);
	return path;
}

static void vms_get_what_comes_after_the_images_share(void **state)
{
	struct fixture *f = *state;
	const char *file = write_file(f, "subuid", "other:1:2\nhypeman:200000:131072\n", 0644);
	struct host_ids ids;

	assert_int_equal(host_read_ids(file, "hypeman", 999, "vm-uids", "", &ids, &f->err), 0);
	assert_int_equal(ids.first, 265536);
	assert_int_equal(ids.count, 65536);
	assert_int_equal(host_read_ids(file, "hypeman", 999, "vm-uids", "270000-10", &ids, &f->err),
			 0);
	assert_int_equal(ids.first, 270000);
	assert_int_equal(ids.count, 10);
}

static void a_range_can_be_given_by_number(void **state)
{
	struct fixture *f = *state;
	const char *file = write_file(f, "subuid", "999:200000:131072\n", 0644);
	struct host_ids ids;

	assert_int_equal(host_read_ids(file, "hypeman", 999, "vm-uids", "", &ids, &f->err), 0);
}

static void ids_that_are_not_ours_are_refused(void **state)
{
	static const char *const settings[] = { "200000-10",   "265536-65537", "331071-2",
						"300000-0",    "300000",       "300000-5x",
						"1-4294967295" };
	struct fixture *f = *state;
	const char *file = write_file(f, "subuid", "hypeman:200000:131072\n", 0644);
	struct host_ids ids;

	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
		assert_int_equal(
			host_read_ids(file, "hypeman", 999, "vm-uids", settings[i], &ids, &f->err),
			-1);
		assert_string_equal(f->err.field, "vm-uids");
	}
	assert_int_equal(host_read_ids(file, "nobody", 65534, "vm-uids", "", &ids, &f->err), -1);
	assert_non_null(strstr(f->err.message, "no range for user nobody"));
	file = write_file(f, "subuid", "hypeman:200000:65536\n", 0644);
	assert_int_equal(host_read_ids(file, "hypeman", 999, "vm-uids", "", &ids, &f->err), -1);
	file = write_file(f, "subuid", "hypeman:4294900000:131072\n", 0644);
	assert_int_equal(host_read_ids(file, "hypeman", 999, "vm-uids", "", &ids, &f->err), -1);
}

static void files_for_vms_must_be_open_to_all(void **state)
{
	struct fixture *f = *state;
	char inner[96], path[128];

	assert_int_equal(host_check_open_to_all(write_file(f, "kernel", "x", 0644), "kernel", false,
						&f->err),
			 0);
	assert_int_equal(host_check_open_to_all(write_file(f, "kernel", "x", 0640), "kernel", false,
						&f->err),
			 -1);
	assert_int_equal(host_check_open_to_all(write_file(f, "program", "x", 0644), "supervisor",
						true, &f->err),
			 -1);
	snprintf(inner, sizeof(inner), "%s/closed", f->directory);
	assert_int_equal(mkdir(inner, 0700), 0);
	snprintf(path, sizeof(path), "closed/kernel");
	assert_int_equal(
		host_check_open_to_all(write_file(f, path, "x", 0644), "kernel", false, &f->err),
		-1);
	assert_non_null(strstr(f->err.message, inner));
}

static void a_closed_tun_device_is_told_with_its_fix(void **state)
{
	struct fixture *f = *state;
	struct host host = { 0 };

	host_check_network(&host, write_file(f, "tun", "", 0600));
	assert_non_null(strstr(host.network_problem, "chmod 0666"));
	host_check_network(&host, write_file(f, "tun", "", 0666));
	assert_string_equal(host.network_problem, "");
	host_check_network(&host, "/no/tun");
	assert_non_null(strstr(host.network_problem, "modprobe tun"));
}

static void peers_are_read(void **state)
{
	static const char *const refused[] = { "",
					       "a",
					       "a:root",
					       "a:root:",
					       "a:root:x",
					       "a:root:reader+",
					       "a:nouser99:reader",
					       "a:1x:reader",
					       "a:root:reader:more",
					       ":root:reader" };
	struct fixture *f = *state;
	struct rpc_peer peer;

	assert_int_equal(settings_parse_peer("api:0:reader+operator", &peer, &f->err), 0);
	assert_string_equal(peer.name, "api");
	assert_int_equal(peer.uid, 0);
	assert_int_equal(peer.roles, ROLE_READER | ROLE_OPERATOR);
	assert_int_equal(settings_parse_peer("api:root:reader", &peer, &f->err), 0);
	assert_int_equal(peer.roles, ROLE_READER);
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		assert_int_equal(settings_parse_peer(refused[i], &peer, &f->err), -1);
		assert_string_equal(f->err.field, "peer");
	}
}

static void requests_mean_an_id_then_a_name_then_a_prefix(void **state)
{
	static const struct resolve_candidate all[] = {
		{ "abcdefghijklmnopqrstuvwx", "one" },
		{ "abcdzzzzzzzzzzzzzzzzzzzz", "two" },
		{ "qqqqqqqqqqqqqqqqqqqqqqqq", "abcd" },
	};
	struct fixture *f = *state;

	assert_int_equal(resolve(all, 3, "abcdzzzzzzzzzzzzzzzzzzzz", 4, &f->err), 1);
	assert_int_equal(resolve(all, 3, "two", 4, &f->err), 1);
	assert_int_equal(resolve(all, 3, "abcd", 4, &f->err), 2);
	assert_int_equal(resolve(all, 3, "abcde", 4, &f->err), 0);
	assert_int_equal(resolve(all, 2, "abcd", 4, &f->err), -1);
	assert_int_equal(f->err.reason, ERR_AMBIGUOUS);
	assert_int_equal(resolve(all, 3, "qqqqqqq", 8, &f->err), -1);
	assert_int_equal(f->err.reason, ERR_INSTANCE_NOT_FOUND);
	assert_int_equal(resolve(all, 3, "qqqqqqqq", 8, &f->err), 2);
	assert_int_equal(resolve(all, 3, "tw", 1, &f->err), -1);
	assert_int_equal(resolve(all, 3, "", 0, &f->err), -1);
	assert_int_equal(f->err.reason, ERR_INVALID_ARGUMENT);
}

static bool is_closed(const struct guard_range *ranges, int count, const char *address,
		      unsigned prefix)
{
	unsigned char bytes[16] = { 0 };
	int family = strchr(address, ':') ? AF_INET6 : AF_INET;

	inet_pton(family, address, bytes);
	for (int i = 0; i < count; i++)
		if (ranges[i].family == family && ranges[i].prefix == prefix &&
		    memcmp(ranges[i].address, bytes, sizeof(bytes)) == 0)
			return true;
	return false;
}

static void the_guard_closes_the_host_and_metadata(void **state)
{
	struct guard_range ranges[GUARD_RANGES_MAX];
	struct fixture *f = *state;
	int count =
		guard_parse("127.0.0.1 192.0.2.2 ::1 fd00::2 ", ranges, GUARD_RANGES_MAX, &f->err);

	assert_true(count > 0);
	assert_true(is_closed(ranges, count, "192.0.2.2", 32));
	assert_true(is_closed(ranges, count, "fd00::2", 128));
	assert_true(is_closed(ranges, count, "169.254.0.0", 16));
	assert_true(is_closed(ranges, count, "fd00:ec2::254", 128));
	assert_false(is_closed(ranges, count, "127.0.0.1", 32)); /* has a loopback of its own */
	assert_int_equal(guard_parse("x ", ranges, GUARD_RANGES_MAX, &f->err), -1);
	assert_int_equal(guard_parse("1.2.3.4/8", ranges, GUARD_RANGES_MAX, &f->err), -1);
	assert_int_equal(guard_parse("1.2.3.4 1.2.3.5", ranges, 5, &f->err), -1);
}

static void the_hosts_own_list_can_be_read(void **state)
{
	struct guard_range ranges[GUARD_RANGES_MAX];
	struct fixture *f = *state;
	char text[8192];

	assert_int_equal(guard_list_host(text, sizeof(text), &f->err), 0);
	assert_true(guard_parse(text, ranges, GUARD_RANGES_MAX, &f->err) > 0);
	assert_int_equal(guard_list_host(text, 4, &f->err), -1);
}

static void a_process_is_more_than_its_pid(void **state)
{
	struct process_id id, other;

	(void)state;
	assert_int_equal(process_id_of(getpid(), &id), 0);
	assert_true(process_id_is_alive(&id));
	assert_int_equal(process_id_kill(&id, 0), 0);
	other = id;
	other.start_ticks++;
	assert_false(process_id_is_alive(&other));
	assert_true(process_id_kill(&other, 0) < 0);
	other = id;
	other.boot_id = uuid_new();
	assert_false(process_id_is_alive(&other));
	assert_true(process_id_of(0x7ffffff0, &other) < 0);
	assert_true(process_id_kill(&(struct process_id){ 0 }, 0) < 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(vms_get_what_comes_after_the_images_share),
		TEST(a_range_can_be_given_by_number),
		TEST(ids_that_are_not_ours_are_refused),
		TEST(files_for_vms_must_be_open_to_all),
		TEST(a_closed_tun_device_is_told_with_its_fix),
		TEST(peers_are_read),
		TEST(requests_mean_an_id_then_a_name_then_a_prefix),
		TEST(the_guard_closes_the_host_and_metadata),
		TEST(the_hosts_own_list_can_be_read),
		TEST(a_process_is_more_than_its_pid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "instance-svc/guest/user.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const char passwd[] = "root:x:0:0:root:/root:/bin/sh\n"
			     "broken line\n"
			     "bad:x:one:two::/:\n"
			     "\n"
			     "app:x:1234:2345:A, B:/home/app:/bin/sh\n"
			     "nohome:x:50:50:::\n"
			     "4000:x:41:42::/digits:/bin/sh\n"
			     "last:x:60:61::/last:";
static const char group[] = "root:x:0:\n"
			    "app:x:2345:\n"
			    "extra:x:77:app,root\n"
			    "more:x:78:x,app\n"
			    "primary:x:2345:app\n"
			    "almost:x:79:apple,xapp\n"
			    "broken\n"
			    "video:x:44";

static void users_are_resolved_as_docker_does(void **state)
{
	static const struct {
		const char *spec;
		uid_t uid;
		gid_t gid;
		const char *home;
		size_t groups;
	} known[] = {
		{ "", 0, 0, "/root", 1 },
		{ "root", 0, 0, "/root", 1 },
		{ "0", 0, 0, "/root", 1 },
		{ "app", 1234, 2345, "/home/app", 2 },
		{ "1234", 1234, 2345, "/home/app", 2 },
		{ "app:extra", 1234, 77, "/home/app", 0 },
		{ "app:9", 1234, 9, "/home/app", 0 },
		{ "app:video", 1234, 44, "/home/app", 0 },
		{ "app:", 1234, 2345, "/home/app", 2 },
		{ "777", 777, 0, "/", 0 },
		{ "777:888", 777, 888, "/", 0 },
		{ "nohome", 50, 50, "/", 0 },
		{ "4000", 41, 42, "/digits", 0 }, /* a name, though it looks like a number */
		{ "last", 60, 61, "/last", 0 },
		{ "4294967294", 4294967294, 0, "/", 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		struct user user;
		struct err err;

		assert_int_equal(user_lookup(known[i].spec, passwd, group, &user, &err), 0);
		assert_int_equal(user.uid, known[i].uid);
		assert_int_equal(user.gid, known[i].gid);
		assert_string_equal(user.home, known[i].home);
		assert_int_equal(user.group_count, known[i].groups);
	}
}

static void supplementary_groups_are_those_that_name_the_user(void **state)
{
	struct user user;
	struct err err;

	(void)state;
	assert_int_equal(user_lookup("app", passwd, group, &user, &err), 0);
	assert_int_equal(user.group_count, 2);
	assert_int_equal(user.groups[0], 77);
	assert_int_equal(user.groups[1], 78);
}

static void others_are_refused_by_name(void **state)
{
	static const struct {
		const char *spec, *message;
	} refused[] = {
		{ "nobody", "user 'nobody': no 'nobody' in the image's /etc/passwd" },
		{ "bad", "user 'bad': no 'bad' in the image's /etc/passwd" },
		{ "app:none", "user 'app:none': no group 'none' in the image's /etc/group" },
		{ "-1", "user '-1': no '-1' in the image's /etc/passwd" },
		{ "4294967295", "user '4294967295': no '4294967295' in the image's /etc/passwd" },
		{ "99999999999999999999",
		  "user '99999999999999999999': no '99999999999999999999' in the image's /etc/passwd" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		struct user user;
		struct err err;

		assert_int_equal(user_lookup(refused[i].spec, passwd, group, &user, &err), -1);
		assert_string_equal(err.message, refused[i].message);
	}
}

static void an_image_without_files_has_root_and_numbers(void **state)
{
	struct user user;
	struct err err;

	(void)state;
	assert_int_equal(user_lookup("", "", "", &user, &err), 0);
	assert_int_equal(user.uid, 0);
	assert_string_equal(user.home, "/");
	assert_int_equal(user_lookup("5:6", "", "", &user, &err), 0);
	assert_int_equal(user.gid, 6);
	assert_int_equal(user_lookup("root", "", "", &user, &err), -1);
}

static void a_spec_is_bounded(void **state)
{
	char spec[200];
	struct user user;
	struct err err;

	(void)state;
	memset(spec, 'a', sizeof(spec));
	spec[129] = '\0';
	assert_int_equal(user_lookup(spec, passwd, group, &user, &err), -1);
	assert_string_equal(err.message, "user is longer than 128 characters");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(users_are_resolved_as_docker_does),
		cmocka_unit_test(supplementary_groups_are_those_that_name_the_user),
		cmocka_unit_test(others_are_refused_by_name),
		cmocka_unit_test(an_image_without_files_has_root_and_numbers),
		cmocka_unit_test(a_spec_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "instance-svc/quota.h"

#define GB (UINT64_C(1) << 30)

static struct quota_line parse(const char *text)
{
	struct quota_line line;
	struct err err;

	assert_int_equal(quota_parse(text, &line, &err), 0);
	return line;
}

static void a_line_is_read(void **state)
{
	struct quota_line line = parse("api-gateway/auth0:a b:instances=3,memory=64GB,gpus=0,"
				       "vcpus=unlimited");

	(void)state;
	assert_string_equal(line.principal, "api-gateway/auth0:a b");
	assert_int_equal(line.limits.of[QUOTA_INSTANCES], 3);
	assert_int_equal(line.limits.of[QUOTA_MEMORY], 64 * GB);
	assert_int_equal(line.limits.of[QUOTA_GPUS], 0);
	assert_true(line.limits.of[QUOTA_VCPUS] == QUOTA_UNLIMITED);
	assert_true(line.given[QUOTA_VCPUS]);
	assert_false(line.given[QUOTA_DISK]);
}

static void bad_lines_are_refused(void **state)
{
	static const struct {
		const char *text, *words;
	} bad[] = {
		{ "", "must be PRINCIPAL:" },
		{ "operator", "must be PRINCIPAL:" },
		{ ":vcpus=1", "must be PRINCIPAL:" },
		{ "operator:", "must be PRINCIPAL:" },
		{ "operator:vcpus", "has 'vcpus'" },
		{ "operator:cpus=1", "has 'cpus'" },
		{ "operator:vcpus=1,", "has ''" },
		{ "operator:vcpus=1,vcpus=2", "has vcpus twice" },
		{ "operator:vcpus=", "vcpus=: must be \"unlimited\" or a number" },
		{ "operator:vcpus=-1", "vcpus=-1" },
		{ "operator:vcpus=1G", "vcpus=1G" },
		{ "operator:vcpus=99999999999999999999", "vcpus=99999999999999999999" },
		{ "operator:memory=much", "memory=much: must be \"unlimited\" or a size" },
	};
	char longest[QUOTA_PRINCIPAL_MAX + 16] = "";
	struct quota_line line;
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(quota_parse(bad[i].text, &line, &err), -1);
		assert_string_equal(err.field, "quota");
		assert_non_null(strstr(err.message, bad[i].words));
	}
	memset(longest, 'x', QUOTA_PRINCIPAL_MAX);
	strcpy(longest + QUOTA_PRINCIPAL_MAX, ":gpus=1");
	assert_int_equal(quota_parse(longest, &line, &err), 0);
	strcpy(longest + QUOTA_PRINCIPAL_MAX, "x:gpus=1");
	assert_int_equal(quota_parse(longest, &line, &err), -1);
}

static void what_a_line_leaves_out_is_as_for_all_others(void **state)
{
	const struct quota_line lines[] = { parse("*:instances=5,gpus=1"),
					    parse("alice:gpus=unlimited,disk=1TB") };
	const struct quotas quotas = { lines, 2 }, none = { 0 };
	struct quota_amounts limits = quota_limits(&quotas, "alice");

	(void)state;
	assert_int_equal(limits.of[QUOTA_INSTANCES], 5);
	assert_true(limits.of[QUOTA_GPUS] == QUOTA_UNLIMITED);
	assert_int_equal(limits.of[QUOTA_DISK], 1024 * GB);
	assert_true(limits.of[QUOTA_VCPUS] == QUOTA_UNLIMITED);
	limits = quota_limits(&quotas, "bob");
	assert_int_equal(limits.of[QUOTA_GPUS], 1);
	assert_true(limits.of[QUOTA_DISK] == QUOTA_UNLIMITED);
	assert_true(quota_limits(&none, "bob").of[QUOTA_INSTANCES] == QUOTA_UNLIMITED);
}

static void each_limit_holds_at_its_edge_and_gives_the_numbers(void **state)
{
	static char profile[] = "L40S-1Q";
	const struct quota_line lines[] = {
		parse("alice:instances=2,vcpus=8,memory=8GB,disk=10GB,gpus=1"),
	};
	const struct quotas quotas = { lines, 1 };
	const struct spec spec = {
		.vcpus = 4, .memory_bytes = 4 * GB, .overlay_bytes = 5 * GB, .gpu_profile = profile
	};
	struct quota_amounts used = { 0 }, wanted = { 0 };
	struct err err;

	(void)state;
	quota_add(&wanted, &spec, true);
	assert_int_equal(quota_admit(&quotas, "alice", &used, &wanted, &err), 0);
	quota_add(&used, &spec, false);
	assert_int_equal(quota_admit(&quotas, "alice", &used, &wanted, &err), 0);
	used.of[QUOTA_VCPUS] = 5;
	assert_int_equal(quota_admit(&quotas, "alice", &used, &wanted, &err), -1);
	assert_int_equal(err.reason, ERR_QUOTA_EXCEEDED);
	assert_string_equal(err.message, "the quota of 'alice' is vcpus=8: 5 used, 4 more asked "
					 "for (setting quota)");
	assert_int_equal(quota_admit(&quotas, "bob", &used, &wanted, &err), 0);
	used.of[QUOTA_VCPUS] = 4;
	assert_int_equal(quota_admit(&quotas, "alice", &used, &wanted, &err), 0);
	used.of[QUOTA_MEMORY] = 5 * GB;
	assert_int_equal(quota_admit(&quotas, "alice", &used, &wanted, &err), -1);
	assert_string_equal(err.message, "the quota of 'alice' is memory=8GB: 5GB used, 4GB "
					 "more asked for (setting quota)");
}

static void what_is_beyond_a_lowered_limit_stays_and_does_not_grow(void **state)
{
	const struct quota_line lines[] = { parse("alice:vcpus=2,gpus=0") };
	const struct quotas quotas = { lines, 1 };
	const struct quota_amounts used = { .of = { [QUOTA_VCPUS] = 6 } };
	struct quota_amounts wanted = { .of = { [QUOTA_DISK] = GB } };
	struct err err;

	(void)state;
	assert_int_equal(quota_admit(&quotas, "alice", &used, &wanted, &err), 0);
	wanted.of[QUOTA_VCPUS] = 1;
	assert_int_equal(quota_admit(&quotas, "alice", &used, &wanted, &err), -1);
	wanted = (struct quota_amounts){ .of = { [QUOTA_GPUS] = 1 } };
	assert_int_equal(quota_admit(&quotas, "alice", &used, &wanted, &err), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_is_read),
		cmocka_unit_test(bad_lines_are_refused),
		cmocka_unit_test(what_a_line_leaves_out_is_as_for_all_others),
		cmocka_unit_test(each_limit_holds_at_its_edge_and_gives_the_numbers),
		cmocka_unit_test(what_is_beyond_a_lowered_limit_stays_and_does_not_grow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

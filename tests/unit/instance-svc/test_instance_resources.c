/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "instance-svc/resources.h"

#define GB (INT64_C(1) << 30)

static struct resources make(void)
{
	return (struct resources){
		.kind = {
			[RESOURCE_CPU] = { .capacity = 2, .limit = 8, .oversubscription = 400 },
			[RESOURCE_MEMORY] = { .capacity = 4 * GB, .limit = 4 * GB,
					      .oversubscription = 100 },
			[RESOURCE_DISK] = { .capacity = 100 * GB, .limit = 100 * GB,
					    .oversubscription = 100 },
		},
	};
}

static struct spec make_spec(uint32_t vcpus, int64_t memory, int64_t disk)
{
	return (struct spec){ .vcpus = vcpus,
			      .memory_bytes = (uint64_t)memory,
			      .overlay_bytes = (uint64_t)disk };
}

static void what_fits_exactly_is_admitted(void **state)
{
	struct resources resources = make();
	struct spec spec = make_spec(8, 4 * GB, 100 * GB);
	struct err err;

	(void)state;
	assert_int_equal(resources_admit(&resources, &spec, &err), 0);
}

static void each_limit_refuses_with_the_numbers(void **state)
{
	struct resources resources = make();
	struct spec running = make_spec(6, 3 * GB, 90 * GB), spec;
	struct err err;

	(void)state;
	resources_add(&resources, &running, true);
	spec = make_spec(3, GB, GB);
	assert_int_equal(resources_admit(&resources, &spec, &err), -1);
	assert_int_equal(err.reason, ERR_INSUFFICIENT_CAPACITY);
	assert_string_equal(err.message,
			    "not enough cpu: 3 vCPUs asked for, 2 vCPUs available (6 vCPUs "
			    "promised of 8 vCPUs, which is 400% of 2 vCPUs)");
	assert_int_equal(err.detail_count, 1);
	spec = make_spec(1, 2 * GB, GB);
	assert_int_equal(resources_admit(&resources, &spec, &err), -1);
	assert_non_null(strstr(err.message, "not enough memory: 2.00 GB asked for, 1.00 GB"));
	spec = make_spec(1, GB, 11 * GB);
	assert_int_equal(resources_admit(&resources, &spec, &err), -1);
	assert_non_null(strstr(err.message, "not enough disk: 11.00 GB asked for, 10.00 GB"));
}

static void what_is_stopped_holds_only_its_disk(void **state)
{
	struct resources resources = make();
	struct spec stopped = make_spec(8, 4 * GB, 60 * GB);

	(void)state;
	resources_add(&resources, &stopped, false);
	assert_int_equal(resources.kind[RESOURCE_CPU].allocated, 0);
	assert_int_equal(resources.kind[RESOURCE_MEMORY].allocated, 0);
	assert_int_equal(resources.kind[RESOURCE_DISK].allocated, 60 * GB);
}

static void more_promised_than_there_is_leaves_nothing(void **state)
{
	struct resources resources = make();
	struct spec running = make_spec(20, GB, GB), spec = make_spec(1, GB, GB);
	struct err err;

	(void)state;
	resources_add(&resources, &running, true);
	assert_int_equal(resources_admit(&resources, &spec, &err), -1);
	assert_non_null(strstr(err.message, "0 vCPUs available"));
}

static void this_host_has_something_of_each(void **state)
{
	const struct resource_factors factors = { .percent = { [RESOURCE_CPU] = 150 } };
	struct resources resources;
	struct err err;

	(void)state;
	assert_int_equal(resources_read("/tmp", &factors, &resources, &err), 0);
	for (int i = RESOURCE_CPU; i <= RESOURCE_DISK; i++) {
		assert_true(resources.kind[i].capacity > 0);
		assert_int_equal(resources.kind[i].allocated, 0);
	}
	assert_int_equal(resources.kind[RESOURCE_CPU].limit,
			 resources.kind[RESOURCE_CPU].capacity * 150 / 100);
	assert_int_equal(resources.kind[RESOURCE_DISK].limit,
			 resources.kind[RESOURCE_DISK].capacity);
	assert_int_equal(resources_read("/no/such", &factors, &resources, &err), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_fits_exactly_is_admitted),
		cmocka_unit_test(each_limit_refuses_with_the_numbers),
		cmocka_unit_test(what_is_stopped_holds_only_its_disk),
		cmocka_unit_test(more_promised_than_there_is_leaves_nothing),
		cmocka_unit_test(this_host_has_something_of_each),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

static void a_spec_names_boards_counts_modes_and_addresses(void **state)
{
	struct spec spec;
	struct err err;

	(void)state;
	assert_int_equal(
		spec_parse("l40s:2,t4:1:mdev,l40s:1:passthrough@0000:82:00.0", &spec, &err), 0);

	assert_int_equal(spec.gpu_count, 4);
	assert_string_equal(spec.gpus[1].board, "l40s");
	assert_int_equal(spec.gpus[1].mode, SPEC_DEFAULT);
	assert_false(spec.gpus[1].has_address);
	assert_int_equal(spec.gpus[2].mode, SPEC_MDEV);
	assert_int_equal(spec.gpus[3].mode, SPEC_PASSTHROUGH);
	assert_string_equal(BDF_STR(spec.gpus[3].address), "0000:82:00.0");
}

static void a_domain_may_have_more_digits(void **state)
{
	struct spec spec;
	struct err err;

	(void)state;
	assert_int_equal(spec_parse("l40s:1@10000:e1:00.0", &spec, &err), 0);
	assert_string_equal(BDF_STR(spec.gpus[0].address), "10000:e1:00.0");
}

static void options_come_in_any_order(void **state)
{
	struct spec spec;
	struct err err;

	(void)state;
	assert_int_equal(spec_parse("l40s:2:numa=1:plain-list:vendor,t4:1:numa=-1", &spec, &err),
			 0);
	assert_int_equal(spec.gpus[1].mode, SPEC_VENDOR);
	assert_true(spec.gpus[1].has_plain_list);
	assert_int_equal(spec.gpus[1].numa_node, 1);
	assert_int_equal(spec.gpus[2].mode, SPEC_DEFAULT);
	assert_true(spec.gpus[2].has_numa_node);
	assert_int_equal(spec.gpus[2].numa_node, -1);
}

static void a_bad_spec_is_named(void **state)
{
	static const struct {
		const char *spec, *item, *why;
	} bad[] = {
		{ "", "''", "names no board" },
		{ "l40s", "'l40s'", "a count is a number from 1 to 64" },
		{ "l40s:0", "'l40s:0'", "a count is" },
		{ "l40s:65", "'l40s:65'", "a count is" },
		{ "l40s:-1", "'l40s:-1'", "a count is" },
		{ "l40s:2x", "'l40s:2x'", "a count is" },
		{ "t4:1,l40s:2:vgpu", "'l40s:2:vgpu'", "an option is mdev, vendor, passthrough" },
		{ "l40s:2:mdev:vendor", "'l40s:2:mdev:vendor'", "an option is" },
		{ "l40s:2:numa=", "'l40s:2:numa='", "an option is" },
		{ "l40s:2:numa=-2", "'l40s:2:numa=-2'", "an option is" },
		{ "l40s:2:numa=1000", "'l40s:2:numa=1000'", "an option is" },
		{ "l40s:2:numa=1:numa=1", "'l40s:2:numa=1:numa=1'", "an option is" },
		{ "l40s:2:", "'l40s:2:'", "an option is" },
		{ "l40s:2:mdev:plain-list", "'l40s:2:mdev:plain-list'", "plain-list goes with" },
		{ "l40s:2:mdev:x", "'l40s:2:mdev:x'", "an option is" },
		{ "l40s:2:same-group", "'l40s:2:same-group'", "same-group goes with passthrough" },
		{ "l40s:1:passthrough:same-group", "'l40s:1:pass", "a count above 1" },
		{ "l40s:2@0000:82:00.0", "'l40s:2@0000:82:00.0'", "an address needs a count of 1" },
		{ "l40s:1@82:00.0", "'l40s:1@82:00.0'", "an address is that of a function 0" },
		{ "l40s:1@0000:82:00.1", "'l40s:1@0000:82:00.1'", "an address is" },
		{ "l40s:1@0000:82:00.0x", "'l40s:1@0000:82:00.0x'", "an address is" },
		{ "l40s:1@0000:8G:00.0", "'l40s:1@0000:8G:00.0'", "an address is" },
		{ "l40s:1,", "''", "names no board" },
		{ "l40s:60,t4:5", "'t4:5'", "at most 64 GPUs" },
		{ "a-name-that-is-longer-than-a-board:1", "'a-name-that-is", "names no board" },
	};
	struct spec spec;
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(spec_parse(bad[i].spec, &spec, &err), -1);
		assert_non_null(strstr(err.message, bad[i].item));
		assert_non_null(strstr(err.message, bad[i].why));
	}
}

static int make(const char *spec_text, struct err *err)
{
	scoped(host_free) struct host *host = NULL;
	struct spec spec;

	assert_int_equal(spec_parse(spec_text, &spec, err), 0);
	return host_new(&spec, BOARDS_DIR, &host, err);
}

static void what_a_host_cannot_have_is_named(void **state)
{
	struct err err;

	(void)state;
	assert_int_equal(make("nosuch:1", &err), -1);
	assert_non_null(strstr(err.message, "board 'nosuch'"));
	assert_int_equal(make("../x:1", &err), -1);
	assert_non_null(strstr(err.message, "'../x' is no name of a board"));
	assert_int_equal(make("l40s:1@0000:82:00.0,l40s:1@0000:82:00.0", &err), -1);
	assert_non_null(strstr(err.message, "two functions at 0000:82:00.0"));
	/* The second one is where a virtual function of the first is. */
	assert_int_equal(make("l40s:1@0000:82:00.0,l40s:1:passthrough@0000:82:01.0", &err), -1);
	assert_non_null(strstr(err.message, "two functions at 0000:82:01.0"));
	assert_int_equal(make("t4:1:vendor", &err), -1);
	assert_non_null(strstr(err.message, "board 't4' has no virtual functions"));
	assert_int_equal(make("l40s:1@0000:82:1c.0", &err), -1);
	assert_non_null(strstr(err.message, "leave its bus"));
}

static void default_addresses_leave_given_ones_alone(void **state)
{
	scoped(host_free) struct host *host = host_make("l40s:2,t4:1@0000:41:00.0,t4:1");

	(void)state;
	assert_string_equal(BDF_STR(host->gpus[0].physical->address), "0000:61:00.0");
	assert_string_equal(BDF_STR(host->gpus[1].physical->address), "0000:a1:00.0");
	assert_string_equal(BDF_STR(host->gpus[2].physical->address), "0000:41:00.0");
	assert_string_equal(BDF_STR(host->gpus[3].physical->address), "0000:c1:00.0");
}

static void nodes_and_domains_are_as_told(void **state)
{
	scoped(host_free) struct host *host =
		host_make("l40s:1,l40s:1:vendor:numa=3,t4:1:passthrough:numa=-1@0001:c8:00.0,"
			  "l40s:1:vendor@10000:e1:00.0");

	(void)state;
	expect_text(host, "sys/bus/pci/devices/0000:41:00.4/numa_node", "0\n");
	expect_text(host, "sys/bus/pci/devices/0000:61:04.3/numa_node", "3\n");
	expect_text(host, "sys/bus/pci/devices/0001:c8:00.0/numa_node", "-1\n");
	expect_text(host, "sys/devices/pci10000:e1/10000:e1:00.4/nvidia/current_vgpu_type", "0\n");
	expect_text(host, "sys/bus/pci/drivers/nvidia/10000:e1:04.3/physfn/numa_node", "1\n");
	assert_int_equal(store(host, "sys/bus/pci/drivers/nvidia/unbind", "0001:c8:00.0\n"), 0);
}

static void a_host_may_be_full(void **state)
{
	scoped(host_free) struct host *host = host_make("l40s:64");

	(void)state;
	assert_int_equal(host->function_count, 64 * 33);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_spec_names_boards_counts_modes_and_addresses),
		cmocka_unit_test(a_domain_may_have_more_digits),
		cmocka_unit_test(options_come_in_any_order),
		cmocka_unit_test(a_bad_spec_is_named),
		cmocka_unit_test(what_a_host_cannot_have_is_named),
		cmocka_unit_test(default_addresses_leave_given_ones_alone),
		cmocka_unit_test(nodes_and_domains_are_as_told),
		cmocka_unit_test(a_host_may_be_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

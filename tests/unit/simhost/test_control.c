/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

#include <errno.h>
#include <stdlib.h>

#include "control.h"

#define VF0 "0000:41:00.4"

static char *show_state(struct host *host)
{
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	assert_non_null(out);
	control_show(host, out);
	assert_int_equal(fclose(out), 0);
	return text;
}

static void what_is_no_command_is_refused(void **state)
{
	static const char *const bad[] = {
		"jump",
		"hold",
		"hold x",
		"hold 1 2",
		"hold 1", /* a group without a node */
		"hold 99999",
		"hold 9999999999",
		"release 1",
		"clear all",
		"fault",
		"fault create-hang",
		"fault create-hang 0000:41:00.0", /* not a parent */
		"fault create-hang 0000:99:00.0",
		"fault create-hang VF",
		"fault create-hang 0000:41:00.4 1",
		"fault create-eio 0000:41:00.4",
		"fault create-eio 0000:41:00.4 many",
		"fault jump 0000:41:00.4",
		"fault create-jump 0000:41:00.4",
		"fault create-eio 0000:41:00.4 1000000000",
		"fault type-hang 0000:41:00.4",	 /* not that framework */
		"fault list-plain 0000:41:00.4", /* likewise */
		"fault list-short 0000:41:00.4",
		"fault bind-busy 0000:41:00.4 86401",
		"fault read-eio sys/nosuch",
		"fault lie sys/bus/pci/drivers_probe",
		"unplug 0000:99:00.0",
		"vfs 0000:41:00.4 on",
		"vfs 0000:41:00.0 of",
		"hold nvidia1",
		"release nvidia0",
		"fault a b c d e",
	};
	scoped(host_free) struct host *host = host_make("l40s:1");

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(control_run(host, bad[i]), -EINVAL);
}

static void a_stand_in_holds_and_releases(void **state)
{
	scoped(host_free) struct host *host = host_make("l40s:1");
	struct writer writer = writer_make();
	char hold[32], release[32];

	(void)state;
	assert_int_equal(create_text(host, VF0, "1Q", UUID("0001")), 0);
	snprintf(hold, sizeof(hold), "hold %u\n", host->mdevs->group->number);
	snprintf(release, sizeof(release), "release %u\n", host->mdevs->group->number);

	assert_int_equal(control_run(host, release), -EINVAL);
	assert_int_equal(control_run(host, hold), 0);
	assert_int_equal(control_run(host, hold), -EBUSY);
	assert_int_equal(mdev_remove(host, host->mdevs, &writer_process, &writer.waiter),
			 HOST_PENDING);
	assert_int_equal(control_run(host, release), 0);

	assert_int_equal(writer.call_count, 1);
	assert_null(host->mdevs);
}

static void a_stand_in_cannot_release_for_a_process(void **state)
{
	scoped(host_free) struct host *host = host_make("l40s:1");
	char release[32];

	(void)state;
	assert_int_equal(create_text(host, VF0, "1Q", UUID("0001")), 0);
	assert_int_equal(group_open(host, host->mdevs->group, &other_process), 0);
	snprintf(release, sizeof(release), "release %u", host->mdevs->group->number);

	assert_int_equal(control_run(host, release), -EINVAL);
	assert_true(host->mdevs->group->is_held);
}

static void commands_come_a_line_each(void **state)
{
	scoped(host_free) struct host *host = host_make("l40s:1");

	(void)state;
	assert_int_equal(control_run(host, "fault create-hang *\n\n  fault create-eio\t" VF0
					   "  3\nclear\nfault remove-hang " VF0 "\n"),
			 0);
	assert_false(function_at(host, VF0)->faults.ops[OP_CREATE].hang);
	assert_int_equal(function_at(host, VF0)->faults.ops[OP_CREATE].eio, 0);
	assert_true(function_at(host, VF0)->faults.ops[OP_REMOVE].hang);
}

static void a_star_means_every_parent(void **state)
{
	scoped(host_free) struct host *host = host_make("l40s:2");

	(void)state;
	assert_int_equal(control_run(host, "fault create-eio * 1"), 0);
	assert_int_equal(function_at(host, VF0)->faults.ops[OP_CREATE].eio, 1);
	assert_int_equal(function_at(host, "0000:61:04.3")->faults.ops[OP_CREATE].eio, 1);
	assert_int_equal(function_at(host, "0000:61:00.0")->faults.ops[OP_CREATE].eio, 0);
}

static void the_state_has_a_line_for_each_thing(void **state)
{
	scoped(host_free) struct host *host =
		host_make("l40s:1,t4:1:passthrough@0000:82:00.0,l40s:1:vendor:numa=0@0000:83:00.0");
	struct writer late = writer_make();
	scoped_free char *text = NULL;
	const char *vgpu, *rest;
	char expected[512];
	uint32_t number;

	(void)state;
	assert_int_equal(create_text(host, VF0, "2Q", UUID("0001")), 0);
	number = host->mdevs->group->number;
	assert_int_equal(group_open(host, host->mdevs->group, &other_process), 0);
	assert_int_equal(control_run(host, "type 0000:83:00.4 1150\nunplug 0000:83:04.3\n"
					   "hold nvidia1\nfault lie 0000:83:00.5\n"
					   "fault reset-busy 0000:82:00.0 30\n"
					   "fault read-eio sys/bus/pci/drivers_probe\n"
					   "fault create-hang-before 0000:41:00.5"),
			 0);
	assert_int_equal(store_as(host,
				  "sys/class/mdev_bus/0000:41:00.5/mdev_supported_types/"
				  "nvidia-1148/create",
				  UUID("0002") "\n", &late.waiter),
			 HOST_PENDING);
	function_at(host, "0000:82:00.0")->reset_count = 2;

	text = show_state(host);

	snprintf(expected, sizeof(expected),
		 "gpu 0000:41:00.0 l40s mdev vgpus 1 used 2048 of 49152 MiB\n"
		 "gpu 0000:82:00.0 t4 passthrough vgpus 0 used 0 of 0 MiB\n"
		 "holder nvidia1 opens 1\n"
		 "gpu 0000:83:00.0 l40s vendor vgpus 1 used 4096 of 49152 MiB\n"
		 "vgpu " UUID("0001") " parent 0000:41:00.4 type nvidia-1148 group %u live\n"
				      "type 0000:83:00.4 1150 group 36\n",
		 number);
	assert_int_equal(strncmp(text, expected, strlen(expected)), 0);
	snprintf(expected, sizeof(expected),
		 "node %u mode 0600 uid 0 gid 0\nholder %u pid 200 qemu\n", number, number);
	vgpu = strstr(text, expected);
	assert_non_null(vgpu);
	rest = "reset 0000:82:00.0 2\n"
	       "absent 0000:83:04.3\n"
	       "late-create " UUID("0002") " on 0000:41:00.5\n"
					   "fault create-hang-before 0000:41:00.5\n"
					   "fault reset-busy 0000:82:00.0 30\n"
					   "fault lie 0000:83:00.5\n"
					   "fault read-* on 1 files\n";
	assert_string_equal(vgpu + strlen(expected), rest);
}

static void somebody_else_creates_and_removes(void **state)
{
	scoped(host_free) struct host *host =
		host_make("l40s:1,l40s:1:vendor,l40s:1:passthrough@0000:82:00.0");

	(void)state;
	assert_int_equal(
		control_run(host, "fault create-hang *\ncreate " VF0 " 1148 " UUID("0001")), 0);
	assert_non_null(host_find_uuid(host, UUID("0001")));
	assert_int_equal(control_run(host, "create " VF0 " 1148 " UUID("0002")), -EIO);
	assert_int_equal(control_run(host, "create " VF0 " 9999 " UUID("0002")), -EINVAL);
	assert_int_equal(control_run(host, "create 0000:61:00.4 1148 " UUID("0002")), -EINVAL);
	assert_int_equal(control_run(host, "remove " UUID("0001")), 0);
	assert_null(host->mdevs);
	assert_int_equal(control_run(host, "remove " UUID("0001")), -EINVAL);

	assert_int_equal(control_run(host, "type 0000:61:00.4 1150"), 0);
	assert_int_equal(control_run(host, "type 0000:61:00.4 1150"), -EPERM);
	assert_int_equal(control_run(host, "type 0000:61:00.5 1148"), -EIO);
	assert_int_equal(control_run(host, "type " VF0 " 1148"), -EINVAL);
	assert_int_equal(control_run(host, "type 0000:61:00.4 0"), 0);

	assert_int_equal(control_run(host, "bind 0000:82:00.0 vfio-pci"), -EBUSY);
	assert_int_equal(control_run(host, "unbind 0000:82:00.0\nbind 0000:82:00.0 vfio-pci"), 0);
	expect_text(host, "sys/bus/pci/devices/0000:82:00.0/driver_override", "vfio-pci\n");
	assert_int_equal(control_run(host, "unbind 0000:82:00.0\nunbind 0000:82:00.0"), -ENODEV);
	assert_int_equal(control_run(host, "bind 0000:82:00.0 nosuch"), -EINVAL);
}

/* What they do to a held one goes on when it is released. */
static void somebody_else_does_not_wait(void **state)
{
	scoped(host_free) struct host *host = host_make("l40s:1");

	(void)state;
	assert_int_equal(create_text(host, VF0, "2Q", UUID("0001")), 0);
	assert_int_equal(group_open(host, host->mdevs->group, &other_process), 0);
	assert_int_equal(control_run(host, "remove " UUID("0001")), 0);
	assert_int_equal(host->mdevs->state, MDEV_REMOVING);
	group_close(host, host->mdevs->group->number, host->mdevs->group->node_serial);
	assert_null(host->mdevs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_no_command_is_refused),
		cmocka_unit_test(a_stand_in_holds_and_releases),
		cmocka_unit_test(a_stand_in_cannot_release_for_a_process),
		cmocka_unit_test(commands_come_a_line_each),
		cmocka_unit_test(a_star_means_every_parent),
		cmocka_unit_test(the_state_has_a_line_for_each_thing),
		cmocka_unit_test(somebody_else_creates_and_removes),
		cmocka_unit_test(somebody_else_does_not_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "control.h"
#include "event.h"
#include "hotplug.h"

#define VF0	  "0000:41:00.4"
#define DEVICES	  "sys/bus/pci/devices/"
#define EVENTS(t) expect_events(host, &position, t)

static void expect_events(struct host *host, uint64_t *position, const char *expected)
{
	scoped_free char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);
	int r = event_read(host, position, 65536, out);

	assert_int_equal(fclose(out), 0);
	assert_int_equal(r, (int)length);
	assert_string_equal(text, expected);
}

static void an_unplugged_gpu_leaves_nothing(void **state)
{
	scoped(host_free) struct host *host = host_make("l40s:2");
	struct writer writer = writer_make();
	uint32_t number, serial;

	(void)state;
	assert_int_equal(create_text(host, VF0, "1Q", UUID("0001")), 0);
	number = host->mdevs->group->number;
	serial = host->mdevs->group->node_serial;
	assert_int_equal(group_open(host, host->mdevs->group, &other_process), 0);
	assert_int_equal(mdev_remove(host, host->mdevs, &writer_process, &writer.waiter),
			 HOST_PENDING);

	assert_int_equal(control_run(host, "unplug 0000:41:00.0"), 0);

	assert_int_equal(writer.call_count, 1);
	assert_null(host->mdevs);
	assert_false(exists(host, DEVICES "0000:41:00.0"));
	assert_false(exists(host, DEVICES VF0));
	assert_false(exists(host, "sys/devices/pci0000:41/0000:41:00.0"));
	assert_false(exists(host, "sys/bus/pci/drivers/nvidia/" VF0));
	assert_false(exists(host, "sys/class/mdev_bus/" VF0));
	assert_false(exists(host, "sys/kernel/iommu_groups/1"));
	assert_false(exists(host, "dev/nvidia0"));
	assert_true(exists(host, DEVICES "0000:61:00.4"));
	group_close(host, number, serial); /* its holder notices later */
	assert_int_equal(control_run(host, "unplug 0000:41:00.0"), -ENODEV);
}

static void a_gpu_comes_back_as_after_a_boot(void **state)
{
	scoped(host_free) struct host *host = host_make("l40s:1");
	struct group *group = function_at(host, "0000:41:00.0")->group;

	(void)state;
	assert_int_equal(create_text(host, VF0, "48Q", UUID("0001")), 0);
	assert_int_equal(store(host, DEVICES VF0 "/driver_override", "x"), 0);
	assert_int_equal(control_run(host, "plug 0000:41:00.0"), -EEXIST);
	assert_int_equal(control_run(host, "unplug 0000:41:00.0\nplug 0000:41:00.0"), 0);

	expect_text(host, DEVICES VF0 "/driver_override", "(null)\n");
	expect_text(host, DEVICES "0000:41:00.0/sriov_numvfs", "32\n");
	assert_ptr_equal(function_at(host, "0000:41:00.0")->group, group);
	assert_int_equal(available(host, VF0, "1Q"), 1);
	assert_int_equal(create_text(host, VF0, "1Q", UUID("0001")), 0);
	assert_true(exists(host, "dev/nvidia0"));
}

static void one_virtual_function_can_disappear(void **state)
{
	scoped(host_free) struct host *host = host_make("l40s:1:vendor");

	(void)state;
	assert_int_equal(control_run(host, "type " VF0 " 1148\nunplug " VF0), 0);
	assert_int_equal(host->gpus[0].vgpu_count, 0);
	assert_false(exists(host, "dev/vfio/2"));
	expect_text(host, DEVICES "0000:41:00.0/sriov_numvfs", "31\n");
	assert_false(exists(host, DEVICES "0000:41:00.0/virtfn0"));
	assert_int_equal(control_run(host, "plug " VF0), 0);
	expect_text(host, DEVICES VF0 "/nvidia/current_vgpu_type", "0\n");
	assert_int_equal(control_run(host, "unplug 0000:41:00.0\nplug " VF0), -ENODEV);
}

static void virtual_functions_are_switched(void **state)
{
	scoped(host_free) struct host *host =
		host_make("l40s:1,t4:1,l40s:1:passthrough@0000:82:00.0");

	(void)state;
	assert_int_equal(create_text(host, VF0, "1Q", UUID("0001")), 0);
	assert_int_equal(control_run(host, "vfs 0000:41:00.0 off"), 0);
	assert_null(host->mdevs);
	assert_false(exists(host, DEVICES VF0));
	expect_text(host, DEVICES "0000:41:00.0/sriov_numvfs", "0\n");
	assert_int_equal(control_run(host, "vfs 0000:41:00.0 on"), 0);
	assert_true(exists(host, "sys/class/mdev_bus/" VF0));
	assert_int_equal(control_run(host, "vfs 0000:61:00.0 on"), -ENODEV); /* has none */
	assert_int_equal(control_run(host, "vfs 0000:82:00.0 on"), -ENODEV);
	assert_int_equal(control_run(host, "vfs 0000:41:00.0 off\nunbind 0000:41:00.0"), 0);
	assert_int_equal(control_run(host, "vfs 0000:41:00.0 on"), -ENODEV);
}

static void changes_are_told_as_udev_tells_them(void **state)
{
	scoped(host_free) struct host *host =
		host_make("l40s:1,l40s:1:vendor,t4:1:passthrough@0000:82:00.0");
	uint64_t position = host->events.next;

	(void)state;
	assert_int_equal(create_text(host, VF0, "1Q", UUID("0001")), 0);
	EVENTS("add vfio /devices/virtual/vfio/68\n"
	       "add mdev /devices/pci0000:41/" VF0 "/" UUID("0001") "\n");
	assert_int_equal(control_run(host, "remove " UUID("0001")), 0);
	EVENTS("unbind mdev /devices/pci0000:41/" VF0
	       "/" UUID("0001") "\n"
				"remove vfio /devices/virtual/vfio/68\n"
				"remove mdev /devices/pci0000:41/" VF0 "/" UUID("0001") "\n");
	assert_int_equal(control_run(host, "type 0000:61:00.4 1148\ntype 0000:61:00.4 0"), 0);
	EVENTS("change pci /devices/pci0000:61/0000:61:00.4\n"
	       "change pci /devices/pci0000:61/0000:61:00.4\n");
	assert_int_equal(control_run(host, "unbind 0000:82:00.0\nbind 0000:82:00.0 vfio-pci\n"
					   "unplug 0000:82:00.0\nplug 0000:82:00.0"),
			 0);
	EVENTS("unbind pci /devices/pci0000:82/0000:82:00.0\n"
	       "add vfio /devices/virtual/vfio/67\n"
	       "bind pci /devices/pci0000:82/0000:82:00.0\n"
	       "remove vfio /devices/virtual/vfio/67\n"
	       "unbind pci /devices/pci0000:82/0000:82:00.0\n"
	       "remove pci /devices/pci0000:82/0000:82:00.0\n"
	       "add pci /devices/pci0000:82/0000:82:00.0\n"
	       "bind pci /devices/pci0000:82/0000:82:00.0\n");
	EVENTS("");
}

static void a_reader_takes_whole_lines_and_learns_what_it_lost(void **state)
{
	scoped(host_free) struct host *host = host_make("t4:1");
	scoped_free char *text = NULL;
	uint64_t position = 0;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	(void)state;
	event_add(host, "a", "b", "%d", 1);
	event_add(host, "a", "b", "%d", 2);
	assert_int_equal(event_read(host, &position, 11, out), 6);
	assert_int_equal(position, 1);
	for (int i = 0; i < EVENT_COUNT; i++)
		event_add(host, "a", "b", "%d", i);
	assert_int_equal(event_read(host, &position, 11, out), -EPIPE);
	assert_int_equal(position, 2);
	assert_int_equal(event_read(host, &position, 6, out), 6);
	assert_int_equal(fclose(out), 0);
	assert_string_equal(text, "a b 1\na b 0\n");
}

static void events_are_sent_as_uevents(void **state)
{
	static const char expected[] =
		"remove@/devices/x\0ACTION=remove\0DEVPATH=/devices/x\0SUBSYSTEM=mdev\0SEQNUM=2";
	scoped(host_free) struct host *host = host_make("l40s:1");
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char path[] = "/tmp/test-simhost-XXXXXX", message[1024];
	scoped_fd int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	struct err err;

	(void)state;
	assert_non_null(mkdtemp(path));
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/events", path);
	assert_int_equal(uevent_sender_open(&host->uevents, address.sun_path, &err), 0);
	event_add(host, "add", "mdev", "/devices/%s", "x"); /* nobody listens */
	assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	event_add(host, "remove", "mdev", "/devices/%s", "x");

	assert_int_equal(recv(fd, message, sizeof(message), MSG_DONTWAIT), sizeof(expected));
	assert_memory_equal(message, expected, sizeof(expected));
	for (int i = 0; i < 1000; i++) /* that nobody reads */
		event_add(host, "add", "mdev", "/devices/x");
	assert_int_equal(unlink(address.sun_path), 0);
	assert_int_equal(rmdir(path), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_unplugged_gpu_leaves_nothing),
		cmocka_unit_test(a_gpu_comes_back_as_after_a_boot),
		cmocka_unit_test(one_virtual_function_can_disappear),
		cmocka_unit_test(virtual_functions_are_switched),
		cmocka_unit_test(changes_are_told_as_udev_tells_them),
		cmocka_unit_test(a_reader_takes_whole_lines_and_learns_what_it_lost),
		cmocka_unit_test(events_are_sent_as_uevents),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Events: which of them matter, and that they are heard, from the kernel too. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>
#include <fcntl.h>

#include "fixture.h"
#include "gpu-agent/serve/clock.h"
#include "gpu-agent/serve/uevents.h"

/* "change" on a memory device says nothing to anybody. */
#define MEM_UEVENT "/sys/devices/virtual/mem/null/uevent"

/* As kernels send them; the last NUL is the literal's own. */
static const char mem_event[] = "change@/devices/virtual/mem/null\0ACTION=change\0"
				"DEVPATH=/devices/virtual/mem/null\0SUBSYSTEM=mem\0"
				"SYNTH_UUID=0\0MAJOR=1\0MINOR=3\0DEVNAME=null\0DEVMODE=0666\0"
				"SEQNUM=837";
static const char mdev_event[] =
	"add@/devices/pci0000:41/0000:41:00.4/aa618089-8b16-4d01-a136-25a0f3c73123\0ACTION=add\0"
	"DEVPATH=/devices/pci0000:41/0000:41:00.4/aa618089-8b16-4d01-a136-25a0f3c73123\0"
	"SUBSYSTEM=mdev\0MODALIAS=mdev:\0SEQNUM=4711";

static bool matters(const char *message, size_t size)
{
	return uevents_matters(message, size, uevents_subsystems);
}

static void only_our_subsystems_matter(void **state)
{
	static const char longer[] = "add@/x\0SUBSYSTEM=pciex", bare[] = "SUBSYSTEM=vfio-dev",
			  in_path[] = "add@/SUBSYSTEM=pci\0SUBSYSTEM=net",
			  in_key[] = "add@/x\0XSUBSYSTEM=pci";

	(void)state;
	assert_true(matters(mdev_event, sizeof(mdev_event)));
	assert_true(matters(bare, sizeof(bare)));
	assert_false(matters(mem_event, sizeof(mem_event)));
	assert_false(matters(longer, sizeof(longer)));
	assert_false(matters(in_path, sizeof(in_path)));
	assert_false(matters(in_key, sizeof(in_key)));
}

static void what_is_cut_off_inside_a_text_does_not_matter(void **state)
{
	static const char key[] = "SUBSYSTEM=mdev";
	const char *at = memmem(mdev_event, sizeof(mdev_event), key, sizeof(key));
	size_t told = (size_t)(at - mdev_event) + sizeof(key);

	(void)state;
	assert_false(matters(mdev_event, 0));
	for (size_t size = 1; size <= sizeof(mdev_event); size++)
		assert_int_equal(matters(mdev_event, size),
				 size >= told && mdev_event[size - 1] == '\0');
}

/* ---- The socket ---------------------------------------------------------------------- */

struct folder {
	char path[64], socket[96];
};

static void folder_make(struct folder *folder)
{
	strcpy(folder->path, "/tmp/test-gpu-serve-XXXXXX");
	assert_non_null(mkdtemp(folder->path));
	snprintf(folder->socket, sizeof(folder->socket), "%s/events", folder->path);
}

static struct uevents *listen_at(const char *socket)
{
	const struct uevents_options options = { .socket = socket,
						 .subsystems = uevents_subsystems };
	struct uevents *uevents;
	struct err err;

	assert_int_equal(uevents_open(&options, &uevents, &err), 0);
	return uevents;
}

static void send_to(const char *path, const char *message, size_t size)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	scoped_fd int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	assert_int_equal(
		sendto(fd, message, size, 0, (const struct sockaddr *)&address, sizeof(address)),
		size);
}

static void the_socket_takes_what_matters(void **state)
{
	scoped_fd int stop = eventfd(0, EFD_CLOEXEC);
	struct uevents *uevents;
	struct folder folder;

	(void)state;
	folder_make(&folder);
	uevents_close(listen_at(folder.socket));
	assert_int_equal(access(folder.socket, F_OK), -1);
	uevents = listen_at(folder.socket);
	send_to(folder.socket, mem_event, sizeof(mem_event));
	send_to(folder.socket, "", 0);
	send_to(folder.socket, mdev_event, sizeof(mdev_event));
	assert_true(uevents_wait(uevents, stop));

	send_to(folder.socket, mem_event, sizeof(mem_event));
	assert_int_equal(eventfd_write(stop, 1), 0);
	assert_false(uevents_wait(uevents, stop));
	uevents_close(uevents);
	assert_int_equal(rmdir(folder.path), 0);
}

static void a_dead_ones_socket_is_replaced(void **state)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	scoped_fd int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	struct folder folder;

	(void)state;
	folder_make(&folder);
	strcpy(address.sun_path, folder.socket);
	assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	uevents_close(listen_at(folder.socket));
	assert_int_equal(rmdir(folder.path), 0);
}

static void a_socket_that_cannot_be_is_refused(void **state)
{
	struct uevents_options options = { .socket = "/nowhere/events",
					   .subsystems = uevents_subsystems };
	struct uevents *uevents = NULL;
	char path[200] = "/tmp/";
	struct err err;

	(void)state;
	assert_int_equal(uevents_open(&options, &uevents, &err), -1);
	assert_non_null(strstr(err.message, "/nowhere/events"));
	memset(path + 5, 'x', 103); /* 108 bytes with the NUL would do */
	options.socket = path;
	assert_int_equal(uevents_open(&options, &uevents, &err), -1);
	assert_string_equal(err.field, "uevent-socket");
}

/* Many events, few scans. */
static void a_burst_shares_a_scan(void **state)
{
	struct uevents_watch watch;
	struct fixture fixture;
	struct folder folder;
	unsigned before, scans;
	pthread_t thread;

	(void)state;
	folder_make(&folder);
	fixture_init(&fixture);
	fixture_start_threads(&fixture);
	before = fake_monitor_runs(&fixture.monitor, OP_SCAN);
	watch = (struct uevents_watch){ listen_at(folder.socket), fixture.agent };
	assert_int_equal(pthread_create(&thread, NULL, uevents_thread, &watch), 0);
	for (int i = 0; i < 200; i++)
		send_to(folder.socket, mdev_event, sizeof(mdev_event));
	do {
		usleep(10000);
		scans = fake_monitor_runs(&fixture.monitor, OP_SCAN) - before;
	} while (scans == 0);
	usleep(300000);
	scans = fake_monitor_runs(&fixture.monitor, OP_SCAN) - before;
	assert_in_range(scans, 1, 5);
	agent_stop(fixture.agent);
	pthread_join(thread, NULL);
	uevents_close(watch.uevents);
	fixture_done(&fixture);
	assert_int_equal(rmdir(folder.path), 0);
}

/* ---- The kernel ---------------------------------------------------------------------- */

static void the_kernel_is_heard(void **state)
{
	static const char *const mem[] = { "mem", NULL };
	const struct uevents_options options = { .kernel = true, .subsystems = mem };
	scoped_fd int stop = eventfd(0, EFD_CLOEXEC), file = open(MEM_UEVENT, O_WRONLY | O_CLOEXEC);
	scoped(uevents_close) struct uevents *uevents = NULL;
	struct err err;

	(void)state;
	assert_int_equal(uevents_open(&options, &uevents, &err), 0);
	if (file < 0 || write(file, "change", 6) != 6) {
		print_message("no uevent can be provoked here: %s\n", strerror(errno));
		skip();
	}
	assert_true(uevents_wait(uevents, stop));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_our_subsystems_matter),
		cmocka_unit_test(what_is_cut_off_inside_a_text_does_not_matter),
		cmocka_unit_test(the_socket_takes_what_matters),
		cmocka_unit_test(a_dead_ones_socket_is_replaced),
		cmocka_unit_test(a_socket_that_cannot_be_is_refused),
		cmocka_unit_test(a_burst_shares_a_scan),
		cmocka_unit_test(the_kernel_is_heard),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fixture.h"

static struct tree open_sys(struct fixture *fixture)
{
	struct tree tree = TREE_CLOSED;
	char path[80];

	snprintf(path, sizeof(path), "%s/sys", fixture->root);
	assert_int_equal(tree_open(path, &tree), 0);
	return tree;
}

static void links_inside_the_tree_are_followed(void **state)
{
	struct fixture *fixture = *state;
	struct tree tree = open_sys(fixture);
	char text[64];

	fixture_write(fixture, "0x10de\n\n", "sys/devices/pci/0000:41:00.0/vendor");
	fixture_link(fixture, "../../../devices/pci/0000:41:00.0",
		     "sys/bus/pci/devices/0000:41:00.0");
	assert_int_equal(
		tree_read(&tree, text, sizeof(text), "bus/pci/devices/%s/vendor", "0000:41:00.0"),
		6);
	assert_string_equal(text, "0x10de");
	tree_close(&tree);
}

static void nothing_leads_out_of_the_tree(void **state)
{
	struct fixture *fixture = *state;
	struct tree tree = open_sys(fixture);
	char text[64], link[32];

	fixture_write(fixture, "secret", "secret");
	fixture_link(fixture, "../secret", "sys/up");
	fixture_link(fixture, "/etc/passwd", "sys/absolute");
	snprintf(link, sizeof(link), "/proc/%d/root", getpid());
	fixture_link(fixture, link, "sys/magic");
	assert_int_equal(tree_read(&tree, text, sizeof(text), "up"), -EXDEV);
	assert_int_equal(tree_read(&tree, text, sizeof(text), "absolute"), -EXDEV);
	assert_int_equal(tree_read(&tree, text, sizeof(text), "magic/etc/passwd"), -EXDEV);
	assert_int_equal(tree_read(&tree, text, sizeof(text), "../secret"), -EXDEV);
	assert_int_equal(tree_read(&tree, text, sizeof(text), "/etc/passwd"), -EXDEV);
	assert_int_equal(tree_write(&tree, "x", "up"), -EXDEV);
	assert_string_equal(fixture_read(fixture, "secret"), "secret");
	tree_close(&tree);
}

static void missing_and_unreadable_are_told_apart(void **state)
{
	struct fixture *fixture = *state;
	struct tree tree = open_sys(fixture);
	char text[64];

	fixture_mkdir(fixture, "sys/unreadable");
	fixture_link(fixture, "nowhere", "sys/dangling");
	assert_int_equal(tree_exists(&tree, "missing/file"), 0);
	assert_int_equal(tree_exists(&tree, "unreadable"), 1);
	assert_int_equal(tree_exists(&tree, "dangling"), 1);
	assert_int_equal(tree_read(&tree, text, sizeof(text), "missing"), -ENOENT);
	assert_int_equal(tree_read(&tree, text, sizeof(text), "unreadable"), -EISDIR);
	tree_close(&tree);
}

static void a_number_is_the_whole_file(void **state)
{
	static const struct {
		const char *text;
		int result;
		int64_t value;
	} cases[] = {
		{ "32\n", 0, 32 },	 { "0x10de\n", 0, 0x10de },
		{ "-1\n", 0, -1 },	 { "0\n", 0, 0 },
		{ "", -EINVAL, 0 },	 { "x\n", -EINVAL, 0 },
		{ "3 2\n", -EINVAL, 0 }, { "99999999999999999999\n", -EINVAL, 0 },
	};
	struct fixture *fixture = *state;
	struct tree tree = open_sys(fixture);

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int64_t value = 0;

		fixture_write(fixture, cases[i].text, "sys/number");
		assert_int_equal(tree_read_number(&tree, &value, "number"), cases[i].result);
		assert_int_equal(value, cases[i].value);
	}
	tree_close(&tree);
}

static void the_end_of_a_link_is_a_name(void **state)
{
	struct fixture *fixture = *state;
	struct tree tree = open_sys(fixture);
	char name[8];

	fixture_link(fixture, "../../kernel/iommu_groups/36", "sys/group");
	fixture_link(fixture, "plain", "sys/plain");
	fixture_link(fixture, "a/long-name", "sys/long");
	fixture_write(fixture, "", "sys/file");
	assert_int_equal(tree_read_link_name(&tree, name, sizeof(name), "group"), 2);
	assert_string_equal(name, "36");
	assert_int_equal(tree_read_link_name(&tree, name, sizeof(name), "plain"), 5);
	assert_int_equal(tree_read_link_name(&tree, name, sizeof(name), "long"), -ENAMETOOLONG);
	assert_int_equal(tree_read_link_name(&tree, name, sizeof(name), "file"), -EINVAL);
	assert_int_equal(tree_read_link_name(&tree, name, sizeof(name), "none"), -ENOENT);
	tree_close(&tree);
}

/* openat2() gives up on ".." in a link when anything is renamed anywhere meanwhile. */
static void renames_elsewhere_do_not_fail_a_read(void **state)
{
	struct fixture *fixture = *state;
	struct tree tree = open_sys(fixture);
	char text[64], a[80], b[80];
	int failures = 0;
	pid_t pid;

	snprintf(a, sizeof(a), "%s/a", fixture->root);
	snprintf(b, sizeof(b), "%s/b", fixture->root);
	fixture_write(fixture, "", "a");
	fixture_write(fixture, "x", "sys/devices/pci/0000:41:00.0/vendor");
	fixture_link(fixture, "../../../devices/pci/0000:41:00.0",
		     "sys/bus/pci/devices/0000:41:00.0");
	pid = fork();
	if (pid == 0)
		for (;;)
			(void)!(rename(a, b) == 0 && rename(b, a) == 0);
	for (int i = 0; i < 20000; i++)
		failures += tree_read(&tree, text, sizeof(text),
				      "bus/pci/devices/0000:41:00.0/vendor") != 1;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	assert_int_equal(failures, 0);
	tree_close(&tree);
}

static void roots_are_never_mixed(void **state)
{
	struct fixture *fixture = *state;
	struct host host = HOST_CLOSED;
	char sys[80], dev[80], link[80];
	struct err err;

	snprintf(sys, sizeof(sys), "%s/sys", fixture->root);
	snprintf(dev, sizeof(dev), "%s/dev", fixture->root);
	snprintf(link, sizeof(link), "%s/devlink", fixture->root);
	fixture_link(fixture, "/dev", "devlink");
	assert_int_equal(host_open(sys, "/dev", &host, &err), -1);
	assert_string_equal(err.field, "dev-root");
	assert_int_equal(host_open(sys, "/dev/../dev/.", &host, &err), -1);
	assert_int_equal(host_open(sys, link, &host, &err), -1);
	assert_int_equal(host_open("/sys/", dev, &host, &err), -1);
	assert_int_equal(host_open(sys, dev, &host, &err), 0);
	assert_true(host.simulated);
	host_close(&host);
	assert_int_equal(host_open("/sys", "/dev/", &host, &err), 0);
	assert_false(host.simulated);
	host_close(&host);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(links_inside_the_tree_are_followed),
		TEST(nothing_leads_out_of_the_tree),
		TEST(missing_and_unreadable_are_told_apart),
		TEST(a_number_is_the_whole_file),
		TEST(the_end_of_a_link_is_a_name),
		TEST(renames_elsewhere_do_not_fail_a_read),
		TEST(roots_are_never_mixed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

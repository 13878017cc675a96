/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

#include <errno.h>
#include <stdlib.h>

#include "control.h"
#include "tree.h"

#define VF0	 "0000:41:00.4"
#define VF0_PATH "sys/devices/pci0000:41/" VF0
#define TYPE	 VF0_PATH "/mdev_supported_types/nvidia-1147"
#define U1	 UUID("0001")

static const struct node root = { .kind = KIND_ROOT };

/* Follows a path from the root, not through links. */
static int walk(struct host *host, const char *path, struct node *ret)
{
	scoped_free char *copy = strdup(path);
	char *rest = copy, *name;
	struct node node = root;

	while ((name = strsep(&rest, "/")) != NULL) {
		int r = tree_lookup(host, node, name, &node);

		if (r < 0)
			return r;
	}
	*ret = node;
	return 0;
}

/* The link at the end of the path is not followed. */
static void expect_link(struct host *host, const char *path, const char *target)
{
	scoped_free char *shown = NULL;
	struct node node;
	int r;

	assert_int_equal(walk(host, path, &node), 0);
	shown = show(host, node, &r);
	assert_int_equal(r, 0);
	assert_string_equal(shown, target);
}

static void a_function_shows_what_sysfs_shows(void **state)
{
	scoped(host_free) struct host *host = host_make("l40s:1,l40s:1:passthrough@0000:82:00.0");

	(void)state;
	expect_text(host, VF0_PATH "/vendor", "0x10de\n");
	expect_text(host, VF0_PATH "/device", "0x26b9\n");
	expect_text(host, VF0_PATH "/class", "0x030200\n");
	expect_text(host, VF0_PATH "/revision", "0xa1\n");
	expect_text(host, VF0_PATH "/numa_node", "0\n");
	expect_text(host, VF0_PATH "/driver_override", "(null)\n");
	expect_text(host, VF0_PATH "/reset_method", "flr\n");
	expect_link(host, VF0_PATH "/physfn", "../0000:41:00.0");
	expect_link(host, VF0_PATH "/driver", "../../../bus/pci/drivers/nvidia");
	expect_text(host, VF0_PATH "/modalias",
		    "pci:v000010DEd000026B9sv000010DEsd00001851bc03sc02i00\n");
	expect_text(host, VF0_PATH "/uevent",
		    "DRIVER=nvidia\nPCI_CLASS=30200\nPCI_ID=10DE:26B9\nPCI_SUBSYS_ID=10DE:1851\n"
		    "PCI_SLOT_NAME=" VF0 "\nMODALIAS=pci:"
		    "v000010DEd000026B9sv000010DEsd00001851bc03sc02i00\n");
	expect_text(host, "sys/devices/pci0000:41/0000:41:00.0/sriov_totalvfs", "32\n");
	expect_text(host, "sys/devices/pci0000:41/0000:41:00.0/sriov_numvfs", "32\n");
	expect_link(host, "sys/devices/pci0000:41/0000:41:00.0/virtfn31", "../0000:41:04.3");
	expect_text(host, "sys/devices/pci0000:82/0000:82:00.0/sriov_numvfs", "0\n");
	expect_text(host, "sys/devices/pci0000:82/0000:82:00.0/reset_method", "flr bus\n");
	expect_text(host, "sys/devices/pci0000:82/0000:82:00.0/numa_node", "1\n");
	expect_text(host, "sys/devices/pci0000:82/0000:82:00.1/class", "0x040300\n");
	expect_text(host, "sys/devices/pci0000:82/0000:82:00.1/device", "0x22ba\n");
	assert_false(exists(host, VF0_PATH "/sriov_numvfs"));
	assert_false(exists(host, VF0_PATH "/boot_vga"));
	assert_false(exists(host, "sys/devices/pci0000:41/0000:41:00.0/mdev_supported_types"));
	assert_false(exists(host, "sys/devices/pci0000:41/0000:41:00.0/physfn"));
	assert_false(exists(host, "sys/devices/pci0000:82/0000:82:00.0/mdev_supported_types"));
}

static void a_type_shows_what_the_driver_shows(void **state)
{
	scoped(host_free) struct host *host = host_make("l40s:1,gvt-g:1@0000:00:02.0");

	(void)state;
	expect_text(host, TYPE "/name", "NVIDIA L40S-1Q\n");
	expect_text(host, TYPE "/description",
		    "num_heads=4, frl_config=60, framebuffer=1024M, max_resolution=5120x2880, "
		    "max_instance=32\n");
	expect_text(host, TYPE "/available_instances", "1\n");
	expect_text(host, TYPE "/device_api", "vfio-pci\n");
	expect_text(host,
		    "sys/devices/pci0000:00/0000:00:02.0/mdev_supported_types/i915-GVTg_V5_8/"
		    "description",
		    "low_gm_size: 64MB\nhigh_gm_size: 384MB\nfence: 4\nresolution: 1024x768\n"
		    "weight: 2\n");
	assert_false(exists(host, "sys/devices/pci0000:00/0000:00:02.0/mdev_supported_types/"
				  "i915-GVTg_V5_8/name"));
	expect_text(host, "sys/devices/pci0000:00/0000:00:02.0/boot_vga", "1\n");
}

static void a_vgpu_appears_everywhere_at_once(void **state)
{
	scoped(host_free) struct host *host = host_make("l40s:1");

	(void)state;
	assert_int_equal(store(host, TYPE "/create", U1 "\n"), 0);

	expect_text(host, TYPE "/available_instances", "0\n");
	expect_link(host, TYPE "/devices/" U1, "../../../" U1);
	expect_link(host, "sys/bus/mdev/devices/" U1, "../../../devices/pci0000:41/" VF0 "/" U1);
	expect_link(host, "sys/bus/mdev/drivers/nvidia-vgpu-vfio/" U1,
		    "../../../../devices/pci0000:41/" VF0 "/" U1);
	expect_link(host, VF0_PATH "/" U1 "/mdev_type", "../mdev_supported_types/nvidia-1147");
	expect_link(host, VF0_PATH "/" U1 "/iommu_group", "../../../../kernel/iommu_groups/34");
	expect_text(host, VF0_PATH "/" U1 "/uevent", "DRIVER=nvidia-vgpu-vfio\nSUBSYSTEM=mdev\n");
	expect_text(host, VF0_PATH "/" U1 "/nvidia/vm_name", "\n");
	expect_text(host, VF0_PATH "/" U1 "/nvidia/vgpu_params", "\n");
	expect_link(host, "sys/kernel/iommu_groups/34/devices/" U1,
		    "../../../../devices/pci0000:41/" VF0 "/" U1);
	expect_text(host, "sys/kernel/iommu_groups/34/type", "unknown\n");
	expect_text(host, "sys/kernel/iommu_groups/2/type", "identity\n");
	assert_true(exists(host, VF0_PATH "/" U1 "/vfio-dev/vfio0"));
	assert_true(exists(host, "dev/vfio/34"));
}

static void a_vgpu_that_is_removed_while_held_stays_by_half(void **state)
{
	scoped(host_free) struct host *host = host_make("l40s:1");
	struct writer writer = writer_make();
	struct node node;

	(void)state;
	assert_int_equal(store(host, TYPE "/create", U1), 0);
	node = at(host, VF0_PATH "/" U1 "/remove");
	assert_int_equal(control_run(host, "hold 34"), 0);
	expect_text(host, VF0_PATH "/" U1 "/nvidia/vm_name", "control\n");
	assert_int_equal(store(host, VF0_PATH "/" U1 "/nvidia/vgpu_params", "a=1"), -EPERM);

	assert_int_equal(store_as(host, VF0_PATH "/" U1 "/remove", "1\n", &writer.waiter),
			 HOST_PENDING);

	assert_false(exists(host, "sys/bus/mdev/devices/" U1));
	assert_false(exists(host, "sys/bus/mdev/drivers/nvidia-vgpu-vfio/" U1));
	assert_false(exists(host, TYPE "/devices/" U1));
	assert_false(exists(host, VF0_PATH "/" U1 "/remove"));
	assert_false(exists(host, VF0_PATH "/" U1 "/driver"));
	assert_false(exists(host, VF0_PATH "/" U1 "/mdev_type"));
	assert_false(exists(host, VF0_PATH "/" U1 "/nvidia"));
	assert_true(exists(host, VF0_PATH "/" U1 "/iommu_group"));
	assert_true(exists(host, VF0_PATH "/" U1 "/vfio-dev"));
	assert_true(exists(host, "dev/vfio/34"));
	/* A file that was open before has lost its device. */
	assert_int_equal(tree_may_open(host, node, false, true), -ENODEV);

	assert_int_equal(control_run(host, "release 34"), 0);
	assert_false(exists(host, VF0_PATH "/" U1));
	assert_false(exists(host, "dev/vfio/34"));
	assert_false(exists(host, "sys/kernel/iommu_groups/34"));
	assert_int_equal(writer.call_count, 1);
}

static void remove_takes_any_number_as_the_kernel_reads_it(void **state)
{
	static const char *const yes[] = {
		"1", "1\n", "11", "0x1", "01", "+1", "0xffffffffffffffff"
	};
	static const char *const no[] = { "x",	"-1", "1 ", " 1",    "1x",
					  "09", "0x", "\n", "1\n\n", "0x1ffffffffffffffff" };
	scoped(host_free) struct host *host = host_make("l40s:1");

	(void)state;
	assert_int_equal(store(host, TYPE "/create", U1), 0);
	for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++)
		assert_int_equal(store(host, VF0_PATH "/" U1 "/remove", no[i]), -EINVAL);
	assert_int_equal(store(host, VF0_PATH "/" U1 "/remove", "0\n"), 0);
	assert_int_equal(store(host, VF0_PATH "/" U1 "/remove", "0x0"), 0);
	assert_int_equal(store(host, VF0_PATH "/" U1 "/remove", ""), 0);
	assert_true(exists(host, "sys/bus/mdev/devices/" U1));
	for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
		assert_int_equal(store(host, VF0_PATH "/" U1 "/remove", yes[i]), 0);
		assert_false(exists(host, VF0_PATH "/" U1));
		assert_int_equal(store(host, TYPE "/create", U1), 0);
	}
}

static void vgpu_params_are_kept_up_to_their_size(void **state)
{
	scoped(host_free) struct host *host = host_make("l40s:1");
	char text[HOST_PARAMS_SIZE + 1];

	(void)state;
	assert_int_equal(store(host, TYPE "/create", U1), 0);
	assert_int_equal(store(host, VF0_PATH "/" U1 "/nvidia/vgpu_params", "a=1,b=2\n"), 0);
	expect_text(host, VF0_PATH "/" U1 "/nvidia/vgpu_params", "a=1,b=2\n");

	memset(text, 'x', sizeof(text));
	text[HOST_PARAMS_SIZE] = '\0';
	assert_int_equal(store(host, VF0_PATH "/" U1 "/nvidia/vgpu_params", text), -E2BIG);
	text[HOST_PARAMS_SIZE - 1] = '\0';
	assert_int_equal(store(host, VF0_PATH "/" U1 "/nvidia/vgpu_params", text), 0);
}

static void drivers_are_moved_by_writing(void **state)
{
	scoped(host_free) struct host *host = host_make("l40s:1:passthrough@0000:82:00.0");
	static const char gpu[] = "0000:82:00.0";
#define GPU_PATH "sys/devices/pci0000:82/0000:82:00.0"

	(void)state;
	assert_int_equal(store(host, GPU_PATH "/driver_override", "vfio-pci"), 0);
	expect_text(host, GPU_PATH "/driver_override", "vfio-pci\n");
	assert_int_equal(store(host, "sys/bus/pci/drivers/nvidia/unbind", gpu), 0);
	assert_false(exists(host, GPU_PATH "/driver"));
	assert_int_equal(store(host, "sys/bus/pci/drivers_probe", gpu), 0);
	expect_link(host, GPU_PATH "/driver", "../../../bus/pci/drivers/vfio-pci");
	expect_link(host, "sys/bus/pci/drivers/vfio-pci/0000:82:00.0",
		    "../../../../devices/pci0000:82/0000:82:00.0");
	assert_true(exists(host, GPU_PATH "/vfio-dev/vfio0"));
	assert_true(exists(host, "dev/vfio/1"));

	assert_int_equal(store(host, "sys/bus/pci/drivers_probe", "0000:99:00.0"), -ENODEV);
	assert_int_equal(store(host, "sys/bus/pci/drivers_probe", "nonsense"), -ENODEV);
	assert_int_equal(store(host, "sys/bus/pci/drivers/nvidia/bind", gpu), -ENODEV);
	assert_int_equal(store(host, GPU_PATH "/sriov_numvfs", "4"), -ENOENT);
	assert_int_equal(store(host, GPU_PATH "/reset", "1"), 0);
	assert_int_equal(store(host, GPU_PATH "/reset", "0"), -EINVAL);
	assert_int_equal(function_at(host, gpu)->reset_count, 1);
}

static void access_is_as_in_sysfs_even_for_root(void **state)
{
	scoped(host_free) struct host *host = host_make("l40s:1");

	(void)state;
	assert_int_equal(tree_may_open(host, at(host, TYPE "/create"), true, false), -EACCES);
	assert_int_equal(tree_may_open(host, at(host, TYPE "/create"), false, true), 0);
	assert_int_equal(tree_may_open(host, at(host, TYPE "/name"), false, true), -EACCES);
	assert_int_equal(tree_may_open(host, at(host, TYPE "/name"), true, false), 0);
}

static void a_host_without_vgpus_has_no_mdev_bus(void **state)
{
	scoped(host_free) struct host *host = host_make("l40s:1:passthrough");

	(void)state;
	assert_false(exists(host, "sys/bus/mdev"));
	assert_false(exists(host, "sys/class/mdev_bus"));
}

static void names_are_exact(void **state)
{
	scoped(host_free) struct host *host = host_make("l40s:1");

	(void)state;
	assert_true(exists(host, "sys/kernel/iommu_groups/1"));
	assert_false(exists(host, "sys/kernel/iommu_groups/01"));
	assert_false(exists(host, "sys/kernel/iommu_groups/+1"));
	assert_false(exists(host, "sys/kernel/iommu_groups/4294967297"));
	assert_false(exists(host, "sys/bus/pci/devices/41:00.0"));
	assert_false(exists(host, "sys/bus/pci/devices/0000:41:00.00"));
	assert_false(exists(host, VF0_PATH "/mdev_supported_types/nvidia-11470"));
	assert_false(exists(host, VF0_PATH "/mdev_supported_types/vfio-pci-1147"));
	assert_false(exists(host, VF0_PATH "/vendor/x"));
}

/* ---- the whole tree ------------------------------------------------------------ */

struct crawl {
	struct host *host;
	char path[512]; /* of the directory that is listed */
	unsigned int link_count, file_count;
};

/* Follows a link's target from the directory it is in; false if it leaves the tree. */
static bool link_leads_somewhere(struct host *host, const char *directory, const char *target)
{
	char path[1024];
	struct node node;

	snprintf(path, sizeof(path), "%s", directory);
	while (strncmp(target, "../", 3) == 0) {
		char *slash = strrchr(path, '/');

		if (!slash)
			return false;
		*slash = '\0';
		target += 3;
	}
	snprintf(path + strlen(path), sizeof(path) - strlen(path), "/%s", target);
	return target[0] != '/' && walk(host, path + 1, &node) == 0 &&
	       strncmp(path, "/sys/", 5) == 0;
}

/* Whole lines; only the vendor's folder and the event file have others. */
static bool is_text_or_refusal(const char *directory, const char *name, int r, const char *text)
{
	if (r < 0 || text[0] == '\0')
		return strstr(directory, "/nvidia") || strcmp(name, "events") == 0;
	return text[strlen(text) - 1] == '\n';
}

static void crawl_node(void *arg, const char *name, struct node node)
{
	struct crawl *crawl = arg;
	size_t length = strlen(crawl->path);
	scoped_free char *shown = NULL;
	struct tree_stat st;
	struct node found;
	int r;

	snprintf(crawl->path + length, sizeof(crawl->path) - length, "/%s", name);
	/* What a listing names can be looked up, and means the same object. */
	assert_int_equal(walk(crawl->host, crawl->path + 1, &found), 0);
	assert_int_equal(found.kind, node.kind);
	assert_int_equal(found.object, node.object);
	found = node_unpack(node_pack(node));
	assert_int_equal(found.kind, node.kind);
	assert_int_equal(found.entry, node.entry);
	assert_int_equal(found.object, node.object);
	assert_int_equal(found.extra, node.extra);
	assert_int_equal(tree_stat(crawl->host, node, &st), 0);
	if (S_ISDIR(st.mode)) {
		assert_int_equal(tree_list(crawl->host, node, crawl_node, crawl), 0);
	} else if (S_ISLNK(st.mode)) {
		shown = show(crawl->host, node, &r);
		crawl->path[length] = '\0';
		if (r < 0 || !link_leads_somewhere(crawl->host, crawl->path, shown))
			fail_msg("%s/%s -> %s", crawl->path, name, shown);
		crawl->link_count++;
	} else if (st.mode & 0444 && node.kind != KIND_DEV_NODE && node.kind != KIND_DEV_VFIO &&
		   node.kind != KIND_DEV_GPU) {
		shown = show(crawl->host, node, &r);
		if (!is_text_or_refusal(crawl->path, name, r, shown))
			fail_msg("%s/%s: %d '%s'", crawl->path, name, r, shown);
		crawl->file_count++;
	}
	crawl->path[length] = '\0';
}

static void every_listed_name_is_found_and_every_link_leads_inside(void **state)
{
	scoped(host_free) struct host *host = host_make(
		"l40s:1,t4:1,gvt-g:1@0000:00:02.0,l40s:1:passthrough@0000:82:00.0,l40s:1:vendor");
	struct crawl crawl = { .host = host };
	struct writer writer = writer_make();

	(void)state;
	assert_int_equal(create(host, "0000:41:00.5", "1Q"), 0);
	assert_int_equal(create(host, "0000:61:00.0", "2Q"), 0);
	assert_int_equal(create_text(host, VF0, "1Q", U1), 0);
	assert_int_equal(group_open(host, host->mdevs->group, &other_process), 0);
	assert_int_equal(mdev_remove(host, host->mdevs, &writer_process, &writer.waiter),
			 HOST_PENDING);

	assert_int_equal(tree_list(host, root, crawl_node, &crawl), 0);

	assert_true(crawl.link_count > 200);
	assert_true(crawl.file_count > 3000);
}

static void every_look_at_a_write_only_file_gives_another_node(void **state)
{
	scoped(host_free) struct host *host = host_make("l40s:1");

	(void)state;
	assert_int_not_equal(node_pack(at(host, TYPE "/create")),
			     node_pack(at(host, TYPE "/create")));
	assert_int_equal(node_pack(at(host, TYPE "/name")), node_pack(at(host, TYPE "/name")));
	assert_int_equal(node_pack(root), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_function_shows_what_sysfs_shows),
		cmocka_unit_test(a_type_shows_what_the_driver_shows),
		cmocka_unit_test(a_vgpu_appears_everywhere_at_once),
		cmocka_unit_test(a_vgpu_that_is_removed_while_held_stays_by_half),
		cmocka_unit_test(remove_takes_any_number_as_the_kernel_reads_it),
		cmocka_unit_test(vgpu_params_are_kept_up_to_their_size),
		cmocka_unit_test(drivers_are_moved_by_writing),
		cmocka_unit_test(access_is_as_in_sysfs_even_for_root),
		cmocka_unit_test(a_host_without_vgpus_has_no_mdev_bus),
		cmocka_unit_test(names_are_exact),
		cmocka_unit_test(every_listed_name_is_found_and_every_link_leads_inside),
		cmocka_unit_test(every_look_at_a_write_only_file_gives_another_node),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

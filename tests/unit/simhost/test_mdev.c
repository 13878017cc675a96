/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

#include <errno.h>

#define VF0 "0000:41:00.4"
#define VF1 "0000:41:00.5"

static void a_virtual_function_has_room_for_one(void **state)
{
	scoped(host_free) struct host *host = host_make("l40s:1");

	(void)state;
	assert_int_equal(available(host, VF0, "1Q"), 1);
	assert_int_equal(available(host, VF0, "48A"), 1);

	assert_int_equal(create(host, VF0, "1Q"), 0);

	assert_int_equal(available(host, VF0, "1Q"), 0);
	assert_int_equal(available(host, VF1, "1Q"), 1);
	assert_int_equal(create(host, VF0, "1Q"), -EIO);
}

static void vgpus_of_one_gpu_share_their_size(void **state)
{
	scoped(host_free) struct host *host = host_make("l40s:2");

	(void)state;
	assert_int_equal(create(host, VF0, "4Q"), 0);

	assert_int_equal(available(host, VF1, "2Q"), 0);
	assert_int_equal(available(host, VF1, "6A"), 0);
	assert_int_equal(available(host, VF1, "4Q"), 1);
	assert_int_equal(available(host, VF1, "4A"), 1);
	assert_int_equal(create(host, VF1, "2Q"), -EIO);
	assert_int_equal(create(host, VF1, "4A"), 0);
	/* The other GPU is another matter. */
	assert_int_equal(available(host, "0000:61:00.4", "2Q"), 1);
}

static void the_size_is_free_again_when_the_last_has_gone(void **state)
{
	scoped(host_free) struct host *host = host_make("l40s:1");
	struct writer writer = writer_make();

	(void)state;
	assert_int_equal(create_text(host, VF0, "4Q", UUID("0001")), 0);
	assert_int_equal(available(host, VF1, "2Q"), 0);

	assert_int_equal(mdev_remove(host, host_find_uuid(host, UUID("0001")), &writer_process,
				     &writer.waiter),
			 0);

	assert_int_equal(available(host, VF1, "2Q"), 1);
	assert_int_equal(available(host, VF0, "4Q"), 1);
	assert_int_equal(writer.call_count, 0);
}

static void a_gpu_takes_as_many_as_its_table_says(void **state)
{
	static const struct {
		const char *type;
		unsigned int count;
	} rows[] = {
		{ "1B", 32 }, { "1Q", 32 }, { "2Q", 24 }, { "3Q", 16 }, { "3B", 16 },
		{ "4Q", 12 }, { "6Q", 8 },  { "8Q", 6 },  { "12Q", 4 }, { "16Q", 3 },
		{ "24Q", 2 }, { "48Q", 1 }, { "2A", 24 }, { "12A", 4 }, { "48A", 1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		scoped(host_free) struct host *host = host_make("l40s:1");

		assert_int_equal(fill(host, "41", 32, rows[i].type), rows[i].count);
		assert_int_equal(available(host, "0000:41:04.3", rows[i].type), 0);
		assert_int_equal(host->gpus[0].vgpu_count, rows[i].count);
	}
}

static void series_of_one_size_share_the_memory(void **state)
{
	scoped(host_free) struct host *host = host_make("l40s:1");
	unsigned int created = 0;

	(void)state;
	for (unsigned int i = 0; i < 32; i++)
		if (create_on_vf(host, "41", i, i % 2 ? "2Q" : "2A") == 0)
			created++;
	assert_int_equal(created, 24);
	assert_int_equal(host->gpus[0].used_mb, 49152);
}

static void a_parent_without_functions_counts_down(void **state)
{
	scoped(host_free) struct host *host = host_make("t4:1");
	const char *pf = "0000:41:00.0";

	(void)state;
	assert_int_equal(available(host, pf, "2Q"), 8);
	assert_int_equal(create(host, pf, "2Q"), 0);
	assert_int_equal(available(host, pf, "2Q"), 7);
	assert_int_equal(available(host, pf, "2B4"), 7);
	assert_int_equal(available(host, pf, "1Q"), 0);
	for (unsigned int i = 0; i < 7; i++)
		assert_int_equal(create(host, pf, "2Q"), 0);
	assert_int_equal(available(host, pf, "2Q"), 0);
	assert_int_equal(create(host, pf, "2Q"), -EIO);
}

static void gvt_g_mixes_sizes_and_says_no_space(void **state)
{
	scoped(host_free) struct host *host = host_make("gvt-g:1");
	struct function *parent = function_at(host, "0000:41:00.0");
	const struct board_type *large = &parent->gpu->board->types[0];
	const struct board_type *small = &parent->gpu->board->types[1];

	(void)state;
	assert_int_equal(mdev_create(host, parent, large, UUID("0001"), 36), 0);
	assert_int_equal(mdev_available(parent, small), 1);
	assert_int_equal(mdev_create(host, parent, small, UUID("0002"), 36), 0);
	assert_int_equal(mdev_available(parent, small), 0);
	assert_int_equal(mdev_create(host, parent, small, UUID("0003"), 36), -ENOSPC);
}

static void what_is_no_uuid_is_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"\n",
		"nonsense",
		"{0000000-0000-4000-8000-000000000001}",
		"00000000-0000-4000-8000-00000000000",
		"00000000-0000-4000-8000-00000000000g",
		"00000000-0000-4000-8000-000000000001\n\n",
		"000000000000-4000-8000-0000-00000001",
		"00000000_0000-4000-8000-000000000001",
	};
	scoped(host_free) struct host *host = host_make("l40s:1");

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(create_text(host, VF0, "1Q", bad[i]), -EINVAL);
	assert_null(host->mdevs);
}

static void a_uuid_may_end_in_a_line_feed_and_be_in_capitals(void **state)
{
	scoped(host_free) struct host *host = host_make("l40s:1");

	(void)state;
	assert_int_equal(create_text(host, VF0, "1Q", "AA618089-8B16-4D01-A136-25A0F3C73123\n"), 0);

	assert_string_equal(host->mdevs->uuid, "aa618089-8b16-4d01-a136-25a0f3c73123");
}

static void a_uuid_exists_once_on_the_host(void **state)
{
	scoped(host_free) struct host *host = host_make("l40s:2");

	(void)state;
	assert_int_equal(create_text(host, VF0, "1Q", UUID("000a")), 0);

	assert_int_equal(create_text(host, VF1, "1Q", UUID("000a")), -EEXIST);
	assert_int_equal(create_text(host, "0000:61:00.4", "2Q", UUID("000A")), -EEXIST);
	/* Even where the driver would refuse it: the kernel looks first. */
	assert_int_equal(create_text(host, VF0, "2Q", UUID("000a")), -EEXIST);
}

/* Creates one on VF0 and lets another process hold it. */
static struct mdev *make_held(struct host *host)
{
	struct mdev *mdev;

	assert_int_equal(create_text(host, VF0, "1Q", UUID("0001")), 0);
	mdev = host_find_uuid(host, UUID("0001"));
	assert_int_equal(group_open(host, mdev->group, &other_process), 0);
	return mdev;
}

static void removing_a_held_one_waits_for_its_holder(void **state)
{
	scoped(host_free) struct host *host = host_make("l40s:1");
	struct mdev *mdev = make_held(host);
	struct writer writer = writer_make(), second = writer_make();

	(void)state;
	assert_int_equal(mdev_remove(host, mdev, &writer_process, &writer.waiter), HOST_PENDING);
	assert_int_equal(mdev->state, MDEV_REMOVING);
	assert_int_equal(mdev_remove(host, mdev, &writer_process, &second.waiter), -ENODEV);
	/* What it takes, it takes until the end; others go on. */
	assert_int_equal(available(host, VF0, "1Q"), 0);
	assert_int_equal(available(host, VF1, "2Q"), 0);
	assert_int_equal(create_text(host, VF1, "1Q", UUID("0001")), -EEXIST);
	assert_int_equal(create_text(host, VF1, "1Q", UUID("0002")), 0);
	assert_int_equal(writer.call_count, 0);

	group_close(host, mdev->group->number, mdev->group->node_serial);

	assert_int_equal(writer.call_count, 1);
	assert_int_equal(writer.result, 0);
	assert_int_equal(second.call_count, 0);
	assert_null(host_find_uuid(host, UUID("0001")));
	assert_int_equal(available(host, VF0, "1Q"), 1);
}

static void the_remover_may_hold_the_node_itself(void **state)
{
	scoped(host_free) struct host *host = host_make("l40s:1");
	struct mdev *mdev = make_held(host);
	uint32_t number = mdev->group->number, serial = mdev->group->node_serial;
	struct writer writer = writer_make();

	(void)state;
	assert_int_equal(mdev_remove(host, mdev, &other_process, &writer.waiter), 0);

	assert_null(host->mdevs);
	assert_null(group_find(host, number));
	group_close(host, number, serial); /* its descriptor is closed after the group is gone */
}

static void a_new_node_does_not_feel_the_close_of_the_old(void **state)
{
	scoped(host_free) struct host *host = host_make("l40s:1");
	struct mdev *mdev = make_held(host);
	uint32_t number = mdev->group->number, serial = mdev->group->node_serial;
	struct writer writer = writer_make();

	(void)state;
	mdev->group->node_mode = 0660;
	mdev->group->node_gid = 7;
	assert_int_equal(mdev_remove(host, mdev, &other_process, &writer.waiter), 0);
	mdev = make_held(host);

	assert_int_equal(mdev->group->number, number);
	assert_int_not_equal(mdev->group->node_serial, serial);
	assert_int_equal(mdev->group->node_mode, 0600);
	assert_int_equal(mdev->group->node_gid, 0);
	group_close(host, number, serial);
	assert_true(mdev->group->is_held);
}

static void a_node_opens_once(void **state)
{
	scoped(host_free) struct host *host = host_make("l40s:1");
	struct mdev *mdev = make_held(host);

	(void)state;
	assert_int_equal(group_open(host, mdev->group, &other_process), -EBUSY);
	group_close(host, mdev->group->number, mdev->group->node_serial);
	assert_int_equal(group_open(host, mdev->group, &writer_process), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_virtual_function_has_room_for_one),
		cmocka_unit_test(vgpus_of_one_gpu_share_their_size),
		cmocka_unit_test(the_size_is_free_again_when_the_last_has_gone),
		cmocka_unit_test(a_gpu_takes_as_many_as_its_table_says),
		cmocka_unit_test(series_of_one_size_share_the_memory),
		cmocka_unit_test(a_parent_without_functions_counts_down),
		cmocka_unit_test(gvt_g_mixes_sizes_and_says_no_space),
		cmocka_unit_test(what_is_no_uuid_is_refused),
		cmocka_unit_test(a_uuid_may_end_in_a_line_feed_and_be_in_capitals),
		cmocka_unit_test(a_uuid_exists_once_on_the_host),
		cmocka_unit_test(removing_a_held_one_waits_for_its_holder),
		cmocka_unit_test(the_remover_may_hold_the_node_itself),
		cmocka_unit_test(a_new_node_does_not_feel_the_close_of_the_old),
		cmocka_unit_test(a_node_opens_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

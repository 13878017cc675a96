/* SPDX-License-Identifier: Apache-2.0 */
#include "instance-svc/volumes.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char directory[64];
static struct volumes *volumes;

static void open_again(void)
{
	struct err err;

	volumes_close(volumes);
	assert_int_equal(volumes_open(directory, &volumes, &err), 0);
}

static int setup(void **state)
{
	(void)state;
	snprintf(directory, sizeof(directory), "/tmp/hypeman-volumes-XXXXXX");
	assert_non_null(mkdtemp(directory));
	volumes = NULL;
	open_again();
	return 0;
}

static int teardown(void **state)
{
	char command[128];

	(void)state;
	volumes_close(volumes);
	snprintf(command, sizeof(command), "rm -rf %s", directory);
	return system(command);
}

static int create(const char *name, uint32_t size_gb, const char *id, const char *request,
		  struct volume *ret, struct err *err)
{
	struct volume wanted = { .size_gb = size_gb };

	snprintf(wanted.name, sizeof(wanted.name), "%s", name);
	snprintf(wanted.id, sizeof(wanted.id), "%s", id);
	snprintf(wanted.request, sizeof(wanted.request), "%s", request);
	return volumes_create(volumes, &wanted, ret, err);
}

static void a_volume_outlives_the_process(void **state)
{
	struct volume made, found;
	struct stat st;
	struct err err;

	(void)state;
	assert_int_equal(create("data", 1, "", "", &made, &err), 0);
	assert_int_equal(strlen(made.id), 24);
	assert_int_equal(stat(volumes_disk(volumes, made.id).s, &st), 0);
	assert_int_equal(st.st_size, INT64_C(1) << 30);
	assert_true(st.st_blocks * 512 < INT64_C(64) << 20);
	assert_int_equal(volumes_promised(volumes, NULL), UINT64_C(1) << 30);
	assert_int_equal(volumes_usage(volumes), st.st_blocks * 512);

	open_again();
	assert_int_equal(volumes_find(volumes, "data", &found, &err), 0);
	assert_memory_equal(&found, &made, sizeof(found));
	assert_int_equal(volumes_promised(volumes, NULL), UINT64_C(1) << 30);
	made.id[5] = '\0';
	assert_int_equal(volumes_find(volumes, made.id, &found, &err), 0);
	assert_int_equal(volumes_find(volumes, "other", &found, &err), -1);
	assert_int_equal(err.reason, ERR_VOLUME_NOT_FOUND);
}

static void names_and_ids_belong_to_one_volume(void **state)
{
	struct volume made;
	struct err err;

	(void)state;
	assert_int_equal(create("data", 1, "my-id", "", &made, &err), 0);
	assert_string_equal(made.id, "my-id");
	assert_int_equal(create("data", 1, "", "", &made, &err), -1);
	assert_int_equal(err.reason, ERR_NAME_TAKEN);
	assert_int_equal(create("more", 1, "my-id", "", &made, &err), -1);
	assert_int_equal(err.reason, ERR_NAME_TAKEN);
	assert_int_equal(create("my-id", 1, "", "", &made, &err), -1);
	assert_int_equal(err.reason, ERR_NAME_TAKEN);
	assert_int_equal(create("more", 1, "data", "", &made, &err), -1);
	assert_int_equal(err.reason, ERR_NAME_TAKEN);
}

static void bad_volumes_are_refused_naming_the_field(void **state)
{
	static const struct {
		const char *name;
		uint32_t size_gb;
		const char *id, *field;
	} bad[] = {
		{ "", 1, "", "volume.name" },
		{ "Data", 1, "", "volume.name" },
		{ "data", 0, "", "volume.size_gb" },
		{ "data", VOLUME_SIZE_GB_MAX + 1, "", "volume.size_gb" },
		{ "data", 1, "a/b", "volume.id" },
		{ "data", 1, ".hidden", "volume.id" },
	};
	struct volume made;
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(create(bad[i].name, bad[i].size_gb, bad[i].id, "", &made, &err),
				 -1);
		assert_int_equal(err.reason, ERR_INVALID_ARGUMENT);
		assert_string_equal(err.field, bad[i].field);
	}
	assert_int_equal(volumes_promised(volumes, NULL), 0);
}

static void the_same_request_gives_the_same_volume(void **state)
{
	struct volume first, second;
	struct err err;

	(void)state;
	assert_int_equal(create("data", 1, "", "me r1", &first, &err), 0);
	open_again();
	assert_int_equal(create("data", 1, "", "me r1", &second, &err), 0);
	assert_string_equal(second.id, first.id);
	assert_int_equal(create("data", 2, "", "me r1", &second, &err), -1);
	assert_int_equal(err.reason, ERR_REQUEST_ID_REUSED);
	assert_int_equal(create("data", 1, "", "you r1", &second, &err), -1);
	assert_int_equal(err.reason, ERR_NAME_TAKEN);
}

static bool is_attached;
static uint64_t room;

static void each_principal_is_promised_its_own(void **state)
{
	struct volume of_alice = { .name = "a", .size_gb = 2, .principal = "gw/alice: x" };
	struct volume of_bob = { .name = "b", .size_gb = 3, .principal = "bob" };
	struct volume made;
	struct err err;

	(void)state;
	assert_int_equal(volumes_create(volumes, &of_alice, &made, &err), 0);
	assert_int_equal(volumes_create(volumes, &of_bob, &made, &err), 0);
	open_again();
	assert_int_equal(volumes_promised(volumes, "gw/alice: x"), UINT64_C(2) << 30);
	assert_int_equal(volumes_promised(volumes, "bob"), UINT64_C(3) << 30);
	assert_int_equal(volumes_promised(volumes, "carol"), 0);
	assert_int_equal(volumes_promised(volumes, NULL), UINT64_C(5) << 30);
	assert_int_equal(volumes_delete(volumes, "b", &err), 0);
	assert_int_equal(volumes_promised(volumes, "bob"), 0);
}

static bool attached(void *user, const char *id, char name[64])
{
	(void)user;
	(void)id;
	strcpy(name, "holder");
	return is_attached;
}

static int admit(void *user, const struct volume *volume, struct err *err)
{
	(void)user;
	if (volumes_promised(volumes, NULL) + volumes_bytes(volume) > room)
		return err_set(err, ERR_INSUFFICIENT_CAPACITY, "full");
	return volumes_promise(volumes, volume, err);
}

static const struct volumes_users users = { .admit = admit, .attached = attached };

static void what_is_attached_or_held_stays(void **state)
{
	struct volume made, held;
	struct stat st;
	struct err err;

	(void)state;
	room = UINT64_C(1) << 30;
	volumes_set_users(volumes, &users);
	assert_int_equal(create("data", 1, "", "", &made, &err), 0);
	is_attached = true;
	assert_int_equal(volumes_delete(volumes, "data", &err), -1);
	assert_int_equal(err.reason, ERR_VOLUME_IN_USE);
	assert_non_null(strstr(err.message, "'holder'"));
	is_attached = false;
	assert_int_equal(volumes_hold(volumes, "data", &held, &err), 0);
	assert_int_equal(volumes_delete(volumes, "data", &err), -1);
	assert_int_equal(err.reason, ERR_VOLUME_IN_USE);
	volumes_release(volumes, held.id);
	assert_int_equal(volumes_delete(volumes, "data", &err), 0);
	assert_int_equal(stat(volumes_disk(volumes, made.id).s, &st), -1);
	assert_int_equal(volumes_promised(volumes, NULL), 0);
	assert_int_equal(volumes_delete(volumes, "data", &err), -1);
	assert_int_equal(err.reason, ERR_VOLUME_NOT_FOUND);
}

static void a_volume_without_room_is_not_made(void **state)
{
	struct volume made;
	struct err err;

	(void)state;
	room = (UINT64_C(2) << 30) - 1;
	volumes_set_users(volumes, &users);
	assert_int_equal(create("one", 1, "", "", &made, &err), 0);
	assert_int_equal(create("two", 1, "", "", &made, &err), -1);
	assert_int_equal(err.reason, ERR_INSUFFICIENT_CAPACITY);
	assert_int_equal(volumes_promised(volumes, NULL), UINT64_C(1) << 30);
}

static void what_is_half_made_goes_and_what_is_damaged_stays(void **state)
{
	char path[128];
	struct volume *list;
	size_t count;
	struct err err;
	bool more;

	(void)state;
	snprintf(path, sizeof(path), "%s/.new-abc", directory);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(path, sizeof(path), "%s/.new-abc/disk.img", directory);
	assert_int_equal(mknod(path, S_IFREG | 0600, 0), 0);
	snprintf(path, sizeof(path), "%s/damaged", directory);
	assert_int_equal(mkdir(path, 0700), 0);
	open_again();
	assert_int_equal(access(path, F_OK), 0);
	snprintf(path, sizeof(path), "%s/.new-abc", directory);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(volumes_list(volumes, NULL, 10, &list, &count, &more, &err), 0);
	assert_int_equal(count, 0);
	free(list);
}

static void a_list_is_cut_into_pages(void **state)
{
	static const char *const names[] = { "c", "a", "b" };
	struct volume made, *list;
	size_t count;
	struct err err;
	bool more;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(create(names[i], 1, "", "", &made, &err), 0);
		usleep(2000);
	}
	assert_int_equal(volumes_list(volumes, NULL, 2, &list, &count, &more, &err), 0);
	assert_int_equal(count, 2);
	assert_true(more);
	assert_string_equal(list[0].name, "c");
	made = list[1];
	free(list);
	assert_int_equal(volumes_list(volumes, &made, 2, &list, &count, &more, &err), 0);
	assert_int_equal(count, 1);
	assert_false(more);
	assert_string_equal(list[0].name, "b");
	free(list);
}

static void records_of_another_form_are_refused(void **state)
{
	static const char good[] = "name data\nsize_gb 3\ncreated_ms 5\nrequest me r 1\n";
	static const char *const bad[] = {
		"",
		"name data\nsize_gb 3\ncreated_ms 5\nrequest me r 1",
		"name data\nsize_gb 3\ncreated_ms 5\nrequest\n",
		"name data\nsize_gb 3\ncreated_ms 5\n",
		"name data\nsize_gb 03\ncreated_ms 5\nrequest \n",
		"name data\nsize_gb 0\ncreated_ms 5\nrequest \n",
		"name Data\nsize_gb 3\ncreated_ms 5\nrequest \n",
		"name data\nsize_gb 3\ncreated_ms 5\nrequest \nmore\n",
		"name  data\nsize_gb 3\ncreated_ms 5\nrequest \n",
		"name data\nsize_gb 3\ncreated_ms 5\nrequest \nprincipal \n",
		"name data\nsize_gb 3\ncreated_ms 5\nrequest \nprincipal me\nmore\n",
	};
	static const char owned[] = "name data\nsize_gb 3\ncreated_ms 5\nrequest \nprincipal me\n";
	struct volume volume;

	(void)state;
	assert_int_equal(volume_record_parse(good, "x", &volume), 0);
	assert_string_equal(volume.request, "me r 1");
	assert_int_equal(volume.size_gb, 3);
	assert_string_equal(volume.principal, "");
	assert_int_equal(volume_record_parse(owned, "x", &volume), 0);
	assert_string_equal(volume.principal, "me");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(volume_record_parse(bad[i], "x", &volume), -EINVAL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_volume_outlives_the_process),
		TEST(each_principal_is_promised_its_own),
		TEST(names_and_ids_belong_to_one_volume),
		TEST(bad_volumes_are_refused_naming_the_field),
		TEST(the_same_request_gives_the_same_volume),
		TEST(what_is_attached_or_held_stays),
		TEST(a_volume_without_room_is_not_made),
		TEST(what_is_half_made_goes_and_what_is_damaged_stays),
		TEST(a_list_is_cut_into_pages),
		cmocka_unit_test(records_of_another_form_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

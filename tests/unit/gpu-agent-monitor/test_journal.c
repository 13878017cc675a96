/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "fixture.h"
#include "gpu-agent/monitor/journal_line.h"

#define UUID_A	   "aa618089-8b16-4d01-a136-25a0f3c73123"
#define UUID_B	   "bb618089-8b16-4d01-a136-25a0f3c73123"
#define OTHER_BOOT "99999999-2222-3333-4444-555555555555"

static struct journal_entry entry(const char *uuid)
{
	struct journal_entry e = {
		.kind = JOURNAL_MDEV,
		.type = "nvidia-1147",
		.parent = { 0x10000, 0x41, 0, 4 },
		.writer = { INT32_MAX, UINT64_MAX },
	};

	strcpy(e.uuid, uuid);
	return e;
}

static void open_journal(struct fixture *fixture, const char *boot, struct journal *ret)
{
	char path[80];
	struct err err;

	snprintf(path, sizeof(path), "%s/journal", fixture->root);
	assert_int_equal(journal_open(path, boot, ret, &err), 0);
}

static void begin(struct journal *journal, const char *uuid)
{
	struct journal_entry e = entry(uuid);
	struct err err;

	assert_int_equal(journal_begin(journal, &e, &err), 0);
}

static void append(struct journal *journal, const char *uuid, enum journal_state state)
{
	struct journal_entry e = entry(uuid);
	struct err err;

	assert_int_equal(journal_append(journal, &e, state, &err), 0);
}

/* 0: there is no entry. */
static enum journal_state state_of(struct journal *journal, const char *uuid)
{
	struct journal_entry e;
	struct err err;
	int r = journal_find(journal, uuid, &e, &err);

	assert_true(r >= 0);
	return r == 0 ? 0 : e.state;
}

static void an_entry_lives_from_intent_to_removal(void **state)
{
	struct journal journal;

	open_journal(*state, FIXTURE_BOOT, &journal);
	assert_int_equal(state_of(&journal, UUID_A), 0);
	begin(&journal, UUID_A);
	assert_int_equal(state_of(&journal, UUID_A), JOURNAL_INTENT);
	append(&journal, UUID_A, JOURNAL_CREATED);
	begin(&journal, UUID_B);
	append(&journal, UUID_B, JOURNAL_FAILED);
	assert_int_equal(state_of(&journal, UUID_A), JOURNAL_CREATED);
	assert_int_equal(state_of(&journal, UUID_B), 0);
	append(&journal, UUID_A, JOURNAL_REMOVED);
	assert_int_equal(state_of(&journal, UUID_A), 0);
	journal_close(&journal);
}

static void what_was_written_is_read_back(void **state)
{
	struct journal journal;
	struct journal_entry found;
	struct err err;

	open_journal(*state, FIXTURE_BOOT, &journal);
	begin(&journal, UUID_A);
	assert_int_equal(journal_find(&journal, UUID_A, &found, &err), 1);
	assert_string_equal(found.uuid, UUID_A);
	assert_string_equal(found.type, "nvidia-1147");
	assert_string_equal(PCI_STR(found.parent), "10000:41:00.4");
	assert_int_equal(found.writer.pid, getpid());
	assert_true(writer_is_alive(found.writer));
	journal_close(&journal);
}

static void a_uuid_is_begun_once(void **state)
{
	struct journal_entry e = entry(UUID_A);
	struct journal journal;
	struct err err;

	open_journal(*state, FIXTURE_BOOT, &journal);
	begin(&journal, UUID_A);
	assert_int_equal(journal_begin(&journal, &e, &err), 1);
	append(&journal, UUID_A, JOURNAL_FAILED);
	assert_int_equal(journal_begin(&journal, &e, &err), 0);
	journal_close(&journal);
}

static void records_of_another_boot_mean_nothing(void **state)
{
	struct journal journal;

	open_journal(*state, OTHER_BOOT, &journal);
	begin(&journal, UUID_A);
	append(&journal, UUID_A, JOURNAL_CREATED);
	journal_close(&journal);

	open_journal(*state, FIXTURE_BOOT, &journal);
	assert_int_equal(state_of(&journal, UUID_A), 0);
	begin(&journal, UUID_A);
	assert_int_equal(state_of(&journal, UUID_A), JOURNAL_INTENT);
	journal_close(&journal);
}

/* A crash may leave any prefix of the last line; the file is then used on. */
static void a_torn_tail_harms_nothing(void **state)
{
	struct fixture *fixture = *state;
	struct journal journal;
	char whole[1024];
	size_t first, length;

	open_journal(fixture, FIXTURE_BOOT, &journal);
	begin(&journal, UUID_A);
	first = strlen(fixture_read(fixture, "journal/journal"));
	append(&journal, UUID_A, JOURNAL_REMOVED);
	strcpy(whole, fixture_read(fixture, "journal/journal"));
	length = strlen(whole);

	for (size_t cut = first; cut < length; cut++) {
		/* Whole but for its newline, the record counts. */
		enum journal_state expected = cut == length - 1 ? 0 : JOURNAL_INTENT;
		char torn[1024];

		snprintf(torn, sizeof(torn), "%.*s", (int)cut, whole);
		fixture_write(fixture, torn, "journal/journal");
		assert_int_equal(state_of(&journal, UUID_A), expected);
		begin(&journal, UUID_B);
		assert_int_equal(state_of(&journal, UUID_A), expected);
		assert_int_equal(state_of(&journal, UUID_B), JOURNAL_INTENT);
	}
	journal_close(&journal);
}

static void a_changed_byte_spoils_its_line_only(void **state)
{
	struct fixture *fixture = *state;
	struct journal journal;
	char whole[1024];
	size_t first;

	open_journal(fixture, FIXTURE_BOOT, &journal);
	begin(&journal, UUID_A);
	first = strlen(fixture_read(fixture, "journal/journal"));
	begin(&journal, UUID_B);
	strcpy(whole, fixture_read(fixture, "journal/journal"));

	for (size_t i = 0; i < first - 1; i++) {
		char changed[1024];

		strcpy(changed, whole);
		changed[i] ^= 1;
		fixture_write(fixture, changed, "journal/journal");
		assert_int_equal(state_of(&journal, UUID_A), 0);
		assert_int_equal(state_of(&journal, UUID_B), JOURNAL_INTENT);
	}
	journal_close(&journal);
}

static void compaction_keeps_what_counts_and_drops_the_rest(void **state)
{
	struct fixture *fixture = *state;
	struct journal journal;
	struct err err;

	open_journal(fixture, OTHER_BOOT, &journal);
	begin(&journal, UUID_A);
	journal_close(&journal);
	open_journal(fixture, FIXTURE_BOOT, &journal);
	begin(&journal, UUID_A);
	append(&journal, UUID_A, JOURNAL_CREATED);
	begin(&journal, UUID_B);
	append(&journal, UUID_B, JOURNAL_REMOVED);
	assert_int_equal(journal_compact(&journal, &err), 0);

	assert_int_equal(state_of(&journal, UUID_A), JOURNAL_CREATED);
	assert_int_equal(state_of(&journal, UUID_B), 0);
	assert_non_null(strstr(fixture_read(fixture, "journal/journal"), "created "));
	assert_null(strstr(fixture_read(fixture, "journal/journal"), UUID_B));
	assert_null(strstr(fixture_read(fixture, "journal/journal"), OTHER_BOOT));
	assert_null(fixture_read(fixture, "journal/journal.next"));
	journal_close(&journal);
}

static void a_half_written_compaction_is_written_over(void **state)
{
	struct fixture *fixture = *state;
	struct journal journal;
	struct err err;

	open_journal(fixture, FIXTURE_BOOT, &journal);
	begin(&journal, UUID_A);
	fixture_write(fixture, "rubbish that is longer than any line would be",
		      "journal/journal.next");
	assert_int_equal(journal_compact(&journal, &err), 0);
	assert_int_equal(state_of(&journal, UUID_A), JOURNAL_INTENT);
	assert_null(strstr(fixture_read(fixture, "journal/journal"), "rubbish"));
	journal_close(&journal);
}

static void a_long_journal_is_compacted_by_itself(void **state)
{
	static char rubbish[JOURNAL_COMPACT_BYTES + 2];
	struct fixture *fixture = *state;
	struct journal journal;

	memset(rubbish, 'x', sizeof(rubbish) - 1);
	for (size_t i = 99; i < sizeof(rubbish); i += 100)
		rubbish[i] = '\n';
	rubbish[sizeof(rubbish) - 1] = '\0';
	fixture_write(fixture, rubbish, "journal/journal");
	open_journal(fixture, FIXTURE_BOOT, &journal);
	begin(&journal, UUID_A);
	assert_int_equal(state_of(&journal, UUID_A), JOURNAL_INTENT);
	assert_true(strlen(fixture_read(fixture, "journal/journal")) < JOURNAL_LINE_MAX);
	journal_close(&journal);
}

static void writers_at_once_lose_nothing(void **state)
{
	enum {
		WRITERS = 8,
		EACH = 10
	};
	struct journal_entries entries;
	struct journal journal;
	struct err err;
	int status;

	for (int writer = 0; writer < WRITERS; writer++) {
		if (fork() != 0)
			continue;
		open_journal(*state, FIXTURE_BOOT, &journal);
		for (int i = 0; i < EACH; i++) {
			char uuid[OPS_UUID_SIZE] = UUID_A;

			uuid[0] = (char)('0' + writer);
			uuid[1] = (char)('0' + i);
			begin(&journal, uuid);
			if (i == EACH / 2)
				assert_int_equal(journal_compact(&journal, &err), 0);
		}
		journal_close(&journal);
		_exit(0);
	}
	for (int writer = 0; writer < WRITERS; writer++) {
		wait(&status);
		assert_int_equal(status, 0);
	}
	open_journal(*state, FIXTURE_BOOT, &journal);
	assert_int_equal(journal_load(&journal, &entries, &err), 0);
	assert_int_equal(entries.count, WRITERS * EACH);
	journal_entries_done(&entries);
	journal_close(&journal);
}

static void a_directory_open_to_others_is_refused(void **state)
{
	struct fixture *fixture = *state;
	struct journal journal;
	char path[80];
	struct err err;

	snprintf(path, sizeof(path), "%s/journal", fixture->root);
	chmod(path, 0750);
	assert_int_equal(journal_open(path, FIXTURE_BOOT, &journal, &err), -1);
	assert_string_equal(err.field, "journal-dir");
	assert_non_null(strstr(err.message, "mode 750"));
}

static void a_line_is_only_what_we_write(void **state)
{
	static const char *const refused[] = {
		"",
		"intent",
		"intent " FIXTURE_BOOT " mdev " UUID_A " 0000:41:00.4 nvidia-1 12-34 00000000",
		"intent  " FIXTURE_BOOT " mdev " UUID_A " 0000:41:00.4 nvidia-1 12-34 00000000",
		"intend " FIXTURE_BOOT " mdev " UUID_A " 0000:41:00.4 nvidia-1 12-34 00000000",
		"intent " FIXTURE_BOOT " mdev " UUID_A " 0000:41:00.4 nvidia-1 00000000",
	};
	struct journal_entry e = entry(UUID_A), again;
	char line[JOURNAL_LINE_MAX], boot[37];
	size_t length;

	(void)state;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		assert_int_not_equal(
			journal_line_parse(refused[i], strlen(refused[i]), &again, boot), 0);
	e.state = JOURNAL_FAILED;
	memset(e.type, 'x', sizeof(e.type) - 1);
	length = journal_line_format(&e, FIXTURE_BOOT, line);
	assert_int_equal(journal_line_parse(line, length - 1, &again, boot), 0);
	assert_int_equal(again.state, JOURNAL_FAILED);
	assert_string_equal(again.type, e.type);
	assert_int_equal(again.writer.pid, INT32_MAX);
	assert_true(again.writer.start == UINT64_MAX);
	assert_string_equal(boot, FIXTURE_BOOT);
	assert_int_not_equal(journal_line_parse(line, length, &again, boot), 0);
}

static void every_kind_reads_back_as_it_was_written(void **state)
{
	struct journal_entry vendor = entry(UUID_A), binding = entry(UUID_A), again;
	struct journal_entry *kinds[] = { &vendor, &binding };
	char line[JOURNAL_LINE_MAX], boot[37];

	(void)state;
	vendor.kind = JOURNAL_VENDOR;
	vendor.vendor_type = 1147;
	binding.kind = JOURNAL_BINDING;
	for (int i = 0; i < JOURNAL_FUNCTIONS; i += 2) {
		binding.functions[i].moved = true;
		memset(binding.functions[i].driver, 'd', (size_t)(i ? OPS_DRIVER_MAX - 1 : 0));
	}
	for (size_t i = 0; i < 2; i++) {
		size_t length;

		kinds[i]->state = JOURNAL_CREATED;
		memset(kinds[i]->type, 0, sizeof(kinds[i]->type));
		length = journal_line_format(kinds[i], FIXTURE_BOOT, line);
		assert_int_equal(journal_line_parse(line, length - 1, &again, boot), 0);
		assert_int_equal(again.kind, kinds[i]->kind);
		assert_int_equal(again.vendor_type, kinds[i]->vendor_type);
		for (int f = 0; f < JOURNAL_FUNCTIONS; f++) {
			assert_int_equal(again.functions[f].moved, kinds[i]->functions[f].moved);
			assert_string_equal(again.functions[f].driver,
					    kinds[i]->functions[f].driver);
		}
	}
}

/* Two allocations cannot both have begun on one function; nor is a stale view acted upon. */
static void a_function_has_one_entry(void **state)
{
	struct journal_entry first = entry(UUID_A), second = entry(UUID_B), seen;
	struct journal journal;
	struct err err;

	first.kind = second.kind = JOURNAL_VENDOR;
	first.vendor_type = second.vendor_type = 1147;
	open_journal(*state, FIXTURE_BOOT, &journal);
	assert_int_equal(journal_begin(&journal, &first, &err), 0);
	assert_int_equal(journal_begin(&journal, &second, &err), 1);
	assert_int_equal(journal_find(&journal, UUID_A, &seen, &err), 1);
	assert_int_equal(journal_append(&journal, &first, JOURNAL_CREATED, &err), 0);
	assert_int_equal(journal_forget(&journal, &seen, &err), 0);
	assert_int_equal(state_of(&journal, UUID_A), JOURNAL_CREATED);
	assert_int_equal(journal_find(&journal, UUID_A, &seen, &err), 1);
	assert_int_equal(journal_forget(&journal, &seen, &err), 1);
	assert_int_equal(journal_forget(&journal, &seen, &err), 0);
	assert_int_equal(state_of(&journal, UUID_A), 0);
	assert_int_equal(journal_begin(&journal, &second, &err), 0);
	journal_close(&journal);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_entry_lives_from_intent_to_removal),
		TEST(what_was_written_is_read_back),
		TEST(a_uuid_is_begun_once),
		TEST(records_of_another_boot_mean_nothing),
		TEST(a_torn_tail_harms_nothing),
		TEST(a_changed_byte_spoils_its_line_only),
		TEST(compaction_keeps_what_counts_and_drops_the_rest),
		TEST(a_half_written_compaction_is_written_over),
		TEST(a_long_journal_is_compacted_by_itself),
		TEST(writers_at_once_lose_nothing),
		TEST(a_directory_open_to_others_is_refused),
		TEST(a_line_is_only_what_we_write),
		TEST(every_kind_reads_back_as_it_was_written),
		TEST(a_function_has_one_entry),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

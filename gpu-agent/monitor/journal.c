/* SPDX-License-Identifier: Apache-2.0 */
#include "journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/scoped.h"
#include "journal_line.h"
#include "uuid_text.h"

#define FILE_NAME "journal"
#define NEXT_NAME "journal.next"
#define LOCK_NAME "lock"

/* ---- open ------------------------------------------------------------------------ */

int journal_read_boot(char *ret, struct err *err)
{
	scoped_file FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");
	char text[UUID_TEXT_LENGTH + 2] = "";

	if (!file || !fgets(text, sizeof(text), file))
		return err_sys(err, errno, "cannot read this boot's id");
	text[strcspn(text, "\n")] = '\0';
	if (!uuid_text_is_valid(text))
		return err_set(err, ERR_INTERNAL, "this boot's id is '%s', which is no UUID", text);
	strcpy(ret, text);
	return 0;
}

int journal_open(const char *directory, const char *boot, struct journal *ret, struct err *err)
{
	scoped_fd int dir = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat st;

	if (dir < 0 || fstat(dir, &st) < 0)
		return err_sys(err, errno, "cannot open journal-dir %s", directory);
	if (st.st_uid != geteuid() || (st.st_mode & 077) != 0)
		return err_field(err, "journal-dir",
				 "journal-dir '%s' has owner %u and mode %03o, must belong to user "
				 "%u with mode 700: who can write it can have devices removed",
				 directory, st.st_uid, st.st_mode & 0777, geteuid());
	ret->dir = TAKE_FD(dir);
	snprintf(ret->boot, sizeof(ret->boot), "%s", boot);
	return 0;
}

void journal_close(struct journal *journal)
{
	if (journal->dir >= 0)
		close(journal->dir);
	journal->dir = -1;
}

/* Closing the descriptor unlocks; so does the death of the process. */
static int lock_open(const struct journal *journal, int *ret_fd, struct err *err)
{
	scoped_fd int fd = openat(journal->dir, LOCK_NAME, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0)
		return err_sys(err, errno, "cannot open the journal's lock");
	while (flock(fd, LOCK_EX) < 0)
		if (errno != EINTR)
			return err_sys(err, errno, "cannot lock the journal");
	*ret_fd = TAKE_FD(fd);
	return 0;
}

/* ---- read ------------------------------------------------------------------------ */

void journal_entries_done(struct journal_entries *entries)
{
	free(entries->items);
	*entries = (struct journal_entries){ 0 };
}

static struct journal_entry *find_item(const struct journal_entries *entries, const char *uuid)
{
	for (size_t i = 0; i < entries->count; i++)
		if (strcmp(entries->items[i].uuid, uuid) == 0)
			return &entries->items[i];
	return NULL;
}

const struct journal_entry *journal_entries_find(const struct journal_entries *entries,
						 const char *uuid)
{
	return find_item(entries, uuid);
}

const struct journal_entry *journal_entries_at(const struct journal_entries *entries,
					       enum journal_kind kind, struct pci_addr address)
{
	for (size_t i = 0; i < entries->count; i++)
		if (entries->items[i].kind == kind &&
		    pci_addr_compare(entries->items[i].parent, address) == 0)
			return &entries->items[i];
	return NULL;
}

/* Brings the entries up to date with one record. */
static int apply(struct journal_entries *entries, const struct journal_entry *record)
{
	struct journal_entry *item = find_item(entries, record->uuid);
	bool closes = record->state == JOURNAL_FAILED || record->state == JOURNAL_REMOVED;

	if (item && closes) {
		*item = entries->items[--entries->count];
		return 0;
	}
	if (item) {
		*item = *record;
		return 0;
	}
	if (closes)
		return 0;
	item = reallocarray(entries->items, entries->count + 1, sizeof(*item));
	if (!item)
		return -ENOMEM;
	entries->items = item;
	entries->items[entries->count++] = *record;
	return 0;
}

static int load_locked(const struct journal *journal, struct journal_entries *ret, struct err *err)
{
	scoped_fd int fd = openat(journal->dir, FILE_NAME, O_RDONLY | O_CLOEXEC);
	scoped_file FILE *file = fd < 0 ? NULL : fdopen(fd, "r");
	scoped_free char *line = NULL;
	struct journal_entries entries = { 0 };
	struct journal_entry record;
	char boot[UUID_TEXT_LENGTH + 1];
	size_t size = 0;
	ssize_t length;

	*ret = entries;
	if (fd < 0 && errno == ENOENT)
		return 0;
	if (!file)
		return err_sys(err, errno, "cannot read the journal");
	(void)TAKE_FD(fd); /* the FILE's now */
	while ((length = getline(&line, &size, file)) > 0) {
		/* A last line that lacks nothing but its newline counts, now and later. */
		if (line[length - 1] == '\n')
			length--;
		if (journal_line_parse(line, (size_t)length, &record, boot) < 0 ||
		    strcmp(boot, journal->boot) != 0)
			continue;
		if (apply(&entries, &record) < 0) {
			journal_entries_done(&entries);
			return err_sys(err, ENOMEM, "cannot read the journal");
		}
	}
	if (ferror(file)) {
		journal_entries_done(&entries);
		return err_sys(err, errno, "cannot read the journal");
	}
	*ret = entries;
	return 0;
}

int journal_load(struct journal *journal, struct journal_entries *ret, struct err *err)
{
	scoped_fd int lock = -1;

	if (lock_open(journal, &lock, err) < 0)
		return -1;
	return load_locked(journal, ret, err);
}

int journal_find(struct journal *journal, const char *uuid, struct journal_entry *ret,
		 struct err *err)
{
	struct journal_entries entries;
	const struct journal_entry *found;

	if (journal_load(journal, &entries, err) < 0)
		return -1;
	found = journal_entries_find(&entries, uuid);
	if (found)
		*ret = *found;
	journal_entries_done(&entries);
	return found != NULL;
}

/* ---- write ----------------------------------------------------------------------- */

static int write_all(int fd, const char *data, size_t length)
{
	while (length > 0) {
		ssize_t written = write(fd, data, length);

		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return -errno;
		data += written;
		length -= (size_t)written;
	}
	return 0;
}

static int write_entries(int fd, const struct journal *journal,
			 const struct journal_entries *entries)
{
	char line[JOURNAL_LINE_MAX];

	for (size_t i = 0; i < entries->count; i++) {
		size_t length = journal_line_format(&entries->items[i], journal->boot, line);
		int r = write_all(fd, line, length);

		if (r < 0)
			return r;
	}
	return fsync(fd) < 0 ? -errno : 0;
}

static int compact_locked(const struct journal *journal, struct err *err)
{
	scoped_fd int fd =
		openat(journal->dir, NEXT_NAME, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	struct journal_entries entries;
	int r;

	if (fd < 0)
		return err_sys(err, errno, "cannot write the next journal");
	if (load_locked(journal, &entries, err) < 0)
		return -1;
	r = write_entries(fd, journal, &entries);
	journal_entries_done(&entries);
	if (r < 0)
		return err_sys(err, r, "cannot write the next journal");
	if (renameat(journal->dir, NEXT_NAME, journal->dir, FILE_NAME) < 0 ||
	    fsync(journal->dir) < 0)
		return err_sys(err, errno, "cannot replace the journal");
	return 0;
}

int journal_compact(struct journal *journal, struct err *err)
{
	scoped_fd int lock = -1;

	if (lock_open(journal, &lock, err) < 0)
		return -1;
	return compact_locked(journal, err);
}

/* A tail that a crash tore gets a newline of its own, so that it cannot spoil this line. */
static int append_locked(const struct journal *journal, const struct journal_entry *entry,
			 struct err *err)
{
	scoped_fd int fd =
		openat(journal->dir, FILE_NAME, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	char line[1 + JOURNAL_LINE_MAX] = "\n", last = '\n';
	struct stat st;
	size_t length;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(err, errno, "cannot open the journal");
	if (st.st_size > 0 && pread(fd, &last, 1, st.st_size - 1) != 1)
		return err_sys(err, EIO, "cannot read the end of the journal");
	length = journal_line_format(entry, journal->boot, line + 1);
	r = last == '\n' ? write_all(fd, line + 1, length) : write_all(fd, line, length + 1);
	if (r < 0)
		return err_sys(err, r, "cannot write the journal");
	if (fsync(fd) < 0 || (st.st_size == 0 && fsync(journal->dir) < 0))
		return err_sys(err, errno, "cannot sync the journal");
	if (st.st_size > JOURNAL_COMPACT_BYTES)
		return compact_locked(journal, err);
	return 0;
}

int journal_begin(struct journal *journal, struct journal_entry *entry, struct err *err)
{
	scoped_fd int lock = -1;
	struct journal_entries entries;
	int r = writer_self(&entry->writer);
	bool known;

	if (r < 0)
		return err_sys(err, r, "cannot tell who this process is");
	entry->state = JOURNAL_INTENT;
	if (lock_open(journal, &lock, err) < 0 || load_locked(journal, &entries, err) < 0)
		return -1;
	known = journal_entries_find(&entries, entry->uuid) ||
		(entry->kind != JOURNAL_MDEV &&
		 journal_entries_at(&entries, entry->kind, entry->parent));
	journal_entries_done(&entries);
	if (known)
		return 1;
	return append_locked(journal, entry, err);
}

int journal_append(struct journal *journal, const struct journal_entry *entry,
		   enum journal_state state, struct err *err)
{
	scoped_fd int lock = -1;
	struct journal_entry record = *entry;

	record.state = state;
	if (lock_open(journal, &lock, err) < 0)
		return -1;
	return append_locked(journal, &record, err);
}

static bool is_same(const struct journal_entry *a, const struct journal_entry *b)
{
	return a->kind == b->kind && a->state == b->state && a->writer.pid == b->writer.pid &&
	       a->writer.start == b->writer.start && strcmp(a->uuid, b->uuid) == 0;
}

int journal_forget(struct journal *journal, const struct journal_entry *entry, struct err *err)
{
	scoped_fd int lock = -1;
	struct journal_entry record = *entry;
	struct journal_entries entries;
	const struct journal_entry *now;
	bool changed;

	if (lock_open(journal, &lock, err) < 0 || load_locked(journal, &entries, err) < 0)
		return -1;
	now = journal_entries_find(&entries, entry->uuid);
	changed = !now || !is_same(now, entry);
	journal_entries_done(&entries);
	if (changed)
		return 0;
	record.state = JOURNAL_REMOVED;
	return append_locked(journal, &record, err) < 0 ? -1 : 1;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* One instance to and from its rows: one of `instances`, and one of `holds` for each hold. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "records_internal.h"

#define MUTABLE_COLUMNS                                                                            \
	"state, deleting, dropped, goal, stop_ms, started_ms, stopped_ms, digest, "                \
	"supervisor_pid, supervisor_start, boot_id, kernel, snapshot_bytes, machine, kvm, "        \
	"shutdown_boot, state_error, exit_code, exit_message"
#define MUTABLE_COUNT 19
#define MUTABLE_MARKS "?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18,?19"

#define HOLD_COLUMNS                                                                               \
	"request, device, allocation, mdev_uuid, device_id, profile, pci_address, "                \
	"framebuffer_mb, numa_node, simulated, functions, device_node, sysfs_path"
#define HOLD_COUNT 13
#define HOLD_MARKS "?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13"

/* ---- Writing ---- */

/* Parameters 1 to MUTABLE_COUNT. Binding fails only without memory, which stepping reports. */
static void bind_mutable(sqlite3_stmt *s, const struct record *record)
{
	sqlite3_bind_int(s, 1, (int)record->state);
	sqlite3_bind_int(s, 2, record->deleting);
	sqlite3_bind_int(s, 3, record->dropped);
	sqlite3_bind_int(s, 4, (int)record->goal);
	sqlite3_bind_int64(s, 5, record->stop_ms);
	sqlite3_bind_int64(s, 6, record->started_ms);
	sqlite3_bind_int64(s, 7, record->stopped_ms);
	records_bind_text(s, 8, record->digest);
	sqlite3_bind_int(s, 9, record->supervisor.pid);
	sqlite3_bind_int64(s, 10, (int64_t)record->supervisor.start_ticks);
	records_bind_text(s, 11, record->supervisor.boot_id.s);
	records_bind_text(s, 12, record->kernel);
	sqlite3_bind_int64(s, 13, (int64_t)record->snapshot_bytes);
	records_bind_text(s, 14, record->machine);
	sqlite3_bind_int(s, 15, record->kvm);
	records_bind_text(s, 16, record->shutdown_boot.s);
	records_bind_text(s, 17, record->state_error);
	if (record->has_exit_code)
		sqlite3_bind_int(s, 18, record->exit_code);
	records_bind_text(s, 19, record->exit_message);
}

struct functions_text {
	char s[GPU_LEASE_FUNCTIONS_MAX * sizeof(struct pci_addr_text)];
};

/* "0000:82:00.0 0000:82:00.1" */
static struct functions_text functions_format(const struct gpu_lease *lease)
{
	struct functions_text text = { "" };
	size_t used = 0;

	for (uint32_t i = 0; i < lease->function_count; i++)
		used += (size_t)snprintf(text.s + used, sizeof(text.s) - used, "%s%s",
					 i > 0 ? " " : "", PCI_STR(lease->functions[i]));
	return text;
}

static void bind_hold(sqlite3_stmt *s, const struct hold *hold)
{
	const struct gpu_lease *lease = &hold->lease;

	records_bind_text(s, 1, hold->request.s);
	records_bind_text(s, 2, hold->device);
	records_bind_text(s, 3, lease->id.s);
	records_bind_text(s, 4, lease->mdev_uuid.s);
	records_bind_text(s, 5, lease->device_id.s);
	records_bind_text(s, 6, lease->profile);
	records_bind_text(s, 7, lease->pci_address);
	sqlite3_bind_int64(s, 8, lease->framebuffer_mb);
	sqlite3_bind_int(s, 9, lease->numa_node);
	sqlite3_bind_int(s, 10, lease->simulated);
	records_bind_text(s, 11, functions_format(lease).s);
	records_bind_text(s, 12, lease->device_node);
	records_bind_text(s, 13, lease->sysfs_path);
}

static int write_holds(struct records *records, const struct record *record, struct err *err)
{
	scoped_statement *s = NULL;

	if (record->hold_count == 0)
		return 0;
	if (records_prepare(records,
			    "INSERT OR REPLACE INTO holds (" HOLD_COLUMNS
			    ", instance, number) VALUES (" HOLD_MARKS ",?14,?15)",
			    &s, err) < 0)
		return -1;
	for (uint32_t i = 0; i < record->hold_count; i++) {
		bind_hold(s, &record->holds[i]);
		records_bind_text(s, HOLD_COUNT + 1, record->id.s);
		sqlite3_bind_int64(s, HOLD_COUNT + 2, i);
		if (sqlite3_step(s) != SQLITE_DONE)
			return records_fail(records, err, "record what the instance holds");
		sqlite3_reset(s);
	}
	return 0;
}

static int insert_row(struct records *records, struct record *record, const struct spec *spec,
		      struct err *err)
{
	scoped_statement *s = NULL;
	scoped_free void *bytes = NULL;
	size_t size = 0;
	int r;

	bytes = spec_save(spec, &size);
	if (!bytes)
		return err_sys(err, ENOMEM, "cannot record the instance");
	if (records_prepare(records,
			    "INSERT INTO instances (" MUTABLE_COLUMNS
			    ", id, uuid, name, spec, slot, created_ms, principal) VALUES "
			    "(" MUTABLE_MARKS ",?20,?21,?22,?23,?24,?25,?26)",
			    &s, err) < 0)
		return -1;
	bind_mutable(s, record);
	records_bind_text(s, MUTABLE_COUNT + 1, record->id.s);
	records_bind_text(s, MUTABLE_COUNT + 2, record->uuid.s);
	records_bind_text(s, MUTABLE_COUNT + 3, spec->name);
	sqlite3_bind_blob64(s, MUTABLE_COUNT + 4, bytes, size, SQLITE_TRANSIENT);
	sqlite3_bind_int64(s, MUTABLE_COUNT + 5, record->slot);
	sqlite3_bind_int64(s, MUTABLE_COUNT + 6, record->created_ms);
	records_bind_text(s, MUTABLE_COUNT + 7, record->principal);
	r = sqlite3_step(s);
	if (r == SQLITE_CONSTRAINT && strstr(sqlite3_errmsg(records->db), "instances.name"))
		return err_set(err, ERR_NAME_TAKEN, "name is '%s', which another instance has",
			       spec->name);
	return r == SQLITE_DONE ? 0 : records_fail(records, err, "record the instance");
}

int records_insert(struct records *records, struct record *record, const struct spec *spec,
		   const struct record_request *request, struct err *err)
{
	SCOPED_LOCK(records);
	scoped(records_end) struct records *transaction = NULL;
	uint64_t sequence;

	if (records_begin(records, err) < 0)
		return -1;
	transaction = records;
	if (insert_row(records, record, spec, err) < 0)
		return -1;
	sequence = (uint64_t)sqlite3_last_insert_rowid(records->db);
	if (write_holds(records, record, err) < 0)
		return -1;
	if (request &&
	    records_add_request_locked(records, request, &record->id, record->created_ms, err) < 0)
		return -1;
	if (records_commit(transaction, err) < 0)
		return -1;
	record->sequence = sequence;
	return 0;
}

static int update_row(struct records *records, const struct record *record, struct err *err)
{
	scoped_statement *s = NULL;

	if (records_prepare(records,
			    "UPDATE instances SET (" MUTABLE_COLUMNS ") = (" MUTABLE_MARKS
			    "), name = CASE WHEN ?3 THEN NULL ELSE name END WHERE id = ?20",
			    &s, err) < 0)
		return -1;
	bind_mutable(s, record);
	records_bind_text(s, MUTABLE_COUNT + 1, record->id.s);
	return sqlite3_step(s) == SQLITE_DONE
		       ? 0
		       : records_fail(records, err, "record a change of the instance");
}

int records_update(struct records *records, const struct record *record, struct err *err)
{
	SCOPED_LOCK(records);
	scoped(records_end) struct records *transaction = NULL;

	if (records_begin(records, err) < 0)
		return -1;
	transaction = records;
	if (update_row(records, record, err) < 0 || write_holds(records, record, err) < 0)
		return -1;
	return records_commit(transaction, err);
}

int records_replace_spec(struct records *records, const struct id *id, const struct spec *spec,
			 struct err *err)
{
	SCOPED_LOCK(records);
	scoped_statement *s = NULL;
	scoped_free void *bytes = NULL;
	size_t size = 0;

	bytes = spec_save(spec, &size);
	if (!bytes)
		return err_sys(err, ENOMEM, "cannot record the change");
	if (records_prepare(records, "UPDATE instances SET spec = ?1 WHERE id = ?2", &s, err) < 0)
		return -1;
	sqlite3_bind_blob64(s, 1, bytes, size, SQLITE_TRANSIENT);
	records_bind_text(s, 2, id->s);
	return sqlite3_step(s) == SQLITE_DONE ? 0 : records_fail(records, err, "record the change");
}

static int remove_rows(struct records *records, const char *sql, const struct id *id,
		       struct err *err)
{
	scoped_statement *s = NULL;

	if (records_prepare(records, sql, &s, err) < 0)
		return -1;
	records_bind_text(s, 1, id->s);
	return sqlite3_step(s) == SQLITE_DONE
		       ? 0
		       : records_fail(records, err, "remove the record of the instance");
}

int records_remove(struct records *records, const struct id *id, struct err *err)
{
	SCOPED_LOCK(records);
	scoped(records_end) struct records *transaction = NULL;

	if (records_begin(records, err) < 0)
		return -1;
	transaction = records;
	if (remove_rows(records, "DELETE FROM holds WHERE instance = ?1", id, err) < 0 ||
	    remove_rows(records, "DELETE FROM instances WHERE id = ?1", id, err) < 0)
		return -1;
	return records_commit(transaction, err);
}

/* ---- Reading ---- */

/* Copies a text column; one that does not fit is damage, not something to cut. */
static void read_text(sqlite3_stmt *s, int column, char *to, size_t size, bool *damaged)
{
	const char *text = (const char *)sqlite3_column_text(s, column);

	if (!text || strlen(text) >= size) {
		*damaged = true;
		return;
	}
	memcpy(to, text, strlen(text) + 1);
}

#define READ_TEXT(s, column, to, damaged) read_text(s, column, to, sizeof(to), damaged)

static void read_mutable(sqlite3_stmt *s, struct record *record, bool *damaged)
{
	int state = sqlite3_column_int(s, 0), goal = sqlite3_column_int(s, 3);

	if (!state_is_valid(state) || goal < GOAL_RUN || goal > GOAL_STANDBY)
		*damaged = true;
	record->state = (enum instance_state)state;
	record->deleting = sqlite3_column_int(s, 1);
	record->dropped = sqlite3_column_int(s, 2);
	record->goal = (enum goal)goal;
	record->stop_ms = (uint32_t)sqlite3_column_int64(s, 4);
	record->started_ms = sqlite3_column_int64(s, 5);
	record->stopped_ms = sqlite3_column_int64(s, 6);
	READ_TEXT(s, 7, record->digest, damaged);
	record->supervisor.pid = sqlite3_column_int(s, 8);
	record->supervisor.start_ticks = (uint64_t)sqlite3_column_int64(s, 9);
	READ_TEXT(s, 10, record->supervisor.boot_id.s, damaged);
	READ_TEXT(s, 11, record->kernel, damaged);
	record->snapshot_bytes = (uint64_t)sqlite3_column_int64(s, 12);
	READ_TEXT(s, 13, record->machine, damaged);
	record->kvm = sqlite3_column_int(s, 14);
	READ_TEXT(s, 15, record->shutdown_boot.s, damaged);
	READ_TEXT(s, 16, record->state_error, damaged);
	record->has_exit_code = sqlite3_column_type(s, 17) != SQLITE_NULL;
	record->exit_code = sqlite3_column_int(s, 17);
	READ_TEXT(s, 18, record->exit_message, damaged);
}

static void functions_parse(const char *text, struct gpu_lease *lease, bool *damaged)
{
	while (text && *text) {
		size_t length = strcspn(text, " ");
		struct pci_addr_text one = { "" };

		if (lease->function_count == GPU_LEASE_FUNCTIONS_MAX || length >= sizeof(one.s)) {
			*damaged = true;
			return;
		}
		memcpy(one.s, text, length);
		if (pci_addr_parse(one.s, &lease->functions[lease->function_count++]) < 0)
			*damaged = true;
		text += length + (text[length] == ' ');
	}
}

static void read_hold(sqlite3_stmt *s, struct hold *hold, bool *damaged)
{
	struct gpu_lease *lease = &hold->lease;

	READ_TEXT(s, 0, hold->request.s, damaged);
	READ_TEXT(s, 1, hold->device, damaged);
	READ_TEXT(s, 2, lease->id.s, damaged);
	READ_TEXT(s, 3, lease->mdev_uuid.s, damaged);
	READ_TEXT(s, 4, lease->device_id.s, damaged);
	READ_TEXT(s, 5, lease->profile, damaged);
	READ_TEXT(s, 6, lease->pci_address, damaged);
	lease->framebuffer_mb = (uint32_t)sqlite3_column_int64(s, 7);
	lease->numa_node = sqlite3_column_int(s, 8);
	lease->simulated = sqlite3_column_int(s, 9);
	functions_parse((const char *)sqlite3_column_text(s, 10), lease, damaged);
	READ_TEXT(s, 11, lease->device_node, damaged);
	READ_TEXT(s, 12, lease->sysfs_path, damaged);
}

/* As many holds as the spec asks for, and what is recorded of them. */
static int read_holds(struct records *records, const struct spec *spec, struct record *record,
		      struct err *err)
{
	scoped_statement *s = NULL;
	bool damaged = false;
	int r;

	record->hold_count = spec_hold_count(spec);
	if (records_prepare(records,
			    "SELECT " HOLD_COLUMNS ", number FROM holds WHERE instance = ?1", &s,
			    err) < 0)
		return -1;
	records_bind_text(s, 1, record->id.s);
	while ((r = sqlite3_step(s)) == SQLITE_ROW) {
		int64_t number = sqlite3_column_int64(s, HOLD_COUNT);

		if (number < 0 || number >= record->hold_count)
			damaged = true;
		else
			read_hold(s, &record->holds[number], &damaged);
	}
	if (r != SQLITE_DONE)
		return records_fail(records, err, "read what the instance holds");
	return damaged ? err_set(err, ERR_INTERNAL, "what it holds was never written so") : 0;
}

static int read_row(struct records *records, sqlite3_stmt *s, struct record *record,
		    struct spec **ret_spec, struct err *err)
{
	scoped(spec_free) struct spec *spec = NULL;
	bool damaged = false;

	memset(record, 0, sizeof(*record));
	read_mutable(s, record, &damaged);
	record->sequence = (uint64_t)sqlite3_column_int64(s, MUTABLE_COUNT);
	READ_TEXT(s, MUTABLE_COUNT + 1, record->id.s, &damaged);
	READ_TEXT(s, MUTABLE_COUNT + 2, record->uuid.s, &damaged);
	record->slot = (uint32_t)sqlite3_column_int64(s, MUTABLE_COUNT + 3);
	record->created_ms = sqlite3_column_int64(s, MUTABLE_COUNT + 4);
	READ_TEXT(s, MUTABLE_COUNT + 6, record->principal, &damaged);
	if (damaged || !id_is_valid(record->id.s) || !uuid_is_valid(record->uuid.s))
		return err_set(err, ERR_INTERNAL, "a field has a form that was never written");
	if (spec_load(sqlite3_column_blob(s, MUTABLE_COUNT + 5),
		      (size_t)sqlite3_column_bytes(s, MUTABLE_COUNT + 5), &spec, err) < 0 ||
	    read_holds(records, spec, record, err) < 0)
		return -1;
	*ret_spec = TAKE_PTR(spec);
	return 0;
}

int records_load(struct records *records, const struct records_visitor *visitor, struct err *err)
{
	SCOPED_LOCK(records);
	scoped_statement *s = NULL;
	int r;

	if (records_prepare(records,
			    "SELECT " MUTABLE_COLUMNS ", sequence, id, uuid, slot, created_ms, "
			    "spec, principal FROM instances ORDER BY sequence",
			    &s, err) < 0)
		return -1;
	while ((r = sqlite3_step(s)) == SQLITE_ROW) {
		struct spec *spec = NULL;
		struct record record;
		struct err why;

		if (read_row(records, s, &record, &spec, &why) < 0) {
			const unsigned char *id = sqlite3_column_text(s, MUTABLE_COUNT + 1);

			visitor->damaged(visitor->user, id ? (const char *)id : "?", &why);
			continue;
		}
		if (visitor->record(visitor->user, &record, spec, err) < 0)
			return -1;
	}
	return r == SQLITE_DONE ? 0 : records_fail(records, err, "read the instance records");
}

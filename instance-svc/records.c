/* SPDX-License-Identifier: Apache-2.0 */
#include "records.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <sqlite3.h>

#define SCHEMA_VERSION 1

struct records {
	pthread_mutex_t lock; /* a statement and its result belong together */
	sqlite3 *db;
};

/* One row an instance. A dropped one has no name, so that the name is free. */
static const char schema[] =
	"CREATE TABLE instances ("
	" sequence INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,"
	" uuid TEXT NOT NULL, name TEXT UNIQUE, spec BLOB NOT NULL,"
	" slot INTEGER NOT NULL UNIQUE, created_ms INTEGER NOT NULL,"
	" state INTEGER NOT NULL, deleting INTEGER NOT NULL, dropped INTEGER NOT NULL,"
	" started_ms INTEGER NOT NULL, stopped_ms INTEGER NOT NULL, digest TEXT NOT NULL,"
	" gpu_request TEXT NOT NULL, allocation TEXT NOT NULL, mdev_uuid TEXT NOT NULL,"
	" gpu_profile TEXT NOT NULL, pci_address TEXT NOT NULL,"
	" framebuffer_mb INTEGER NOT NULL, simulated INTEGER NOT NULL,"
	" device_node TEXT NOT NULL, sysfs_path TEXT NOT NULL,"
	" supervisor_pid INTEGER NOT NULL, supervisor_start INTEGER NOT NULL,"
	" boot_id TEXT NOT NULL, state_error TEXT NOT NULL, exit_code INTEGER,"
	" exit_message TEXT NOT NULL) STRICT;"
	"PRAGMA user_version = 1;";

#define MUTABLE_COLUMNS                                                                            \
	"state, deleting, dropped, started_ms, stopped_ms, digest, gpu_request, allocation, "      \
	"mdev_uuid, gpu_profile, pci_address, framebuffer_mb, simulated, device_node, "            \
	"sysfs_path, supervisor_pid, supervisor_start, boot_id, state_error, exit_code, "          \
	"exit_message"
#define MUTABLE_COUNT 21
#define MUTABLE_MARKS "?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18,?19,?20,?21"

static int fail(struct records *records, struct err *err, const char *what)
{
	return err_set(err, ERR_INTERNAL, "cannot %s: %s", what, sqlite3_errmsg(records->db));
}

static int prepare(struct records *records, const char *sql, sqlite3_stmt **ret, struct err *err)
{
	if (sqlite3_prepare_v2(records->db, sql, -1, ret, NULL) != SQLITE_OK)
		return fail(records, err, "ask the instance records");
	return 0;
}

static inline void statement_release(sqlite3_stmt *statement)
{
	sqlite3_finalize(statement);
}
SCOPED_DEFINE(sqlite3_stmt *, statement_release);
#define scoped_statement scoped(statement_release) sqlite3_stmt

static inline void mutex_release(pthread_mutex_t *mutex)
{
	pthread_mutex_unlock(mutex);
}
SCOPED_DEFINE(pthread_mutex_t *, mutex_release);

static pthread_mutex_t *locked(struct records *records)
{
	pthread_mutex_lock(&records->lock);
	return &records->lock;
}
#define SCOPED_LOCK(records)                                                                       \
	scoped(mutex_release) pthread_mutex_t *lock_ = locked(records);                            \
	(void)lock_

static int read_version(struct records *records, int *ret, struct err *err)
{
	scoped_statement *statement = NULL;

	if (prepare(records, "PRAGMA user_version", &statement, err) < 0)
		return -1;
	if (sqlite3_step(statement) != SQLITE_ROW)
		return fail(records, err, "read the version of the instance records");
	*ret = sqlite3_column_int(statement, 0);
	return 0;
}

static int set_up(struct records *records, struct err *err)
{
	int version = 0;

	if (sqlite3_exec(records->db,
			 "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
			 "PRAGMA busy_timeout = 5000;",
			 NULL, NULL, NULL) != SQLITE_OK)
		return fail(records, err, "open the instance records");
	if (read_version(records, &version, err) < 0)
		return -1;
	if (version == SCHEMA_VERSION)
		return 0;
	if (version != 0)
		return err_set(err, ERR_FAILED_PRECONDITION,
			       "the instance records have version %d, this program knows %d: use "
			       "the program that wrote them",
			       version, SCHEMA_VERSION);
	if (sqlite3_exec(records->db, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK ||
	    sqlite3_exec(records->db, schema, NULL, NULL, NULL) != SQLITE_OK ||
	    sqlite3_exec(records->db, "COMMIT", NULL, NULL, NULL) != SQLITE_OK)
		return fail(records, err, "lay out the instance records");
	return 0;
}

int records_open(const char *path, struct records **ret, struct err *err)
{
	struct records *records = calloc(1, sizeof(*records));
	mode_t mask;
	int r;

	if (!records)
		return err_sys(err, ENOMEM, "cannot open %s", path);
	pthread_mutex_init(&records->lock, NULL);
	mask = umask(0077);
	r = sqlite3_open_v2(path, &records->db,
			    SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_FULLMUTEX,
			    NULL);
	if (r == SQLITE_OK)
		r = set_up(records, err);
	else
		r = fail(records, err, "open the instance records");
	umask(mask);
	if (r < 0) {
		err_prefix(err, "%s", path);
		records_close(records);
		return -1;
	}
	*ret = records;
	return 0;
}

void records_close(struct records *records)
{
	if (!records)
		return;
	sqlite3_close(records->db);
	pthread_mutex_destroy(&records->lock);
	free(records);
}

static void bind_text(sqlite3_stmt *statement, int index, const char *text)
{
	sqlite3_bind_text(statement, index, text, -1, SQLITE_TRANSIENT);
}

/* Parameters 1 to MUTABLE_COUNT. Binding fails only without memory, which stepping reports. */
static void bind_mutable(sqlite3_stmt *s, const struct record *record)
{
	const struct gpu_lease *lease = &record->lease;

	sqlite3_bind_int(s, 1, (int)record->state);
	sqlite3_bind_int(s, 2, record->deleting);
	sqlite3_bind_int(s, 3, record->dropped);
	sqlite3_bind_int64(s, 4, record->started_ms);
	sqlite3_bind_int64(s, 5, record->stopped_ms);
	bind_text(s, 6, record->digest);
	bind_text(s, 7, record->gpu_request.s);
	bind_text(s, 8, lease->id.s);
	bind_text(s, 9, lease->mdev_uuid.s);
	bind_text(s, 10, lease->profile);
	bind_text(s, 11, lease->pci_address);
	sqlite3_bind_int64(s, 12, lease->framebuffer_mb);
	sqlite3_bind_int(s, 13, lease->simulated);
	bind_text(s, 14, lease->device_node);
	bind_text(s, 15, lease->sysfs_path);
	sqlite3_bind_int(s, 16, record->supervisor.pid);
	sqlite3_bind_int64(s, 17, (int64_t)record->supervisor.start_ticks);
	bind_text(s, 18, record->supervisor.boot_id.s);
	bind_text(s, 19, record->state_error);
	if (record->has_exit_code)
		sqlite3_bind_int(s, 20, record->exit_code);
	bind_text(s, 21, record->exit_message);
}

int records_insert(struct records *records, struct record *record, const struct spec *spec,
		   struct err *err)
{
	SCOPED_LOCK(records);
	scoped_statement *s = NULL;
	scoped_free void *bytes = NULL;
	size_t size = 0;
	int r;

	bytes = spec_save(spec, &size);
	if (!bytes)
		return err_sys(err, ENOMEM, "cannot record the instance");
	if (prepare(records,
		    "INSERT INTO instances (" MUTABLE_COLUMNS
		    ", id, uuid, name, spec, slot, created_ms) VALUES (" MUTABLE_MARKS
		    ",?22,?23,?24,?25,?26,?27)",
		    &s, err) < 0)
		return -1;
	bind_mutable(s, record);
	bind_text(s, 22, record->id.s);
	bind_text(s, 23, record->uuid.s);
	bind_text(s, 24, spec->name);
	sqlite3_bind_blob64(s, 25, bytes, size, SQLITE_TRANSIENT);
	sqlite3_bind_int64(s, 26, record->slot);
	sqlite3_bind_int64(s, 27, record->created_ms);
	r = sqlite3_step(s);
	if (r == SQLITE_CONSTRAINT && strstr(sqlite3_errmsg(records->db), "instances.name"))
		return err_set(err, ERR_NAME_TAKEN, "name is '%s', which another instance has",
			       spec->name);
	if (r != SQLITE_DONE)
		return fail(records, err, "record the instance");
	record->sequence = (uint64_t)sqlite3_last_insert_rowid(records->db);
	return 0;
}

int records_update(struct records *records, const struct record *record, struct err *err)
{
	SCOPED_LOCK(records);
	scoped_statement *s = NULL;

	if (prepare(records,
		    "UPDATE instances SET (" MUTABLE_COLUMNS ") = (" MUTABLE_MARKS
		    "), name = CASE WHEN ?3 THEN NULL ELSE name END WHERE id = ?22",
		    &s, err) < 0)
		return -1;
	bind_mutable(s, record);
	bind_text(s, 22, record->id.s);
	if (sqlite3_step(s) != SQLITE_DONE)
		return fail(records, err, "record a change of the instance");
	return 0;
}

int records_remove(struct records *records, const struct id *id, struct err *err)
{
	SCOPED_LOCK(records);
	scoped_statement *s = NULL;

	if (prepare(records, "DELETE FROM instances WHERE id = ?1", &s, err) < 0)
		return -1;
	bind_text(s, 1, id->s);
	if (sqlite3_step(s) != SQLITE_DONE)
		return fail(records, err, "remove the record of the instance");
	return 0;
}

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
	struct gpu_lease *lease = &record->lease;
	int state = sqlite3_column_int(s, 0);

	if (!state_is_valid(state))
		*damaged = true;
	record->state = (enum instance_state)state;
	record->deleting = sqlite3_column_int(s, 1);
	record->dropped = sqlite3_column_int(s, 2);
	record->started_ms = sqlite3_column_int64(s, 3);
	record->stopped_ms = sqlite3_column_int64(s, 4);
	READ_TEXT(s, 5, record->digest, damaged);
	READ_TEXT(s, 6, record->gpu_request.s, damaged);
	READ_TEXT(s, 7, lease->id.s, damaged);
	READ_TEXT(s, 8, lease->mdev_uuid.s, damaged);
	READ_TEXT(s, 9, lease->profile, damaged);
	READ_TEXT(s, 10, lease->pci_address, damaged);
	lease->framebuffer_mb = (uint32_t)sqlite3_column_int64(s, 11);
	lease->simulated = sqlite3_column_int(s, 12);
	READ_TEXT(s, 13, lease->device_node, damaged);
	READ_TEXT(s, 14, lease->sysfs_path, damaged);
	record->supervisor.pid = sqlite3_column_int(s, 15);
	record->supervisor.start_ticks = (uint64_t)sqlite3_column_int64(s, 16);
	READ_TEXT(s, 17, record->supervisor.boot_id.s, damaged);
	READ_TEXT(s, 18, record->state_error, damaged);
	record->has_exit_code = sqlite3_column_type(s, 19) != SQLITE_NULL;
	record->exit_code = sqlite3_column_int(s, 19);
	READ_TEXT(s, 20, record->exit_message, damaged);
}

static int read_row(sqlite3_stmt *s, struct record *record, struct spec **ret_spec, struct err *err)
{
	bool damaged = false;

	memset(record, 0, sizeof(*record));
	read_mutable(s, record, &damaged);
	record->sequence = (uint64_t)sqlite3_column_int64(s, MUTABLE_COUNT);
	READ_TEXT(s, MUTABLE_COUNT + 1, record->id.s, &damaged);
	READ_TEXT(s, MUTABLE_COUNT + 2, record->uuid.s, &damaged);
	record->slot = (uint32_t)sqlite3_column_int64(s, MUTABLE_COUNT + 3);
	record->created_ms = sqlite3_column_int64(s, MUTABLE_COUNT + 4);
	if (damaged || !id_is_valid(record->id.s) || !uuid_is_valid(record->uuid.s))
		return err_set(err, ERR_INTERNAL, "a field has a form that was never written");
	return spec_load(sqlite3_column_blob(s, MUTABLE_COUNT + 5),
			 (size_t)sqlite3_column_bytes(s, MUTABLE_COUNT + 5), ret_spec, err);
}

int records_load(struct records *records, const struct records_visitor *visitor, struct err *err)
{
	SCOPED_LOCK(records);
	scoped_statement *s = NULL;
	int r;

	if (prepare(records,
		    "SELECT " MUTABLE_COLUMNS ", sequence, id, uuid, slot, created_ms, spec "
		    "FROM instances ORDER BY sequence",
		    &s, err) < 0)
		return -1;
	while ((r = sqlite3_step(s)) == SQLITE_ROW) {
		struct spec *spec = NULL;
		struct record record;
		struct err why;

		if (read_row(s, &record, &spec, &why) < 0) {
			const unsigned char *id = sqlite3_column_text(s, MUTABLE_COUNT + 1);

			visitor->damaged(visitor->user, id ? (const char *)id : "?", &why);
			continue;
		}
		if (visitor->record(visitor->user, &record, spec, err) < 0)
			return -1;
	}
	return r == SQLITE_DONE ? 0 : fail(records, err, "read the instance records");
}

int records_free_slot(struct records *records, uint32_t limit, uint32_t *ret, struct err *err)
{
	SCOPED_LOCK(records);
	scoped_statement *s = NULL;
	uint32_t slot = 0;
	int r;

	if (prepare(records, "SELECT slot FROM instances ORDER BY slot", &s, err) < 0)
		return -1;
	while ((r = sqlite3_step(s)) == SQLITE_ROW && sqlite3_column_int64(s, 0) == slot)
		slot++;
	if (r != SQLITE_ROW && r != SQLITE_DONE)
		return fail(records, err, "read the instance records");
	if (slot >= limit)
		return err_set(err, ERR_INSUFFICIENT_CAPACITY,
			       "all %u user ids for virtual machines are taken: delete instances, "
			       "or widen our range in /etc/subuid and /etc/subgid",
			       limit);
	*ret = slot;
	return 0;
}

int records_claim(struct records *records, const char *allocation_id, const char *request_id,
		  bool *ret, struct err *err)
{
	SCOPED_LOCK(records);
	scoped_statement *s = NULL;

	if (prepare(records,
		    "SELECT count(*) FROM instances WHERE allocation = ?1 OR gpu_request = ?2", &s,
		    err) < 0)
		return -1;
	bind_text(s, 1, allocation_id);
	bind_text(s, 2, request_id);
	if (sqlite3_step(s) != SQLITE_ROW)
		return fail(records, err, "look for the owner of a GPU");
	*ret = sqlite3_column_int64(s, 0) > 0;
	return 0;
}

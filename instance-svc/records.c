/* SPDX-License-Identifier: Apache-2.0 */
/* The database as a whole: its tables through the versions, and questions over all of it. */
#include "records.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "records_internal.h"

/* One row an instance. A dropped one has no name, so that the name is free. */
static const char version_1[] =
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
	" exit_message TEXT NOT NULL) STRICT;";

/*
 * An instance may hold several devices. A hold's number is its place in the record. What an
 * instance is to become is on disk, and what a creation was asked for by.
 */
static const char version_2[] =
	"CREATE TABLE holds ("
	" instance TEXT NOT NULL, number INTEGER NOT NULL, request TEXT NOT NULL,"
	" device TEXT NOT NULL, allocation TEXT NOT NULL, mdev_uuid TEXT NOT NULL,"
	" device_id TEXT NOT NULL, profile TEXT NOT NULL, pci_address TEXT NOT NULL,"
	" framebuffer_mb INTEGER NOT NULL, numa_node INTEGER NOT NULL,"
	" simulated INTEGER NOT NULL, functions TEXT NOT NULL, device_node TEXT NOT NULL,"
	" sysfs_path TEXT NOT NULL, PRIMARY KEY (instance, number)) STRICT, WITHOUT ROWID;"
	"INSERT INTO holds SELECT id, 0, gpu_request, '', allocation, mdev_uuid, '', gpu_profile,"
	" pci_address, framebuffer_mb, -1, simulated, '', device_node, sysfs_path"
	" FROM instances WHERE gpu_request <> '' OR gpu_profile <> '';"
	"ALTER TABLE instances DROP COLUMN gpu_request;"
	"ALTER TABLE instances DROP COLUMN allocation;"
	"ALTER TABLE instances DROP COLUMN mdev_uuid;"
	"ALTER TABLE instances DROP COLUMN gpu_profile;"
	"ALTER TABLE instances DROP COLUMN pci_address;"
	"ALTER TABLE instances DROP COLUMN framebuffer_mb;"
	"ALTER TABLE instances DROP COLUMN simulated;"
	"ALTER TABLE instances DROP COLUMN device_node;"
	"ALTER TABLE instances DROP COLUMN sysfs_path;"
	"ALTER TABLE instances ADD COLUMN goal INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE instances ADD COLUMN stop_ms INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE instances ADD COLUMN kernel TEXT NOT NULL DEFAULT '';"
	"ALTER TABLE instances ADD COLUMN snapshot_bytes INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE instances ADD COLUMN machine TEXT NOT NULL DEFAULT '';"
	"ALTER TABLE instances ADD COLUMN kvm INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE instances ADD COLUMN shutdown_boot TEXT NOT NULL DEFAULT '';"
	"CREATE TABLE requests ("
	" principal TEXT NOT NULL, request_id TEXT NOT NULL, body TEXT NOT NULL,"
	" instance TEXT NOT NULL, created_ms INTEGER NOT NULL,"
	" PRIMARY KEY (principal, request_id)) STRICT, WITHOUT ROWID;";

/* Whose quota an instance counts against. */
static const char version_3[] =
	"ALTER TABLE instances ADD COLUMN principal TEXT NOT NULL DEFAULT '';";

/* From version i to i + 1. */
static const char *const steps[] = { version_1, version_2, version_3 };

#define SCHEMA_VERSION ((int)(sizeof(steps) / sizeof(steps[0])))

/* A full disk is the one failure that the operator of the host can do something about. */
int records_fail(struct records *records, struct err *err, const char *what)
{
	if (sqlite3_errcode(records->db) == SQLITE_FULL)
		return err_set(err, ERR_INSUFFICIENT_CAPACITY,
			       "cannot %s: the disk that holds the records is full", what);
	return err_set(err, ERR_INTERNAL, "cannot %s: %s", what, sqlite3_errmsg(records->db));
}

int records_prepare(struct records *records, const char *sql, sqlite3_stmt **ret, struct err *err)
{
	if (sqlite3_prepare_v2(records->db, sql, -1, ret, NULL) != SQLITE_OK)
		return records_fail(records, err, "ask the instance records");
	return 0;
}

int records_begin(struct records *records, struct err *err)
{
	if (sqlite3_exec(records->db, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK)
		return records_fail(records, err, "change the instance records");
	return 0;
}

int records_commit(struct records *records, struct err *err)
{
	if (sqlite3_exec(records->db, "COMMIT", NULL, NULL, NULL) != SQLITE_OK)
		return records_fail(records, err, "change the instance records");
	return 0;
}

void records_end(struct records *records)
{
	if (records && !sqlite3_get_autocommit(records->db))
		sqlite3_exec(records->db, "ROLLBACK", NULL, NULL, NULL);
}

void records_bind_text(sqlite3_stmt *statement, int index, const char *text)
{
	sqlite3_bind_text(statement, index, text, -1, SQLITE_TRANSIENT);
}

static int read_version(struct records *records, int *ret, struct err *err)
{
	scoped_statement *statement = NULL;

	if (records_prepare(records, "PRAGMA user_version", &statement, err) < 0)
		return -1;
	if (sqlite3_step(statement) != SQLITE_ROW)
		return records_fail(records, err, "read the version of the instance records");
	*ret = sqlite3_column_int(statement, 0);
	return 0;
}

/* All steps or none: a crash in between leaves the version that was there. */
static int bring_up_to_date(struct records *records, int version, struct err *err)
{
	scoped(records_end) struct records *transaction = records;
	char set_version[64];

	if (records_begin(transaction, err) < 0)
		return -1;
	for (int i = version; i < SCHEMA_VERSION; i++)
		if (sqlite3_exec(records->db, steps[i], NULL, NULL, NULL) != SQLITE_OK)
			return records_fail(records, err, "lay out the instance records");
	snprintf(set_version, sizeof(set_version), "PRAGMA user_version = %d", SCHEMA_VERSION);
	if (sqlite3_exec(records->db, set_version, NULL, NULL, NULL) != SQLITE_OK)
		return records_fail(records, err, "lay out the instance records");
	return records_commit(records, err);
}

static int set_up(struct records *records, struct err *err)
{
	int version = 0;

	if (sqlite3_exec(records->db,
			 "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
			 "PRAGMA busy_timeout = 5000;"
			 "PRAGMA cache_size = -256;" /* KiB: what lives is in our memory */,
			 NULL, NULL, NULL) != SQLITE_OK)
		return records_fail(records, err, "open the instance records");
	if (read_version(records, &version, err) < 0)
		return -1;
	if (version < 0 || version > SCHEMA_VERSION)
		return err_set(err, ERR_FAILED_PRECONDITION,
			       "the instance records have version %d, this program knows %d: use "
			       "the program that wrote them",
			       version, SCHEMA_VERSION);
	return version < SCHEMA_VERSION ? bring_up_to_date(records, version, err) : 0;
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
		r = records_fail(records, err, "open the instance records");
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

int records_free_slot(struct records *records, uint32_t limit, uint32_t *ret, struct err *err)
{
	SCOPED_LOCK(records);
	scoped_statement *s = NULL;
	uint32_t slot = 0;
	int r;

	if (records_prepare(records, "SELECT slot FROM instances ORDER BY slot", &s, err) < 0)
		return -1;
	while ((r = sqlite3_step(s)) == SQLITE_ROW && sqlite3_column_int64(s, 0) == slot)
		slot++;
	if (r != SQLITE_ROW && r != SQLITE_DONE)
		return records_fail(records, err, "read the instance records");
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

	if (records_prepare(records,
			    "SELECT count(*) FROM holds WHERE allocation = ?1 OR request = ?2", &s,
			    err) < 0)
		return -1;
	records_bind_text(s, 1, allocation_id);
	records_bind_text(s, 2, request_id);
	if (sqlite3_step(s) != SQLITE_ROW)
		return records_fail(records, err, "look for the owner of a GPU");
	*ret = sqlite3_column_int64(s, 0) > 0;
	return 0;
}

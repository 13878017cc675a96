/* SPDX-License-Identifier: Apache-2.0 */
#include "records.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>

#include <fcntl.h>

#include "records_db.h"

#define SCHEMA_VERSION	2
#define BUSY_TIMEOUT_MS 2000

/* clang-format off */
static const char schema[] =
	"CREATE TABLE allocation ("
	" sequence INTEGER PRIMARY KEY,"
	" id TEXT NOT NULL UNIQUE,"
	" principal TEXT NOT NULL,"
	" request_id TEXT," /* NULL: undone */
	" owner TEXT NOT NULL,"
	" state INTEGER NOT NULL,"
	" profile TEXT NOT NULL,"
	" type TEXT NOT NULL,"
	" framebuffer_mb INTEGER NOT NULL,"
	" slot TEXT NOT NULL,"
	" gpu TEXT NOT NULL,"
	" numa_node INTEGER NOT NULL,"
	" iommu_group INTEGER NOT NULL,"
	" grant_gid INTEGER NOT NULL,"
	" create_time_ms INTEGER NOT NULL,"
	" boot_id TEXT NOT NULL,"
	" kind INTEGER NOT NULL,"
	" UNIQUE (principal, request_id)"
	") STRICT;"
	"CREATE INDEX allocation_live ON allocation (sequence) WHERE state < 4;"
	"CREATE TABLE vgpu_type ("
	" vendor INTEGER NOT NULL,"
	" device INTEGER NOT NULL,"
	" subsystem_vendor INTEGER NOT NULL,"
	" subsystem_device INTEGER NOT NULL,"
	" id TEXT NOT NULL,"
	" name TEXT NOT NULL,"
	" framebuffer_mb INTEGER NOT NULL,"
	" max_instance INTEGER NOT NULL,"
	" PRIMARY KEY (vendor, device, subsystem_vendor, subsystem_device, id)"
	") STRICT;"
	"PRAGMA user_version = 2;";

/* Schema 1 knew mdevs only. */
static const char upgrade[] =
	"ALTER TABLE allocation ADD COLUMN kind INTEGER NOT NULL DEFAULT 1;"
	"PRAGMA user_version = 2;";

#define COLUMNS                                                                                    \
	"sequence, id, principal, request_id, owner, state, profile, type, framebuffer_mb, slot,"  \
	" gpu, numa_node, iommu_group, grant_gid, create_time_ms, boot_id, kind"

enum statement {
	LOAD, LAST_SEQUENCE, ADD, SET_STATE, UNDO, FIND, FIND_REQUEST, LOAD_TYPES, SAVE_TYPE,
	BEGIN, COMMIT, ROLLBACK,
	STATEMENT_COUNT,
};

static const char *const statements[STATEMENT_COUNT] = {
	[LOAD] = "SELECT " COLUMNS " FROM allocation WHERE state < 4 ORDER BY sequence",
	[LAST_SEQUENCE] = "SELECT coalesce(max(sequence), 0) FROM allocation",
	[ADD] = ("INSERT INTO allocation (" COLUMNS ")"
		 " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)"),
	[SET_STATE] = "UPDATE allocation SET state = ?2, iommu_group = ?3 WHERE id = ?1",
	[UNDO] = "UPDATE allocation SET state = 5, request_id = NULL WHERE id = ?1",
	[FIND] = "SELECT " COLUMNS " FROM allocation WHERE id = ?1",
	[FIND_REQUEST] = ("SELECT " COLUMNS " FROM allocation"
			  " WHERE principal = ?1 AND request_id = ?2"),
	[LOAD_TYPES] = ("SELECT vendor, device, subsystem_vendor, subsystem_device, id, name,"
			" framebuffer_mb, max_instance FROM vgpu_type"),
	[SAVE_TYPE] = "INSERT OR REPLACE INTO vgpu_type VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
	[BEGIN] = "BEGIN IMMEDIATE",
	[COMMIT] = "COMMIT",
	[ROLLBACK] = "ROLLBACK",
};
/* clang-format on */

struct records {
	pthread_mutex_t lock; /* for everything below */
	sqlite3 *db;
	sqlite3_stmt *prepared[STATEMENT_COUNT];
	int lock_fd; /* flock: one serve per database */
};

static int db_err(struct records *records, struct err *err, const char *what)
{
	return err_set(err, ERR_INTERNAL, "cannot %s the database: %s", what,
		       records->db ? sqlite3_errmsg(records->db) : "out of memory");
}

static sqlite3_stmt *statement_get(struct records *records, enum statement statement)
{
	sqlite3_stmt *stmt = records->prepared[statement];

	sqlite3_reset(stmt);
	sqlite3_clear_bindings(stmt);
	return stmt;
}

/* Runs a statement that returns no row. */
static int run(struct records *records, enum statement statement, struct err *err)
{
	sqlite3_stmt *stmt = records->prepared[statement];
	int r = sqlite3_step(stmt);

	if (r != SQLITE_DONE)
		db_err(records, err, "write");
	sqlite3_reset(stmt);
	return r == SQLITE_DONE ? 0 : -1;
}

/* The same, for a change that must meet a row. */
static int run_on_one(struct records *records, enum statement statement, const char *id,
		      struct err *err)
{
	if (run(records, statement, err))
		return -1;
	if (sqlite3_changes(records->db) != 1)
		return err_set(err, ERR_INTERNAL, "allocation %s is not in the database", id);
	return 0;
}

/* ---- Opening -------------------------------------------------------------------- */

static int lock_database(struct records *records, const char *state_dir, struct err *err)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/gpu-agent.db.lock", state_dir);
	records->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (records->lock_fd < 0)
		return err_sys(err, errno, "cannot open %s", path);
	if (flock(records->lock_fd, LOCK_EX | LOCK_NB) < 0)
		return err_sys(err, errno, "another gpu-agent-serve uses %s", state_dir);
	return 0;
}

static int read_version(struct records *records, int *ret, struct err *err)
{
	sqlite3_stmt *stmt = NULL;
	int r = sqlite3_prepare_v2(records->db, "PRAGMA user_version", -1, &stmt, NULL);

	if (r == SQLITE_OK)
		r = sqlite3_step(stmt);
	if (r == SQLITE_ROW)
		*ret = sqlite3_column_int(stmt, 0);
	sqlite3_finalize(stmt);
	return r == SQLITE_ROW ? 0 : db_err(records, err, "read the version of");
}

static int prepare_schema(struct records *records, const char *path, struct err *err)
{
	int version = 0;

	if (read_version(records, &version, err))
		return -1;
	if (version > SCHEMA_VERSION)
		return err_set(
			err, ERR_FAILED_PRECONDITION,
			"%s has schema %d, this program knows up to %d: it was written by a newer hypeman",
			path, version, SCHEMA_VERSION);
	if (version == SCHEMA_VERSION)
		return 0;
	if (run(records, BEGIN, err))
		return -1;
	if (sqlite3_exec(records->db, version ? upgrade : schema, NULL, NULL, NULL) != SQLITE_OK) {
		db_err(records, err, version ? "upgrade" : "create the tables of");
		(void)sqlite3_exec(records->db, "ROLLBACK", NULL, NULL, NULL);
		return -1;
	}
	return run(records, COMMIT, err);
}

static int prepare(struct records *records, int first, int last, struct err *err)
{
	for (int i = first; i <= last; i++)
		if (sqlite3_prepare_v3(records->db, statements[i], -1, SQLITE_PREPARE_PERSISTENT,
				       &records->prepared[i], NULL) != SQLITE_OK)
			return db_err(records, err, "prepare a statement of");
	return 0;
}

static int open_database(struct records *records, const char *path, struct err *err)
{
	const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX |
			  SQLITE_OPEN_EXRESCODE;

	if (sqlite3_open_v2(path, &records->db, flags, NULL) != SQLITE_OK)
		return db_err(records, err, "open");
	sqlite3_busy_timeout(records->db, BUSY_TIMEOUT_MS);
	if (sqlite3_exec(records->db,
			 "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
			 "PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF;"
			 "PRAGMA cache_size = -256;" /* KiB: what lives is in our memory */,
			 NULL, NULL, NULL) != SQLITE_OK)
		return db_err(records, err, "set up");
	if (prepare(records, BEGIN, ROLLBACK, err) || prepare_schema(records, path, err))
		return -1;
	if (registry_prepare(records->db) != SQLITE_OK)
		return db_err(records, err, "create the tables of");
	return prepare(records, LOAD, SAVE_TYPE, err);
}

int records_open(const char *state_dir, struct records **ret, struct err *err)
{
	scoped(records_close) struct records *records = calloc(1, sizeof(*records));
	char path[4096];

	if (!records)
		return err_sys(err, ENOMEM, "cannot open the database");
	records->lock_fd = -1;
	pthread_mutex_init(&records->lock, NULL);
	snprintf(path, sizeof(path), "%s/gpu-agent.db", state_dir);
	if (lock_database(records, state_dir, err))
		return -1;
	if (open_database(records, path, err))
		return err_prefix(err, "%s", path);
	*ret = TAKE_PTR(records);
	return 0;
}

void records_close(struct records *records)
{
	if (!records)
		return;
	for (int i = 0; i < STATEMENT_COUNT; i++)
		sqlite3_finalize(records->prepared[i]);
	sqlite3_close(records->db);
	if (records->lock_fd >= 0)
		close(records->lock_fd);
	pthread_mutex_destroy(&records->lock);
	free(records);
}

sqlite3 *records_db_lock(struct records *records)
{
	pthread_mutex_lock(&records->lock);
	return records->db;
}

void records_db_unlock(struct records *records)
{
	pthread_mutex_unlock(&records->lock);
}

/* ---- Rows ----------------------------------------------------------------------- */

static void bind_text(sqlite3_stmt *stmt, int column, const char *text)
{
	sqlite3_bind_text(stmt, column, text, -1, SQLITE_TRANSIENT);
}

static void bind_allocation(sqlite3_stmt *stmt, const struct allocation *a)
{
	sqlite3_bind_int64(stmt, 1, (sqlite3_int64)a->sequence);
	bind_text(stmt, 2, a->id);
	bind_text(stmt, 3, a->principal);
	bind_text(stmt, 4, a->request_id);
	bind_text(stmt, 5, a->owner);
	sqlite3_bind_int(stmt, 6, a->state);
	bind_text(stmt, 7, a->profile);
	bind_text(stmt, 8, a->type);
	sqlite3_bind_int(stmt, 9, a->framebuffer_mb);
	bind_text(stmt, 10, PCI_STR(a->slot));
	bind_text(stmt, 11, PCI_STR(a->gpu));
	sqlite3_bind_int(stmt, 12, a->numa_node);
	sqlite3_bind_int64(stmt, 13, a->iommu_group);
	sqlite3_bind_int64(stmt, 14, a->grant_gid);
	sqlite3_bind_int64(stmt, 15, a->create_time_ms);
	bind_text(stmt, 16, a->boot_id);
	sqlite3_bind_int(stmt, 17, a->kind);
}

bool records_column_text(sqlite3_stmt *stmt, int column, char *to, size_t size)
{
	const char *text = (const char *)sqlite3_column_text(stmt, column);

	return snprintf(to, size, "%s", text ? text : "") < (int)size;
}

bool records_column_address(sqlite3_stmt *stmt, int column, struct pci_addr *ret)
{
	struct pci_addr_text text;

	return records_column_text(stmt, column, text.s, sizeof(text.s)) &&
	       pci_addr_parse(text.s, ret) == 0;
}

static int read_allocation(sqlite3_stmt *stmt, struct allocation *ret, struct err *err)
{
	struct allocation a = {
		.sequence = (uint64_t)sqlite3_column_int64(stmt, 0),
		.state = (enum allocation_state)sqlite3_column_int(stmt, 5),
		.framebuffer_mb = sqlite3_column_int(stmt, 8),
		.numa_node = sqlite3_column_int(stmt, 11),
		.iommu_group = (uint32_t)sqlite3_column_int64(stmt, 12),
		.grant_gid = (uint32_t)sqlite3_column_int64(stmt, 13),
		.create_time_ms = sqlite3_column_int64(stmt, 14),
		.kind = (enum allocation_kind)sqlite3_column_int(stmt, 16),
	};

	if (!records_column_text(stmt, 1, a.id, sizeof(a.id)) ||
	    !records_column_text(stmt, 2, a.principal, sizeof(a.principal)) ||
	    !records_column_text(stmt, 3, a.request_id, sizeof(a.request_id)) ||
	    !records_column_text(stmt, 4, a.owner, sizeof(a.owner)) ||
	    !records_column_text(stmt, 6, a.profile, sizeof(a.profile)) ||
	    !records_column_text(stmt, 7, a.type, sizeof(a.type)) ||
	    !records_column_address(stmt, 9, &a.slot) ||
	    !records_column_address(stmt, 10, &a.gpu) ||
	    !records_column_text(stmt, 15, a.boot_id, sizeof(a.boot_id)))
		return err_set(err, ERR_INTERNAL,
			       "the database's allocation %" PRIu64 " is not one we wrote",
			       a.sequence);
	*ret = a;
	return 0;
}

static int load_locked(struct records *records, struct allocation **ret, size_t *ret_count,
		       struct err *err)
{
	scoped_free struct allocation *loaded = NULL;
	sqlite3_stmt *stmt = statement_get(records, LOAD);
	size_t count = 0;
	int r;

	while ((r = sqlite3_step(stmt)) == SQLITE_ROW) {
		struct allocation *grown = realloc(loaded, (count + 1) * sizeof(*grown));

		if (!grown)
			return err_sys(err, ENOMEM, "cannot load the allocations");
		loaded = grown;
		if (read_allocation(stmt, &loaded[count], err))
			return -1;
		count++;
	}
	if (r != SQLITE_DONE)
		return db_err(records, err, "read");
	*ret = TAKE_PTR(loaded);
	*ret_count = count;
	return 0;
}

int records_load(struct records *records, struct allocation **ret, size_t *ret_count,
		 struct err *err)
{
	int r;

	pthread_mutex_lock(&records->lock);
	r = load_locked(records, ret, ret_count, err);
	sqlite3_reset(records->prepared[LOAD]);
	pthread_mutex_unlock(&records->lock);
	return r;
}

int records_last_sequence(struct records *records, uint64_t *ret, struct err *err)
{
	sqlite3_stmt *stmt;
	int r = 0;

	pthread_mutex_lock(&records->lock);
	stmt = statement_get(records, LAST_SEQUENCE);
	if (sqlite3_step(stmt) == SQLITE_ROW)
		*ret = (uint64_t)sqlite3_column_int64(stmt, 0);
	else
		r = db_err(records, err, "read");
	sqlite3_reset(stmt);
	pthread_mutex_unlock(&records->lock);
	return r;
}

int records_add(struct records *records, const struct allocation *allocation, struct err *err)
{
	sqlite3_stmt *stmt;
	int r;

	pthread_mutex_lock(&records->lock);
	stmt = statement_get(records, ADD);
	bind_allocation(stmt, allocation);
	r = sqlite3_step(stmt);
	if ((r & 0xff) == SQLITE_CONSTRAINT)
		err_set(err, ERR_ABORTED, "request_id '%s' has just been used by another call",
			allocation->request_id);
	else if (r != SQLITE_DONE)
		db_err(records, err, "write");
	sqlite3_reset(stmt);
	pthread_mutex_unlock(&records->lock);
	return r == SQLITE_DONE ? 0 : -1;
}

int records_set_state(struct records *records, const struct allocation *allocation,
		      enum allocation_state state, struct err *err)
{
	sqlite3_stmt *stmt;
	int r;

	pthread_mutex_lock(&records->lock);
	stmt = statement_get(records, SET_STATE);
	bind_text(stmt, 1, allocation->id);
	sqlite3_bind_int(stmt, 2, state);
	sqlite3_bind_int64(stmt, 3, allocation->iommu_group);
	r = run_on_one(records, SET_STATE, allocation->id, err);
	pthread_mutex_unlock(&records->lock);
	return r;
}

int records_undo(struct records *records, const char *id, struct err *err)
{
	int r;

	pthread_mutex_lock(&records->lock);
	bind_text(statement_get(records, UNDO), 1, id);
	r = run_on_one(records, UNDO, id, err);
	pthread_mutex_unlock(&records->lock);
	return r;
}

static int find_one(struct records *records, sqlite3_stmt *stmt, struct allocation *ret,
		    struct err *err)
{
	int r = sqlite3_step(stmt);
	int found = -1;

	if (r == SQLITE_DONE)
		found = 0;
	else if (r != SQLITE_ROW)
		db_err(records, err, "read");
	else if (read_allocation(stmt, ret, err) == 0)
		found = 1;
	sqlite3_reset(stmt);
	return found;
}

int records_find(struct records *records, const char *id, struct allocation *ret, struct err *err)
{
	sqlite3_stmt *stmt;
	int r;

	pthread_mutex_lock(&records->lock);
	stmt = statement_get(records, FIND);
	bind_text(stmt, 1, id);
	r = find_one(records, stmt, ret, err);
	pthread_mutex_unlock(&records->lock);
	return r;
}

int records_find_request(struct records *records, const char *principal, const char *request_id,
			 struct allocation *ret, struct err *err)
{
	sqlite3_stmt *stmt;
	int r;

	pthread_mutex_lock(&records->lock);
	stmt = statement_get(records, FIND_REQUEST);
	bind_text(stmt, 1, principal);
	bind_text(stmt, 2, request_id);
	r = find_one(records, stmt, ret, err);
	pthread_mutex_unlock(&records->lock);
	return r;
}

/* ---- Catalogue ------------------------------------------------------------------ */

static int read_type(sqlite3_stmt *stmt, struct catalogue *catalogue, struct err *err)
{
	struct catalogue_type type = {
		.board = { (uint16_t)sqlite3_column_int(stmt, 0),
			   (uint16_t)sqlite3_column_int(stmt, 1),
			   (uint16_t)sqlite3_column_int(stmt, 2),
			   (uint16_t)sqlite3_column_int(stmt, 3) },
		.framebuffer_mb = sqlite3_column_int(stmt, 6),
		.max_instance = sqlite3_column_int(stmt, 7),
	};

	if (!records_column_text(stmt, 4, type.id, sizeof(type.id)) ||
	    !records_column_text(stmt, 5, type.name, sizeof(type.name)))
		return err_set(err, ERR_INTERNAL, "the database's catalogue is not one we wrote");
	if (catalogue_put(catalogue, &type, true) < 0)
		return err_sys(err, ENOMEM, "cannot load the catalogue");
	return 0;
}

int records_load_catalogue(struct records *records, struct catalogue *ret, struct err *err)
{
	sqlite3_stmt *stmt;
	int r, result = 0;

	pthread_mutex_lock(&records->lock);
	stmt = statement_get(records, LOAD_TYPES);
	while ((r = sqlite3_step(stmt)) == SQLITE_ROW && result == 0)
		result = read_type(stmt, ret, err);
	if (result == 0 && r != SQLITE_DONE)
		result = db_err(records, err, "read");
	sqlite3_reset(stmt);
	pthread_mutex_unlock(&records->lock);
	return result;
}

static int save_types(struct records *records, const struct catalogue *catalogue, struct err *err)
{
	for (size_t i = 0; i < catalogue->count; i++) {
		const struct catalogue_type *type = &catalogue->types[i];
		sqlite3_stmt *stmt = statement_get(records, SAVE_TYPE);

		sqlite3_bind_int(stmt, 1, type->board.vendor);
		sqlite3_bind_int(stmt, 2, type->board.device);
		sqlite3_bind_int(stmt, 3, type->board.subsystem_vendor);
		sqlite3_bind_int(stmt, 4, type->board.subsystem_device);
		bind_text(stmt, 5, type->id);
		bind_text(stmt, 6, type->name);
		sqlite3_bind_int(stmt, 7, type->framebuffer_mb);
		sqlite3_bind_int(stmt, 8, type->max_instance);
		if (run(records, SAVE_TYPE, err))
			return -1;
	}
	return 0;
}

int records_save_catalogue(struct records *records, const struct catalogue *catalogue,
			   struct err *err)
{
	struct err ignored;
	int r;

	pthread_mutex_lock(&records->lock);
	r = run(records, BEGIN, err);
	if (r == 0) {
		r = save_types(records, catalogue, err);
		if (r == 0)
			r = run(records, COMMIT, err);
		if (r)
			(void)run(records, ROLLBACK, &ignored);
	}
	pthread_mutex_unlock(&records->lock);
	return r;
}

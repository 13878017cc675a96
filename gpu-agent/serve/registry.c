/* SPDX-License-Identifier: Apache-2.0 */
#include "registry.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "records_db.h"

/* clang-format off */
static const char schema[] =
	"CREATE TABLE IF NOT EXISTS cordon ("
	" slot TEXT PRIMARY KEY,"
	" reason TEXT NOT NULL,"
	" since_ms INTEGER NOT NULL"
	") STRICT;"
	"CREATE TABLE IF NOT EXISTS quarantine ("
	" slot TEXT PRIMARY KEY,"
	" reason TEXT NOT NULL,"
	" since_ms INTEGER NOT NULL"
	") STRICT;"
	"CREATE TABLE IF NOT EXISTS device ("
	" id TEXT PRIMARY KEY,"
	" name TEXT NOT NULL UNIQUE,"
	" type INTEGER NOT NULL,"
	" address TEXT NOT NULL UNIQUE,"
	" vendor_id INTEGER NOT NULL,"
	" device_id INTEGER NOT NULL,"
	" create_time_ms INTEGER NOT NULL,"
	" reset_note TEXT NOT NULL"
	") STRICT;";
/* clang-format on */

int registry_prepare(sqlite3 *db)
{
	return sqlite3_exec(db, schema, NULL, NULL, NULL);
}

static int db_err(sqlite3 *db, struct err *err, const char *what)
{
	return err_set(err, ERR_INTERNAL, "cannot %s the database: %s", what, sqlite3_errmsg(db));
}

/* ---- Writing ------------------------------------------------------------------------ */

/* Runs a prepared statement to its end and frees it. NULL: it could not be prepared. */
static int finish(sqlite3 *db, sqlite3_stmt *take_stmt, struct err *err)
{
	int r = take_stmt ? sqlite3_step(take_stmt) : SQLITE_ERROR;

	if ((r & 0xff) == SQLITE_CONSTRAINT)
		err_set(err, ERR_ABORTED, "another call has just registered the same");
	else if (r != SQLITE_DONE)
		db_err(db, err, "write");
	sqlite3_finalize(take_stmt);
	return r == SQLITE_DONE ? 0 : -1;
}

/* NULL when it cannot be prepared; binding to NULL does nothing. */
static sqlite3_stmt *prepare(sqlite3 *db, const char *sql)
{
	sqlite3_stmt *stmt = NULL;

	(void)sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);
	return stmt;
}

static void bind_text(sqlite3_stmt *stmt, int column, const char *text)
{
	if (stmt)
		sqlite3_bind_text(stmt, column, text, -1, SQLITE_TRANSIENT);
}

static void bind_int(sqlite3_stmt *stmt, int column, int64_t value)
{
	if (stmt)
		sqlite3_bind_int64(stmt, column, value);
}

static int put_slot(struct records *records, const char *sql, const struct cordon *cordon,
		    struct err *err)
{
	sqlite3 *db = records_db_lock(records);
	sqlite3_stmt *stmt = prepare(db, sql);
	int r;

	bind_text(stmt, 1, PCI_STR(cordon->slot));
	bind_text(stmt, 2, cordon->reason);
	bind_int(stmt, 3, cordon->since_ms);
	r = finish(db, stmt, err);
	records_db_unlock(records);
	return r;
}

static int remove_slot(struct records *records, const char *sql, struct pci_addr slot,
		       struct err *err)
{
	sqlite3 *db = records_db_lock(records);
	sqlite3_stmt *stmt = prepare(db, sql);
	int r;

	bind_text(stmt, 1, PCI_STR(slot));
	r = finish(db, stmt, err);
	records_db_unlock(records);
	return r;
}

int registry_put_cordon(struct records *records, const struct cordon *cordon, struct err *err)
{
	return put_slot(records, "INSERT OR REPLACE INTO cordon VALUES (?1, ?2, ?3)", cordon, err);
}

int registry_put_quarantine(struct records *records, const struct cordon *cordon, struct err *err)
{
	return put_slot(records, "INSERT OR REPLACE INTO quarantine VALUES (?1, ?2, ?3)", cordon,
			err);
}

int registry_remove_cordon(struct records *records, struct pci_addr slot, struct err *err)
{
	return remove_slot(records, "DELETE FROM cordon WHERE slot = ?1", slot, err);
}

int registry_remove_quarantine(struct records *records, struct pci_addr slot, struct err *err)
{
	return remove_slot(records, "DELETE FROM quarantine WHERE slot = ?1", slot, err);
}

int registry_add_device(struct records *records, const struct device *device, struct err *err)
{
	sqlite3 *db = records_db_lock(records);
	sqlite3_stmt *stmt =
		prepare(db, "INSERT INTO device VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, '')");
	int r;

	bind_text(stmt, 1, device->id);
	bind_text(stmt, 2, device->name);
	bind_int(stmt, 3, device->type);
	bind_text(stmt, 4, PCI_STR(device->address));
	bind_int(stmt, 5, device->vendor_id);
	bind_int(stmt, 6, device->device_id);
	bind_int(stmt, 7, device->create_time_ms);
	r = finish(db, stmt, err);
	records_db_unlock(records);
	return r;
}

int registry_set_reset_note(struct records *records, const char *id, const char *note,
			    struct err *err)
{
	sqlite3 *db = records_db_lock(records);
	sqlite3_stmt *stmt = prepare(db, "UPDATE device SET reset_note = ?2 WHERE id = ?1");
	int r;

	bind_text(stmt, 1, id);
	bind_text(stmt, 2, note);
	r = finish(db, stmt, err);
	records_db_unlock(records);
	return r;
}

int registry_remove_device(struct records *records, const char *id, struct err *err)
{
	sqlite3 *db = records_db_lock(records);
	sqlite3_stmt *stmt = prepare(db, "DELETE FROM device WHERE id = ?1");
	int r;

	bind_text(stmt, 1, id);
	r = finish(db, stmt, err);
	records_db_unlock(records);
	return r;
}

/* ---- Reading ------------------------------------------------------------------------ */

static bool read_cordon(sqlite3_stmt *stmt, void *row)
{
	struct cordon *cordon = row;

	cordon->since_ms = sqlite3_column_int64(stmt, 2);
	return records_column_address(stmt, 0, &cordon->slot) &&
	       records_column_text(stmt, 1, cordon->reason, sizeof(cordon->reason));
}

static bool read_device(sqlite3_stmt *stmt, void *row)
{
	struct device *device = row;

	device->type = (enum device_type)sqlite3_column_int(stmt, 2);
	device->vendor_id = (uint16_t)sqlite3_column_int(stmt, 4);
	device->device_id = (uint16_t)sqlite3_column_int(stmt, 5);
	device->create_time_ms = sqlite3_column_int64(stmt, 6);
	return records_column_text(stmt, 0, device->id, sizeof(device->id)) &&
	       records_column_text(stmt, 1, device->name, sizeof(device->name)) &&
	       records_column_address(stmt, 3, &device->address) &&
	       records_column_text(stmt, 7, device->reset_note, sizeof(device->reset_note));
}

/* Rows of one size into an array that grows. */
struct table {
	const char *sql, *name;
	size_t size;
	bool (*read)(sqlite3_stmt *stmt, void *row);
};

static int load_rows(sqlite3 *db, sqlite3_stmt *stmt, const struct table *table, void **rows,
		     size_t *count, struct err *err)
{
	int r;

	while ((r = sqlite3_step(stmt)) == SQLITE_ROW) {
		char *grown = realloc(*rows, (*count + 1) * table->size);

		if (!grown)
			return err_sys(err, ENOMEM, "cannot load the %ss", table->name);
		*rows = grown;
		memset(grown + *count * table->size, 0, table->size);
		if (table->read(stmt, grown + *count * table->size))
			++*count;
		else
			log_warning("the database has a %s that we did not write, ignoring it",
				    table->name);
	}
	return r == SQLITE_DONE ? 0 : db_err(db, err, "read");
}

static int load_table(struct records *records, const struct table *table, void **ret,
		      size_t *ret_count, struct err *err)
{
	sqlite3 *db = records_db_lock(records);
	sqlite3_stmt *stmt = prepare(db, table->sql);
	scoped_free void *rows = NULL;
	size_t count = 0;
	int r = stmt ? load_rows(db, stmt, table, &rows, &count, err) : db_err(db, err, "read");

	sqlite3_finalize(stmt);
	records_db_unlock(records);
	if (r)
		return -1;
	*ret = TAKE_PTR(rows);
	*ret_count = count;
	return 0;
}

int registry_load_cordons(struct records *records, struct cordon **ret, size_t *ret_count,
			  struct err *err)
{
	static const struct table table = {
		"SELECT slot, reason, since_ms FROM cordon ORDER BY slot", "cordon",
		sizeof(struct cordon), read_cordon
	};
	void *rows = NULL;

	if (load_table(records, &table, &rows, ret_count, err))
		return -1;
	*ret = rows;
	return 0;
}

int registry_load_quarantines(struct records *records, struct cordon **ret, size_t *ret_count,
			      struct err *err)
{
	static const struct table table = {
		"SELECT slot, reason, since_ms FROM quarantine ORDER BY slot", "quarantine",
		sizeof(struct cordon), read_cordon
	};
	void *rows = NULL;

	if (load_table(records, &table, &rows, ret_count, err))
		return -1;
	*ret = rows;
	return 0;
}

int registry_load_devices(struct records *records, struct device **ret, size_t *ret_count,
			  struct err *err)
{
	static const struct table table = {
		"SELECT id, name, type, address, vendor_id, device_id, create_time_ms, reset_note"
		" FROM device"
		" ORDER BY create_time_ms, id",
		"device", sizeof(struct device), read_device
	};
	void *rows = NULL;

	if (load_table(records, &table, &rows, ret_count, err))
		return -1;
	*ret = rows;
	return 0;
}

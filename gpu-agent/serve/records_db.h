/* SPDX-License-Identifier: Apache-2.0 */
/* What the files that speak SQL share. */

#ifndef GPU_AGENT_SERVE_RECORDS_DB_H
#define GPU_AGENT_SERVE_RECORDS_DB_H

#include <stdbool.h>
#include <stddef.h>

#include <sqlite3.h>

#include "records.h"

/* The connection, for the caller alone until the other is called. */
sqlite3 *records_db_lock(struct records *records);
void records_db_unlock(struct records *records);

/*
 * A column of the row that `stmt` stands on. False when it holds what we never write, so that
 * the row is not ours: a longer text, or no address. NULL reads as "".
 */
bool records_column_text(sqlite3_stmt *stmt, int column, char *to, size_t size);
bool records_column_address(sqlite3_stmt *stmt, int column, struct pci_addr *ret);

/* Makes the registry's tables where they are missing. An SQLite result. */
int registry_prepare(sqlite3 *db);

#endif

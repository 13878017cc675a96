/* SPDX-License-Identifier: Apache-2.0 */
/* What the files that speak SQL share. */

#ifndef GPU_AGENT_SERVE_RECORDS_DB_H
#define GPU_AGENT_SERVE_RECORDS_DB_H

#include <sqlite3.h>

#include "records.h"

/* The connection, for the caller alone until the other is called. */
sqlite3 *records_db_lock(struct records *records);
void records_db_unlock(struct records *records);

/* Makes the registry's tables where they are missing. An SQLite result. */
int registry_prepare(sqlite3 *db);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by records.c, records_row.c and records_request.c only. */

#ifndef INSTANCE_SVC_RECORDS_INTERNAL_H
#define INSTANCE_SVC_RECORDS_INTERNAL_H

#include <pthread.h>

#include <sqlite3.h>

#include "records.h"

struct records {
	pthread_mutex_t lock; /* a statement and its result belong together */
	sqlite3 *db;
};

/* "cannot <what>: <what SQLite says>". Returns -1. */
int records_fail(struct records *records, struct err *err, const char *what);

int records_prepare(struct records *records, const char *sql, sqlite3_stmt **ret, struct err *err);

/* One transaction; an unfinished one is rolled back by records_end(). */
int records_begin(struct records *records, struct err *err);
int records_commit(struct records *records, struct err *err);
void records_end(struct records *records);
SCOPED_DEFINE(struct records *, records_end);

void records_bind_text(sqlite3_stmt *statement, int index, const char *text);

/* Under the lock, within a transaction. */
int records_add_request_locked(struct records *records, const struct record_request *request,
			       const struct id *instance, int64_t now_ms, struct err *err);

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

static inline pthread_mutex_t *records_locked(struct records *records)
{
	pthread_mutex_lock(&records->lock);
	return &records->lock;
}
#define SCOPED_LOCK(records)                                                                       \
	scoped(mutex_release) pthread_mutex_t *lock_ = records_locked(records);                    \
	(void)lock_

#endif

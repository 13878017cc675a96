/* SPDX-License-Identifier: Apache-2.0 */
/* Which creation was asked for by which request. */
#include <string.h>

#include "records_internal.h"

static int forget_old(struct records *records, int64_t now_ms, struct err *err)
{
	scoped_statement *s = NULL;

	if (records_prepare(records, "DELETE FROM requests WHERE created_ms < ?1", &s, err) < 0)
		return -1;
	sqlite3_bind_int64(s, 1, now_ms - RECORD_REQUEST_MS);
	return sqlite3_step(s) == SQLITE_DONE ? 0 : records_fail(records, err, "forget requests");
}

int records_add_request_locked(struct records *records, const struct record_request *request,
			       const struct id *instance, int64_t now_ms, struct err *err)
{
	scoped_statement *s = NULL;

	if (forget_old(records, now_ms, err) < 0 ||
	    records_prepare(records,
			    "INSERT INTO requests (principal, request_id, body, instance,"
			    " created_ms) VALUES (?1, ?2, ?3, ?4, ?5)",
			    &s, err) < 0)
		return -1;
	records_bind_text(s, 1, request->principal);
	records_bind_text(s, 2, request->id);
	records_bind_text(s, 3, request->body.s);
	records_bind_text(s, 4, instance->s);
	sqlite3_bind_int64(s, 5, now_ms);
	return sqlite3_step(s) == SQLITE_DONE ? 0 : records_fail(records, err, "record a request");
}

int records_find_request(struct records *records, struct record_request *request,
			 struct id *ret_instance, struct err *err)
{
	SCOPED_LOCK(records);
	scoped_statement *s = NULL;
	const char *body, *instance;
	int r;

	if (records_prepare(records,
			    "SELECT body, instance FROM requests WHERE principal = ?1 AND"
			    " request_id = ?2",
			    &s, err) < 0)
		return -1;
	records_bind_text(s, 1, request->principal);
	records_bind_text(s, 2, request->id);
	r = sqlite3_step(s);
	if (r == SQLITE_DONE)
		return 0;
	if (r != SQLITE_ROW)
		return records_fail(records, err, "look for a request");
	body = (const char *)sqlite3_column_text(s, 0);
	instance = (const char *)sqlite3_column_text(s, 1);
	if (!body || !image_digest_is_valid(body) || !instance || !id_is_valid(instance))
		return err_set(err, ERR_INTERNAL, "the record of request '%s' is damaged",
			       request->id);
	memcpy(request->body.s, body, sizeof(request->body.s));
	memcpy(ret_instance->s, instance, sizeof(ret_instance->s));
	return 1;
}

int records_forget_request(struct records *records, const struct id *instance, struct err *err)
{
	SCOPED_LOCK(records);
	scoped_statement *s = NULL;

	if (records_prepare(records, "DELETE FROM requests WHERE instance = ?1", &s, err) < 0)
		return -1;
	records_bind_text(s, 1, instance->s);
	return sqlite3_step(s) == SQLITE_DONE ? 0 : records_fail(records, err, "forget a request");
}

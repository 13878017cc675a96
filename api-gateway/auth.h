/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may call: whoever shows a token signed with the secret. Used by all HTTP threads;
 * the secret can be replaced meanwhile.
 */

#ifndef API_GATEWAY_AUTH_H
#define API_GATEWAY_AUTH_H

#include "common/err.h"
#include "common/scoped.h"

#include "request.h"
#include "token.h"

struct auth;

/*
 * The secret is the file's content without the last line break: 32 to 4096 bytes. The file
 * belongs to root (or to us), only they may write it, and others may not read it. NULL
 * with *err.
 */
struct auth *auth_new(const char *secret_file, struct err *err);
void auth_free(struct auth *auth);
SCOPED_DEFINE(struct auth *, auth_free);

/* Reads the file again; on failure the secret stays as it was. */
int auth_reload(struct auth *auth, struct err *err);

/* UNAUTHENTICATED without a good token in `Authorization: Bearer`; FORBIDDEN without `scope` (NULL:
 * any). */
int auth_check(struct auth *auth, const struct request *request, const char *scope,
	       struct token_subject *ret, struct err *err);

#endif

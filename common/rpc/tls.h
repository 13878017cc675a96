/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a TLS server shows and whom it trusts, as its files say. They are read again when
 * they change; a set of files that cannot be used is reported once and the one before
 * stays in force.
 *
 * TLS 1.3 only, HTTP/2 by ALPN only, a client certificate always, and no session is ever
 * resumed: each connection proves itself anew. One thread at a time.
 */

#ifndef COMMON_RPC_TLS_H
#define COMMON_RPC_TLS_H

#include <stdbool.h>
#include <sys/stat.h>
#include <time.h>

#include <openssl/ssl.h>

#include "common/err.h"

enum tls_file {
	TLS_CERTIFICATE,
	TLS_KEY,
	TLS_AUTHORITIES,
	TLS_REVOKED, /* may be absent */
	TLS_FILE_COUNT,
};

/* What tells that a file is another one, or has other content. */
struct tls_stamp {
	dev_t device;
	ino_t inode;
	off_t size;
	struct timespec changed;
};

struct tls {
	char *paths[TLS_FILE_COUNT]; /* owned; NULL: not configured */
	struct tls_stamp stamps[TLS_FILE_COUNT];
	SSL_CTX *context;
};

int tls_open(struct tls *tls, const char *const paths[TLS_FILE_COUNT], struct err *err);
void tls_close(struct tls *tls);

/* Looks at the files; true when changed ones are in force from now on. */
bool tls_refresh(struct tls *tls);

/* Whether the certificate of a connection would still be taken; else why not. */
const char *tls_distrust(const struct tls *tls, const SSL *connection);

/* What OpenSSL complained of first since the list of errors was cleared. Clears it. */
const char *tls_error_text(void);

#endif

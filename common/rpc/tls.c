/* SPDX-License-Identifier: Apache-2.0 */
#include "tls.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include "common/log.h"
#include "common/scoped.h"

#include "tls_peer.h"

SCOPED_DEFINE(SSL_CTX *, SSL_CTX_free);
SCOPED_DEFINE(X509_STORE_CTX *, X509_STORE_CTX_free);

static const char *const names[TLS_FILE_COUNT] = {
	[TLS_CERTIFICATE] = "certificate",
	[TLS_KEY] = "key",
	[TLS_AUTHORITIES] = "CA certificates",
	[TLS_REVOKED] = "revocation list",
};

const char *tls_error_text(void)
{
	unsigned long error = ERR_peek_error(); /* the first is the cause */
	const char *text = NULL;

	if (ERR_GET_LIB(error) == ERR_LIB_SYS)
		text = strerror(ERR_GET_REASON(error));
	else if (error)
		text = ERR_reason_error_string(error);
	ERR_clear_error();
	return text ? text : "connection closed";
}

static int refuse(const struct tls *tls, enum tls_file file, struct err *err)
{
	return err_set(err, ERR_INVALID_ARGUMENT, "cannot use %s as %s: %s", tls->paths[file],
		       names[file], tls_error_text());
}

/* ---- The files ------------------------------------------------------------------ */

static int take_stamps(const struct tls *tls, struct tls_stamp *ret, struct err *err)
{
	for (int i = 0; i < TLS_FILE_COUNT; i++) {
		struct stat st;

		ret[i] = (struct tls_stamp){ 0 };
		if (!tls->paths[i])
			continue;
		if (stat(tls->paths[i], &st) < 0)
			return err_set(err, ERR_INVALID_ARGUMENT, "cannot use %s as %s: %s",
				       tls->paths[i], names[i], strerror(errno));
		if (i == TLS_KEY && (st.st_mode & 007))
			return err_set(
				err, ERR_INVALID_ARGUMENT,
				"cannot use %s as key: mode %04o, others must have no access",
				tls->paths[i], st.st_mode & 07777);
		ret[i] = (struct tls_stamp){ st.st_dev, st.st_ino, st.st_size, st.st_mtim };
	}
	return 0;
}

static bool are_equal(const struct tls_stamp *a, const struct tls_stamp *b)
{
	return a->device == b->device && a->inode == b->inode && a->size == b->size &&
	       a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec == b->changed.tv_nsec;
}

/* A key with a password would be asked for on the terminal. */
static int give_no_password(char *password, int size, int writing, void *user)
{
	(void)password;
	(void)size;
	(void)writing;
	(void)user;
	return -1;
}

static int load_revoked(const struct tls *tls, SSL_CTX *context, struct err *err)
{
	X509_STORE *store = SSL_CTX_get_cert_store(context);
	X509_LOOKUP *lookup;

	if (!tls->paths[TLS_REVOKED])
		return 0;
	lookup = X509_STORE_add_lookup(store, X509_LOOKUP_file());
	if (!lookup || X509_load_crl_file(lookup, tls->paths[TLS_REVOKED], X509_FILETYPE_PEM) <= 0)
		return refuse(tls, TLS_REVOKED, err);
	X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
	return 0;
}

static int load_files(const struct tls *tls, SSL_CTX *context, struct err *err)
{
	const char *const *paths = (const char *const *)tls->paths;
	STACK_OF(X509_NAME) * hint; /* tells clients which certificate to show */

	SSL_CTX_set_default_passwd_cb(context, give_no_password);
	if (SSL_CTX_use_certificate_chain_file(context, paths[TLS_CERTIFICATE]) != 1)
		return refuse(tls, TLS_CERTIFICATE, err);
	if (SSL_CTX_use_PrivateKey_file(context, paths[TLS_KEY], SSL_FILETYPE_PEM) != 1 ||
	    SSL_CTX_check_private_key(context) != 1)
		return refuse(tls, TLS_KEY, err);
	if (SSL_CTX_load_verify_file(context, paths[TLS_AUTHORITIES]) != 1)
		return refuse(tls, TLS_AUTHORITIES, err);
	hint = SSL_load_client_CA_file(paths[TLS_AUTHORITIES]);
	if (!hint)
		return refuse(tls, TLS_AUTHORITIES, err);
	SSL_CTX_set_client_CA_list(context, hint);
	return load_revoked(tls, context, err);
}

/* ---- The context ---------------------------------------------------------------- */

static int choose_protocol(SSL *connection, const unsigned char **ret, unsigned char *ret_size,
			   const unsigned char *offered, unsigned offered_size, void *user)
{
	static const unsigned char ours[] = "\x02h2";
	unsigned char *chosen;

	(void)connection;
	(void)user;
	if (SSL_select_next_proto(&chosen, ret_size, ours, sizeof(ours) - 1, offered,
				  offered_size) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*ret = chosen;
	return SSL_TLSEXT_ERR_OK;
}

static SSL_CTX *create_context(void)
{
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());

	if (!context)
		return NULL;
	if (SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) != 1 ||
	    SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION) != 1 ||
	    SSL_CTX_set_num_tickets(context, 0) != 1 ||
	    SSL_CTX_set_purpose(context, X509_PURPOSE_SSL_CLIENT) != 1) {
		SSL_CTX_free(context);
		return NULL;
	}
	SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE |
					  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
					  SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	SSL_CTX_set_cert_verify_callback(context, tls_peer_verify, NULL);
	SSL_CTX_set_alpn_select_cb(context, choose_protocol, NULL);
	return context;
}

static int load(struct tls *tls, struct err *err)
{
	scoped(SSL_CTX_free) SSL_CTX *context = NULL;

	ERR_clear_error();
	context = create_context();
	if (!context)
		return err_set(err, ERR_INTERNAL, "cannot set up TLS: %s", tls_error_text());
	if (load_files(tls, context, err))
		return -1;
	SSL_CTX_free(tls->context); /* its connections keep it until they end */
	tls->context = TAKE_PTR(context);
	return 0;
}

int tls_open(struct tls *tls, const char *const paths[TLS_FILE_COUNT], struct err *err)
{
	*tls = (struct tls){ 0 };
	for (int i = 0; i < TLS_FILE_COUNT; i++) {
		if (!paths[i] && i != TLS_REVOKED)
			return err_set(err, ERR_INVALID_ARGUMENT,
				       "TLS needs a file for its %s: none is configured", names[i]);
		if (paths[i] && !(tls->paths[i] = strdup(paths[i])))
			return err_sys(err, ENOMEM, "cannot set up TLS");
	}
	return take_stamps(tls, tls->stamps, err) || load(tls, err) ? -1 : 0;
}

void tls_close(struct tls *tls)
{
	for (int i = 0; i < TLS_FILE_COUNT; i++)
		free(tls->paths[i]);
	SSL_CTX_free(tls->context);
	*tls = (struct tls){ 0 };
}

/*
 * The stamps are taken before the files are read: what changes meanwhile is seen next time.
 * A missing file counts as changed once, by its empty stamp.
 */
bool tls_refresh(struct tls *tls)
{
	struct tls_stamp stamps[TLS_FILE_COUNT] = { 0 };
	struct err err;
	bool readable = take_stamps(tls, stamps, &err) == 0;
	bool changed = false;

	for (int i = 0; i < TLS_FILE_COUNT; i++)
		changed |= !are_equal(&stamps[i], &tls->stamps[i]);
	if (!changed)
		return false;
	memcpy(tls->stamps, stamps, sizeof(stamps));
	if (!readable || load(tls, &err)) {
		log_warning("the files for TLS changed, going on with those before: %s",
			    err.message);
		return false;
	}
	log_info("the files for TLS changed and are in force");
	return true;
}

const char *tls_distrust(const struct tls *tls, const SSL *connection)
{
	scoped(X509_STORE_CTX_free) X509_STORE_CTX *check = X509_STORE_CTX_new();
	X509 *certificate = SSL_get0_peer_certificate(connection);

	if (!check || !certificate ||
	    X509_STORE_CTX_init(check, SSL_CTX_get_cert_store(tls->context), certificate,
				SSL_get_peer_cert_chain(connection)) != 1 ||
	    X509_STORE_CTX_set_default(check, "ssl_client") != 1)
		return "its certificate cannot be checked";
	if (X509_verify_cert(check) == 1)
		return NULL;
	return X509_verify_cert_error_string(X509_STORE_CTX_get_error(check));
}

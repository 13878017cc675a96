/* SPDX-License-Identifier: Apache-2.0 */
#include "tls_peer.h"

#include <stdio.h>
#include <string.h>

#include <openssl/x509v3.h>

/*
 * Compared byte by byte. A peer's name with a colon is a URI and never equals a DNS name,
 * so that an authority that may vouch for hosts only cannot make another kind of name.
 */
static const struct server_peer *find(const struct rpc_server *server, int type,
				      const ASN1_IA5STRING *name)
{
	const char *text = (const char *)ASN1_STRING_get0_data(name);
	size_t size = (size_t)ASN1_STRING_length(name);

	for (size_t i = 0; i < server->peer_count; i++) {
		const char *san = server->peers[i].who.san;
		int wanted = strchr(san, ':') ? GEN_URI : GEN_DNS;

		if (san[0] && type == wanted && strlen(san) == size && !memcmp(san, text, size))
			return &server->peers[i];
	}
	return NULL;
}

static void note_name(struct tls_peer *who, int type, const ASN1_IA5STRING *name)
{
	size_t used = strlen(who->names);

	snprintf(who->names + used, sizeof(who->names) - used, "%s%s:%.*s", used ? ", " : "",
		 type == GEN_URI ? "URI" : "DNS", ASN1_STRING_length(name),
		 (const char *)ASN1_STRING_get0_data(name));
}

/* The first name of this type, in the certificate's order, that is a peer's. */
static void look_at_names(struct tls_peer *who, const GENERAL_NAMES *names, int type)
{
	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

		if (name->type != type)
			continue;
		note_name(who, type, name->d.ia5);
		if (!who->peer)
			who->peer = find(who->server, type, name->d.ia5);
	}
}

static bool is_peer(struct tls_peer *who, const X509 *certificate)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);

	if (names) {
		look_at_names(who, names, GEN_URI);
		look_at_names(who, names, GEN_DNS);
	}
	GENERAL_NAMES_free(names);
	return who->peer != NULL;
}

int tls_peer_verify(X509_STORE_CTX *check, void *unused)
{
	SSL *connection = X509_STORE_CTX_get_ex_data(check, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct tls_peer *who = SSL_get_app_data(connection);

	(void)unused;
	if (X509_verify_cert(check) != 1)
		return 0;
	if (is_peer(who, X509_STORE_CTX_get0_cert(check)))
		return 1;
	X509_STORE_CTX_set_error(check, X509_V_ERR_APPLICATION_VERIFICATION);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "websocket_handshake.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <openssl/evp.h>

#include "base64.h"

#define KEY_BYTES     16
#define SHA1_BYTES    20
#define KEY_TEXT_SIZE 24

/* Whether a header that is a list of words, in any case, has one. */
static bool has_word(const struct request *request, const char *header, const char *word)
{
	const char *at = request_header(request, header);
	size_t length = strlen(word);

	while (at && *at) {
		size_t found;

		at += strspn(at, " \t,");
		found = strcspn(at, " \t,");
		if (found == length && strncasecmp(at, word, length) == 0)
			return true;
		at += found;
	}
	return false;
}

static bool key_is_good(const char *key)
{
	scoped_free uint8_t *bytes = NULL;
	size_t length;

	return key && strlen(key) == KEY_TEXT_SIZE && base64_parse(key, &bytes, &length) == 0 &&
	       length == KEY_BYTES;
}

/* RFC 6455, section 4.2.2. */
static int answer_key(const char *key, struct websocket_key *ret, struct err *err)
{
	static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
	char joined[KEY_TEXT_SIZE + sizeof(guid)];
	uint8_t digest[SHA1_BYTES];
	scoped_text struct text text = { 0 };

	snprintf(joined, sizeof(joined), "%s%s", key, guid);
	if (!EVP_Digest(joined, strlen(joined), digest, NULL, EVP_sha1(), NULL))
		return err_set(err, ERR_INTERNAL, "cannot answer the WebSocket's key");
	base64_append(&text, digest, sizeof(digest));
	if (text.incomplete)
		return err_set(err, ERR_INTERNAL, "cannot answer the WebSocket's key");
	snprintf(ret->s, sizeof(ret->s), "%s", text.bytes);
	return 0;
}

int websocket_handshake(const struct request *request, struct websocket_key *ret, struct err *err)
{
	const char *key = request_header(request, "Sec-WebSocket-Key");
	const char *version = request_header(request, "Sec-WebSocket-Version");

	if (strcmp(request->method, "GET") != 0 || strcmp(request->version, "1.1") != 0 ||
	    !has_word(request, "Upgrade", "websocket") ||
	    !has_word(request, "Connection", "upgrade"))
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "this is a WebSocket: the request must be a GET of HTTP/1.1 with "
			       "Connection: Upgrade and Upgrade: websocket");
	if (request_header(request, "Content-Length") ||
	    request_header(request, "Transfer-Encoding"))
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "a request that becomes a WebSocket has no body");
	if (!version || strcmp(version, "13") != 0)
		return err_field(err, "Sec-WebSocket-Version",
				 "the header Sec-WebSocket-Version must be 13");
	if (!key_is_good(key) || request_count_header(request, "Sec-WebSocket-Key") != 1)
		return err_field(err, "Sec-WebSocket-Key",
				 "the header Sec-WebSocket-Key must be there once, 16 bytes in "
				 "base64");
	return answer_key(key, ret, err);
}

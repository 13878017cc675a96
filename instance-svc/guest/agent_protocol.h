/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What instance-svc and the agent in the guest say to each other on the virtio-serial port
 * GUEST_AGENT_PORT. Shared by both; neither trusts the other's bytes.
 *
 * A frame is a header of AGENT_HEADER_BYTES (kind, three zeros, session, length of the
 * payload; numbers are little endian) and its payload. There is one connection at a time:
 *
 *   host   AGENT_PREAMBLE zeros, then HELLO with a random token. The zeros end whatever
 *          frame an earlier connection left unfinished; the guest looks for a HELLO.
 *   guest  WELCOME with the same token. The host drops all that comes before it.
 *
 * HELLO ends every session of an earlier connection, and so does the end of a connection.
 * A side that receives what is no frame stops listening: the host closes the connection; the
 * guest sends AGENT_HEADER_BYTES zeros, which are no frame, and looks for the next HELLO.
 *
 * A session is one command, or one look at a path. The host opens it with a number that is
 * greater than all before, the guest ends it with EXIT; frames of an ended session are
 * still on their way then and are ignored.
 *
 *   host   START   agent_start, the command
 *          STAT    agent_stat_request; answered by OUTPUT (agent_stat_reply) and EXIT
 *          INPUT   bytes of standard input, INPUT_END
 *          RESIZE  rows, columns (32 bits each)
 *          KILL    the caller has gone: SIGHUP to the session, SIGKILL AGENT_KILL_MS later
 *   guest  OUTPUT, ERRORS  bytes of standard output and standard error
 *          EXIT    exit code (32 bits), then a text: why there was none of its own
 *   both   CREDIT  so many more bytes (32 bits) are welcome
 *
 * Flow control: in a session the host may send AGENT_INPUT_WINDOW bytes of INPUT, the guest
 * AGENT_OUTPUT_WINDOW bytes of OUTPUT and ERRORS together, and then as many as CREDIT gives;
 * sending more breaks the connection. So each side can hold every byte it has allowed, and a
 * session that nobody reads stops nobody else.
 */

#ifndef INSTANCE_SVC_GUEST_AGENT_PROTOCOL_H
#define INSTANCE_SVC_GUEST_AGENT_PROTOCOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AGENT_HEADER_BYTES  12
#define AGENT_PAYLOAD_MAX   65536
#define AGENT_PREAMBLE	    (AGENT_HEADER_BYTES + AGENT_PAYLOAD_MAX)
#define AGENT_MAGIC	    "hypeman agent 1\n" /* the protocol's version; 16 bytes */
#define AGENT_MAGIC_BYTES   16
#define AGENT_TOKEN_BYTES   16
#define AGENT_HELLO_BYTES   (AGENT_MAGIC_BYTES + AGENT_TOKEN_BYTES) /* WELCOME's too */
#define AGENT_INPUT_WINDOW  (256 * 1024)
#define AGENT_OUTPUT_WINDOW (1024 * 1024)
#define AGENT_SESSIONS_MAX  64 /* at once in one guest */
#define AGENT_KILL_MS	    2000
#define AGENT_EXIT_TEXT_MAX 256
#define AGENT_LINK_MAX	    4096

enum agent_kind {
	AGENT_HELLO = 1,
	AGENT_WELCOME = 2,
	AGENT_START = 3,
	AGENT_STAT = 4,
	AGENT_INPUT = 5,
	AGENT_INPUT_END = 6,
	AGENT_RESIZE = 7,
	AGENT_KILL = 8,
	AGENT_OUTPUT = 9,
	AGENT_ERRORS = 10,
	AGENT_EXIT = 11,
	AGENT_CREDIT = 12,
	AGENT_KIND_COUNT,
};

/* A frame, borrowed from whoever read it. */
struct agent_frame {
	enum agent_kind kind;
	uint32_t session; /* 0: HELLO and WELCOME only */
	const uint8_t *payload;
	size_t length;
};

/* ---- Frames ---- */

void agent_header_format(enum agent_kind kind, uint32_t session, size_t length,
			 uint8_t header[AGENT_HEADER_BYTES]);

/*
 * Reads one frame from the start of the bytes, which may hold less or more than that.
 * Returns the bytes it takes, 0 when there are too few yet, -EPROTO when it is none: an
 * unknown kind, a length that the kind does not have.
 */
int64_t agent_frame_parse(const uint8_t *bytes, size_t size, struct agent_frame *ret);

/*
 * Looks for HELLO or WELCOME (with that token, unless NULL) in any bytes. Returns where it
 * begins, or how many bytes from the start can be dropped: it does not begin in them.
 */
size_t agent_hello_find(enum agent_kind kind, const uint8_t *token, const uint8_t *bytes,
			size_t size, bool *ret_found);

uint32_t agent_number(const uint8_t *bytes);
void agent_number_format(uint32_t number, uint8_t bytes[4]);

/* ---- Payloads ---- */

/*
 * START: flags, rows, columns, seconds to live (0: no limit), number of arguments, number of
 * variables (32 bits each); then texts, each with its NUL: cwd ("": the image's), the
 * arguments, the variables "NAME=value".
 */
#define AGENT_START_FIXED 24
#define AGENT_START_TTY	  1U

struct agent_start {
	bool tty;
	uint32_t rows, columns;
	uint32_t timeout_s;
	const char *cwd;
	char **args; /* owned array, ends with NULL; at least one. Texts: in the payload */
	char **env;  /* the same, maybe none */
};

/* 0, or -EPROTO, -ENOMEM with *ret empty. The texts stay in the payload, which must live on. */
int agent_start_parse(const uint8_t *payload, size_t length, struct agent_start *ret);
void agent_start_done(struct agent_start *start);

/*
 * The payload, owned by the caller. -E2BIG: it would not fit in a frame. -ENOMEM.
 */
int agent_start_format(const struct agent_start *start, uint8_t **ret, size_t *ret_length);

/* STAT: follow the last link (32 bits, 0 or 1), then the path with its NUL. */
struct agent_stat_request {
	bool follow;
	const char *path;
};

int agent_stat_request_parse(const uint8_t *payload, size_t length, struct agent_stat_request *ret);

/* What a look at a path says: error, mode (32 bits each), size (64 bits), then the link's text. */
#define AGENT_STAT_FIXED 16

struct agent_stat_reply {
	int error;     /* an errno of Linux; 0: the rest is there */
	uint32_t mode; /* st_mode */
	int64_t size;
	char link[AGENT_LINK_MAX]; /* "": no link */
};

int agent_stat_reply_parse(const uint8_t *bytes, size_t size, struct agent_stat_reply *ret);

/* Returns the number of bytes, at most AGENT_STAT_FIXED + AGENT_LINK_MAX. */
size_t agent_stat_reply_format(const struct agent_stat_reply *reply, uint8_t *bytes);

#endif

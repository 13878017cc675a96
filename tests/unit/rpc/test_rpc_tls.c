/* SPDX-License-Identifier: Apache-2.0 */
/* Who may connect by TLS, as whom, and what happens when the files change. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "fixture.h"
#include "google/protobuf/empty.pb-c.h"
#include "tls_fixture.h"

#define WITH_CRL (&(struct rpc_tls_options){ .crl = "yes" })

static void expect_echo(const struct tls_fixture *fixture, const char *name)
{
	struct err err;

	if (tls_fixture_echo(fixture, name, &err))
		fail_msg("%s: %s", name, err.message);
}

/* Only the controller may call: for others the refusal of the call tells who they are. */
static void expect_reader(const struct tls_fixture *fixture, const char *name)
{
	struct err err;

	assert_int_equal(tls_fixture_echo(fixture, name, &err), -1);
	assert_int_equal(err.reason, ERR_FORBIDDEN);
	assert_non_null(strstr(err.message, "peer reader may not call"));
}

static void expect_refused(const struct tls_fixture *fixture, const char *name)
{
	struct err err;

	if (tls_fixture_echo(fixture, name, &err) == 0)
		fail_msg("%s was let in", name);
	if (err.reason != ERR_UNAVAILABLE)
		fail_msg("%s: %s", name, err.message);
}

static void peers_are_known_by_the_names_in_their_certificates(void **state)
{
	struct tls_fixture *fixture = *state;
	Hypeman__Test__V1__EchoRequest request = HYPEMAN__TEST__V1__ECHO_REQUEST__INIT;
	struct rpc_channel *channel = tls_fixture_channel(fixture, "uri", "agent.test");
	Hypeman__Test__V1__EchoResponse *reply;
	ProtobufCMessage *message = NULL;
	struct err err;

	if (rpc_channel_call(channel, ECHO, ECHO_ECHO, &request.base, NULL, &message, &err))
		fail_msg("%s", err.message);
	reply = (Hypeman__Test__V1__EchoResponse *)message;
	assert_string_equal(reply->peer, "controller");
	assert_int_equal(reply->uid, (uid_t)-1);
	protobuf_c_message_free_unpacked(message, NULL);
	rpc_channel_free(channel);

	expect_reader(fixture, "dns");
	expect_reader(fixture, "several"); /* its second name */
	expect_echo(fixture, "both");	   /* the URI counts, though it comes last */
}

static void certificates_that_are_not_good_are_refused(void **state)
{
	static const char *const names[] = {
		"unfit",     /* for servers */
		"stranger",  /* names that only begin like a peer's, and end like one's */
		"disguised", /* a URI as DNS name, and the other way round */
		"nameless",  "expired", "rogue", /* another authority of the same name */
	};
	struct tls_fixture *fixture = *state;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		expect_refused(fixture, names[i]);
	expect_echo(fixture, "uri");
}

static void clients_that_are_not_as_they_should_be_are_refused(void **state)
{
	static const struct tls_client clients[] = {
		{ .name = NULL, .protocol = "h2", .version = TLS1_3_VERSION },
		{ .name = "uri", .protocol = "h2", .version = TLS1_2_VERSION },
		{ .name = "uri", .protocol = "http/1.1", .version = TLS1_3_VERSION },
		{ .name = "uri", .protocol = NULL, .version = TLS1_3_VERSION },
		{ .name = "rogue", .protocol = "h2", .version = TLS1_3_VERSION },
	};
	const struct tls_client good = { .name = "uri", .protocol = "h2", TLS1_3_VERSION };
	struct tls_fixture *fixture = *state;
	SSL *connection;

	for (size_t i = 0; i < sizeof(clients) / sizeof(clients[0]); i++)
		assert_null(tls_fixture_handshake(fixture, &clients[i]));
	connection = tls_fixture_handshake(fixture, &good);
	assert_non_null(connection);
	tls_fixture_hang_up(connection);
}

static void no_session_is_resumed(void **state)
{
	const struct tls_client good = { .name = "uri", .protocol = "h2", TLS1_3_VERSION };
	struct tls_fixture *fixture = *state;
	SSL *connection = tls_fixture_handshake(fixture, &good);

	assert_non_null(connection);
	assert_false(SSL_SESSION_is_resumable(SSL_get0_session(connection)));
	tls_fixture_hang_up(connection);
}

static void server_of_the_wrong_name_is_refused(void **state)
{
	struct tls_fixture *fixture = *state;
	struct rpc_channel *channel = tls_fixture_channel(fixture, "uri", "second.test");
	struct err err;

	assert_int_equal(fixture_echo(channel, "secret", &err), -1);
	assert_int_equal(err.reason, ERR_UNAVAILABLE);
	rpc_channel_free(channel);
}

static void client_without_its_files_says_so(void **state)
{
	struct tls_fixture *fixture = *state;
	struct rpc_channel *channel = tls_fixture_channel(fixture, "nowhere", "agent.test");
	struct err err;

	assert_int_equal(fixture_echo(channel, "hello", &err), -1);
	assert_int_equal(err.reason, ERR_UNAVAILABLE);
	assert_non_null(strstr(err.message, "nowhere.pem: No such file or directory"));
	rpc_channel_free(channel);
}

/* ---- Files that change ---------------------------------------------------------- */

/* Until what the files say now is in force: 10 s. */
static void wait_for_server_name(const struct tls_fixture *fixture, const char *server_name)
{
	struct err err;
	int r = -1;

	for (int i = 0; i < 100 && r; i++) {
		struct rpc_channel *channel = tls_fixture_channel(fixture, "uri", server_name);

		r = fixture_echo(channel, "who are you", &err);
		rpc_channel_free(channel);
		if (r)
			usleep(100000);
	}
	if (r)
		fail_msg("%s", err.message);
}

static void changed_files_are_used_without_a_restart(void **state)
{
	struct tls_fixture *fixture = *state;
	struct rpc_channel *open = tls_fixture_channel(fixture, "uri", "agent.test");
	struct err err;

	assert_int_equal(fixture_echo(open, "before", &err), 0);
	tls_fixture_shell(fixture, "cp -p server.pem kept.pem; cp -p server.key kept.key");
	tls_fixture_shell(fixture, "cp server2.pem n; mv n server.pem; sleep 1.2");
	expect_echo(fixture, "uri"); /* the key is another one's: those before stay in force */
	tls_fixture_shell(fixture, "cp server2.key n; mv n server.key");
	wait_for_server_name(fixture, "second.test");
	assert_int_equal(fixture_echo(open, "still there", &err), 0);
	rpc_channel_free(open);

	tls_fixture_shell(fixture, "echo nonsense >server.pem; sleep 1.2");
	wait_for_server_name(fixture, "second.test");
	tls_fixture_shell(fixture, "rm server.pem ca.pem; cp rogue-ca.pem ca.pem; sleep 1.2");
	expect_refused(fixture, "rogue");
	tls_fixture_shell(fixture, "mv kept.pem server.pem; mv kept.key server.key");
}

/* Whether a Hold call on the channel is ended by the server within 10 s. */
static void expect_cut(struct rpc_stream *stream)
{
	ProtobufCMessage *message = NULL;
	struct err err;

	assert_int_equal(rpc_stream_receive_timeout(stream, 10000, &message), 0);
	assert_int_equal(rpc_stream_finish(stream, &err), -1);
	assert_int_equal(err.reason, ERR_UNAVAILABLE);
}

static struct rpc_stream *hold(struct rpc_channel *channel)
{
	Google__Protobuf__Empty empty = GOOGLE__PROTOBUF__EMPTY__INIT;
	ProtobufCMessage *message = NULL;
	struct err err;
	const struct rpc_call_options options = { .timeout_ms = -1 };
	struct rpc_stream *stream = rpc_stream_open(channel, ECHO, ECHO_HOLD, &options, &err);

	assert_non_null(stream);
	rpc_stream_send(stream, &empty.base);
	assert_int_equal(rpc_stream_receive(stream, &message), 1);
	protobuf_c_message_free_unpacked(message, NULL);
	return stream;
}

static void revoked_certificate_is_refused_and_its_connections_end(void **state)
{
	struct tls_fixture *fixture = tls_fixture_new(NULL, WITH_CRL);
	struct rpc_channel *revoked = tls_fixture_channel(fixture, "both", "agent.test");
	struct rpc_channel *other = tls_fixture_channel(fixture, "uri", "agent.test");
	struct rpc_stream *cut = hold(revoked), *kept = hold(other);
	ProtobufCMessage *message = NULL;
	struct err err;

	(void)state;
	tls_fixture_make(fixture, "revoke both");
	expect_cut(cut);
	expect_refused(fixture, "both");
	assert_int_equal(rpc_stream_receive_timeout(kept, 100, &message), -ETIMEDOUT);
	expect_echo(fixture, "uri");
	rpc_stream_finish(kept, &err);
	rpc_channel_free(revoked);
	rpc_channel_free(other);
	tls_fixture_free(fixture);
}

static void connection_ends_when_its_certificate_does(void **state)
{
	const struct tls_client client = { .name = "short", .protocol = "h2", TLS1_3_VERSION };
	struct tls_fixture *fixture = *state;
	SSL *connection;

	tls_fixture_make(fixture, "short 4");
	connection = tls_fixture_handshake(fixture, &client);
	assert_non_null(connection);
	assert_false(tls_fixture_is_closed(SSL_get_fd(connection), 100));
	assert_true(tls_fixture_is_closed(SSL_get_fd(connection), 10000));
	tls_fixture_hang_up(connection);
	assert_null(tls_fixture_handshake(fixture, &client));
}

/* ---- Set-ups that cannot be ------------------------------------------------------ */

static int try_to_listen(struct tls_fixture *fixture, const char *certificate, const char *key,
			 const char *crl, struct err *err)
{
	char ca[96];
	const struct rpc_tls_options options = { .address = "127.0.0.1:0",
						 .certificate = certificate,
						 .key = key,
						 .ca = ca,
						 .crl = crl };
	struct rpc_server *server = rpc_server_new(NULL);
	int r;

	snprintf(ca, sizeof(ca), "%s/ca.pem", fixture->folder);
	r = rpc_server_listen_tls(server, &options, err);
	rpc_server_free(server);
	return r;
}

static void files_that_cannot_be_used_are_named(void **state)
{
	struct tls_fixture *fixture = *state;
	char certificate[96], key[96], other[96], bad[96];
	struct err err;

	snprintf(certificate, sizeof(certificate), "%s/server.pem", fixture->folder);
	snprintf(key, sizeof(key), "%s/server.key", fixture->folder);
	snprintf(other, sizeof(other), "%s/uri.key", fixture->folder);
	snprintf(bad, sizeof(bad), "%s/bad", fixture->folder);
	assert_int_equal(try_to_listen(fixture, certificate, key, NULL, &err), 0);

	assert_int_equal(try_to_listen(fixture, bad, key, NULL, &err), -1);
	assert_non_null(strstr(err.message, "/bad as certificate: No such file or directory"));
	assert_int_equal(try_to_listen(fixture, certificate, other, NULL, &err), -1);
	assert_non_null(strstr(err.message, "/uri.key as key: key values mismatch"));
	tls_fixture_shell(fixture, "echo nonsense >bad");
	assert_int_equal(try_to_listen(fixture, certificate, key, bad, &err), -1);
	assert_non_null(strstr(err.message, "/bad as revocation list: "));
	tls_fixture_shell(fixture, "openssl ec -in server.key -aes128 -passout pass:secret "
				   "-out bad 2>/dev/null");
	assert_int_equal(try_to_listen(fixture, certificate, bad, NULL, &err), -1);
	assert_non_null(strstr(err.message, "/bad as key: "));
	tls_fixture_shell(fixture, "cp server.key bad && chmod 604 bad");
	assert_int_equal(try_to_listen(fixture, certificate, bad, NULL, &err), -1);
	assert_non_null(strstr(err.message, "mode 0604, others must have no access"));
	assert_int_equal(try_to_listen(fixture, certificate, NULL, NULL, &err), -1);
	assert_non_null(strstr(err.message, "TLS needs a file for its key"));
}

static void a_name_is_one_peer_s(void **state)
{
	const struct rpc_peer peers[] = {
		{ .name = "one", .san = "agent.test" },
		{ .name = "two", .san = "other.test" },
		{ .name = "user", .uid = (uid_t)-1 },
		{ .name = "three", .san = "agent.test" },
	};
	struct rpc_server *server = rpc_server_new(NULL);
	struct err err;

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_int_equal(rpc_server_add_peer(server, &peers[i], &err), 0);
	assert_int_equal(rpc_server_add_peer(server, &peers[3], &err), -1);
	assert_string_equal(err.message, "peers one and three have the same name agent.test");
	rpc_server_free(server);
}

static void patterns_and_odd_bytes_are_no_names(void **state)
{
	static const char *const names[] = { "*.test", "agent test", "agent.test\n",
					     "\xc3\xa4.test" };
	struct rpc_server *server = rpc_server_new(NULL);
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct rpc_peer peer = { .name = "odd" };

		snprintf(peer.san, sizeof(peer.san), "%s", names[i]);
		assert_int_equal(rpc_server_add_peer(server, &peer, &err), -1);
		assert_int_equal(err.reason, ERR_INVALID_ARGUMENT);
		assert_non_null(strstr(err.message, "must be a URI or DNS name"));
	}
	rpc_server_free(server);
}

#define WITH_SERVER(test)                                                                          \
	cmocka_unit_test_setup_teardown(test, tls_fixture_setup, tls_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_SERVER(peers_are_known_by_the_names_in_their_certificates),
		WITH_SERVER(certificates_that_are_not_good_are_refused),
		WITH_SERVER(clients_that_are_not_as_they_should_be_are_refused),
		WITH_SERVER(no_session_is_resumed),
		WITH_SERVER(server_of_the_wrong_name_is_refused),
		WITH_SERVER(client_without_its_files_says_so),
		WITH_SERVER(changed_files_are_used_without_a_restart),
		cmocka_unit_test(revoked_certificate_is_refused_and_its_connections_end),
		WITH_SERVER(connection_ends_when_its_certificate_does),
		WITH_SERVER(files_that_cannot_be_used_are_named),
		cmocka_unit_test(a_name_is_one_peer_s),
		cmocka_unit_test(patterns_and_odd_bytes_are_no_names),
	};

	return cmocka_run_group_tests(tests, tls_fixture_setup_process,
				      tls_fixture_teardown_process);
}

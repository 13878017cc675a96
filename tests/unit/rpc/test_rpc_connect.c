/* SPDX-License-Identifier: Apache-2.0 */
/* Who may connect to whom, and what happens when descriptors or places run out. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "fixture.h"
#include "google/protobuf/empty.pb-c.h"

#define NOBODY 65534u

/* A plain socket connected to the server; -1 with errno. */
static int connect_raw(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	close(fd);
	return -1;
}

/* Whether the server closed the connection without a word. */
static bool is_closed_by_server(int fd, int timeout_ms)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLIN };
	char byte;

	return poll(&pollfd, 1, timeout_ms) == 1 && recv(fd, &byte, 1, 0) == 0;
}

static void nobody_there_is_unavailable_at_once(void **state)
{
	struct rpc_channel *channel = rpc_channel_new("/nonexistent/sock", (uid_t)-1);
	int64_t start = now_ms();
	struct err err;

	(void)state;
	assert_int_equal(fixture_echo(channel, "hello", &err), -1);
	assert_int_equal(err.reason, ERR_UNAVAILABLE);
	assert_string_equal(err.message,
			    "cannot connect to /nonexistent/sock: No such file or directory");
	assert_true(now_ms() - start < 1000);
	assert_null(rpc_stream_open(channel, ECHO, ECHO_CHAT, NULL, &err));
	rpc_channel_free(channel);
}

static void server_of_the_wrong_user_is_refused(void **state)
{
	struct fixture *fixture = *state;
	struct rpc_channel *channel = rpc_channel_new(fixture->path, getuid() + 1);
	char message[256];
	struct err err;

	assert_int_equal(fixture_echo(channel, "secret", &err), -1);
	assert_int_equal(err.reason, ERR_UNAVAILABLE);
	snprintf(message, sizeof(message), "%s is served by uid %u, must be uid %u: not used",
		 fixture->path, getuid(), getuid() + 1);
	assert_string_equal(err.message, message);
	rpc_channel_free(channel);
}

/*
 * The kernel keeps ids per thread, and SO_PEERCRED tells those of the thread that
 * connected: with the bare system call one thread of the test is another user.
 */
struct stranger {
	struct fixture *fixture;
	uid_t uid;
	int result;
	struct err err;
	char peer[64]; /* as whom the server knew it */
};

static void *call_as(void *arg)
{
	Hypeman__Test__V1__EchoRequest request = HYPEMAN__TEST__V1__ECHO_REQUEST__INIT;
	struct stranger *stranger = arg;
	struct rpc_channel *channel;
	ProtobufCMessage *reply = NULL;

	syscall(SYS_setresuid, stranger->uid, stranger->uid, 0);
	channel = rpc_channel_new(stranger->fixture->path, (uid_t)-1);
	stranger->result = rpc_channel_call(channel, ECHO, ECHO_ECHO, &request.base, NULL, &reply,
					    &stranger->err);
	if (stranger->result == 0)
		snprintf(stranger->peer, sizeof(stranger->peer), "%s",
			 ((Hypeman__Test__V1__EchoResponse *)reply)->peer);
	protobuf_c_message_free_unpacked(reply, NULL);
	rpc_channel_free(channel);
	syscall(SYS_setresuid, 0, 0, 0);
	return NULL;
}

static void run_as(struct stranger *stranger)
{
	pthread_t thread;

	pthread_create(&thread, NULL, call_as, stranger);
	pthread_join(thread, NULL);
}

static void user_that_is_no_peer_is_refused(void **state)
{
	struct stranger stranger = { .fixture = *state, .uid = NOBODY };
	struct err err;

	if (getuid() != 0)
		skip();
	chmod(stranger.fixture->folder, 0755);
	run_as(&stranger);
	assert_int_equal(stranger.result, -1);
	assert_int_equal(stranger.err.reason, ERR_UNAVAILABLE);
	assert_int_equal(fixture_echo(stranger.fixture->channel, "others go on", &err), 0);
}

/* A server for us, for NOBODY as "second", and for uid 1 as "third" that has no role. */
static struct fixture *new_with_three_peers(const struct rpc_server_options *options)
{
	const struct rpc_peer peers[] = {
		{ .name = "tester", .uid = getuid(), .roles = ECHO_ROLE },
		{ .name = "second", .uid = NOBODY, .roles = ECHO_ROLE },
		{ .name = "third", .uid = 1 },
	};
	struct fixture *fixture = fixture_new(NULL);
	struct err err;

	fixture_stop_server(fixture, 0);
	chmod(fixture->folder, 0755);
	fixture->server = rpc_server_new(options);
	assert_int_equal(echo_add(fixture->server, &fixture->echo, &err), 0);
	for (size_t i = 0; i < sizeof(peers) / sizeof(peers[0]); i++)
		assert_int_equal(rpc_server_add_peer(fixture->server, &peers[i], &err), 0);
	assert_int_equal(rpc_server_listen_unix(fixture->server, fixture->path, 0666, &err), 0);
	assert_int_equal(rpc_server_start(fixture->server, &err), 0);
	return fixture;
}

static void each_user_is_known_by_its_own_name(void **state)
{
	struct fixture *fixture;
	struct err err;

	(void)state;
	if (getuid() != 0)
		skip();
	fixture = new_with_three_peers(NULL);
	for (int i = 0; i < 5; i++) {
		struct stranger second = { .fixture = fixture, .uid = NOBODY };
		struct stranger third = { .fixture = fixture, .uid = 1 };

		assert_int_equal(fixture_echo(fixture->channel, "me", &err), 0);
		run_as(&second);
		assert_int_equal(second.result, 0);
		assert_string_equal(second.peer, "second");
		run_as(&third);
		assert_int_equal(third.result, -1);
		assert_int_equal(third.err.reason, ERR_FORBIDDEN);
		assert_non_null(strstr(third.err.message, "peer third may not call"));
	}
	fixture_free(fixture);
}

/* Opens as many Hold calls as it can, and leaves them open. */
struct holder {
	struct rpc_channel *channel;
	struct rpc_stream *streams[8];
	int held;
	struct err err; /* why there were no more */
};

static void hold(struct holder *holder)
{
	Google__Protobuf__Empty empty = GOOGLE__PROTOBUF__EMPTY__INIT;

	for (;; holder->held++) {
		ProtobufCMessage *message = NULL;
		struct rpc_stream *stream;

		stream = rpc_stream_open(holder->channel, ECHO, ECHO_HOLD, NULL, &holder->err);
		if (!stream)
			return;
		rpc_stream_send(stream, &empty.base);
		if (rpc_stream_receive(stream, &message) != 1) {
			rpc_stream_finish(stream, &holder->err);
			return;
		}
		protobuf_c_message_free_unpacked(message, NULL);
		holder->streams[holder->held] = stream;
	}
}

static void *hold_as_nobody(void *holder)
{
	syscall(SYS_setresuid, NOBODY, NOBODY, 0);
	hold(holder);
	syscall(SYS_setresuid, 0, 0, 0);
	return NULL;
}

static void release(struct holder *holder)
{
	struct err err;

	while (holder->held > 0)
		rpc_stream_finish(holder->streams[--holder->held], &err);
	rpc_channel_free(holder->channel);
}

static void one_peer_cannot_take_every_place(void **state)
{
	const struct rpc_server_options options = { .long_calls = 4 };
	struct fixture *fixture;
	struct holder greedy = { 0 }, other = { 0 };
	pthread_t thread;

	(void)state;
	if (getuid() != 0)
		skip();
	fixture = new_with_three_peers(&options);
	greedy.channel = rpc_channel_new(fixture->path, (uid_t)-1);
	other.channel = rpc_channel_new(fixture->path, (uid_t)-1);
	pthread_create(&thread, NULL, hold_as_nobody, &greedy);
	pthread_join(thread, NULL);
	assert_int_equal(greedy.held, 3);
	assert_int_equal(greedy.err.reason, ERR_OVERLOADED);
	hold(&other);
	assert_int_equal(other.held, 1);
	assert_int_equal(other.err.reason, ERR_OVERLOADED);
	release(&greedy);
	release(&other);
	fixture_free(fixture);
}

/* A connection that the server keeps, once it has noticed that earlier ones are closed. */
static int connect_until_kept(const char *path)
{
	for (int i = 0; i < 100; i++) {
		int fd = connect_raw(path);

		assert_true(fd >= 0);
		if (!is_closed_by_server(fd, 50))
			return fd;
		close(fd);
		usleep(50000);
	}
	fail_msg("the server keeps no connection");
	return -1;
}

static void connections_are_counted_as_long_as_they_last(void **state)
{
	const struct rpc_server_options options = { .max_connections = 4 };
	struct fixture *fixture = fixture_new(&options);
	int fds[4], excess;

	(void)state;
	for (int round = 0; round < 10; round++) {
		for (int i = 0; i < 4; i++)
			fds[i] = connect_until_kept(fixture->path);
		excess = connect_raw(fixture->path);
		assert_true(is_closed_by_server(excess, 2000));
		close(excess);
		for (int i = 0; i < 4; i++)
			close(fds[i]);
	}
	fixture_free(fixture);
}

static void server_recovers_from_want_of_descriptors(void **state)
{
	struct fixture *fixture = *state;
	struct rlimit before, limit;
	int fds[400], count = 0;
	struct err err;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	limit = before;
	limit.rlim_cur = 100;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	while (count < 400) { /* each costs two: ours and the server's */
		int fd = connect_raw(fixture->path);

		if (fd < 0) {
			assert_true(errno == EMFILE || errno == EAGAIN);
			break;
		}
		fds[count++] = fd;
	}
	usleep(200000);
	assert_true(count > 10 && count < 100);
	while (count > 0)
		close(fds[--count]);

	for (int i = 0; i < 250 && fixture_echo(fixture->channel, "back", &err); i++)
		usleep(20000);
	assert_int_equal(fixture_echo(fixture->channel, "back", &err), 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

/* ---- The socket's name --------------------------------------------------------- */

/* A server that is not started: only its socket matters. NULL with *err. */
static struct rpc_server *listen_at(const char *path, struct err *err)
{
	struct rpc_server *server = rpc_server_new(NULL);

	assert_non_null(server);
	if (rpc_server_listen_unix(server, path, 0660, err) == 0)
		return server;
	rpc_server_free(server);
	return NULL;
}

/* What a server that was killed leaves behind. */
static void leave_stale_socket(const char *path, bool listening, int *ret_fd)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 1), 0);
	if (listening)
		*ret_fd = fd;
	else
		close(fd);
}

struct names {
	char folder[64];
	char path[80];
	char lock[96];
	char state[96];
};

static int make_names(void **state)
{
	struct names *names = calloc(1, sizeof(*names));

	strcpy(names->folder, "/tmp/hypeman-rpc.XXXXXX");
	if (!mkdtemp(names->folder))
		return -1;
	snprintf(names->path, sizeof(names->path), "%s/sock", names->folder);
	snprintf(names->lock, sizeof(names->lock), "%s.lock", names->path);
	snprintf(names->state, sizeof(names->state), "%s.state", names->path);
	*state = names;
	return 0;
}

static int remove_names(void **state)
{
	struct names *names = *state;
	int r;

	unlink(names->path);
	unlink(names->lock);
	unlink(names->state);
	r = rmdir(names->folder); /* nothing else may be there */
	free(names);
	return r;
}

static void stale_socket_is_replaced(void **state)
{
	struct names *names = *state;
	struct rpc_server *server;
	struct stat st;
	struct err err;

	leave_stale_socket(names->path, false, NULL);
	server = listen_at(names->path, &err);
	assert_non_null(server);
	assert_int_equal(stat(names->path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0660);
	rpc_server_free(server);
	assert_int_equal(access(names->path, F_OK), -1);
}

static void live_server_is_not_replaced(void **state)
{
	struct names *names = *state;
	struct rpc_server *server;
	struct err err;
	int fd;

	server = listen_at(names->path, &err);
	assert_non_null(server);
	assert_null(listen_at(names->path, &err));
	assert_int_equal(err.reason, ERR_FAILED_PRECONDITION);
	assert_non_null(strstr(err.message, "another server is running at"));
	fd = connect_raw(names->path); /* the first one's socket is still there */
	assert_true(fd >= 0);
	close(fd);
	rpc_server_free(server);

	leave_stale_socket(names->path, true, &fd); /* a program that knows no lock */
	assert_null(listen_at(names->path, &err));
	assert_non_null(strstr(err.message, "another server answers at"));
	close(fd);
}

static void other_files_are_not_replaced(void **state)
{
	struct names *names = *state;
	struct err err;
	int fd = open(names->path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	close(fd);
	assert_null(listen_at(names->path, &err));
	assert_non_null(strstr(err.message, "exists and is not a socket"));
	assert_int_equal(access(names->path, F_OK), 0);
}

static void socket_that_is_not_ours_any_more_is_left(void **state)
{
	struct names *names = *state;
	struct rpc_server *server;
	struct err err;

	server = listen_at(names->path, &err);
	assert_non_null(server);
	unlink(names->path);
	leave_stale_socket(names->path, false, NULL);
	rpc_server_free(server);
	assert_int_equal(access(names->path, F_OK), 0);
}

static void path_must_fit_a_socket_address(void **state)
{
	char path[200] = "/tmp/";
	struct err err;

	(void)state;
	memset(path + 5, 'x', 100);
	assert_null(listen_at(path, &err));
	assert_int_equal(err.reason, ERR_INVALID_ARGUMENT);
	assert_string_equal(err.field, "socket");
	assert_null(listen_at("relative", &err));
	assert_string_equal(err.field, "socket");
}

#define WITH_SERVER(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)
#define WITH_NAMES(test)  cmocka_unit_test_setup_teardown(test, make_names, remove_names)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nobody_there_is_unavailable_at_once),
		WITH_SERVER(server_of_the_wrong_user_is_refused),
		WITH_SERVER(user_that_is_no_peer_is_refused),
		cmocka_unit_test(each_user_is_known_by_its_own_name),
		cmocka_unit_test(one_peer_cannot_take_every_place),
		cmocka_unit_test(connections_are_counted_as_long_as_they_last),
		WITH_SERVER(server_recovers_from_want_of_descriptors),
		WITH_NAMES(stale_socket_is_replaced),
		WITH_NAMES(live_server_is_not_replaced),
		WITH_NAMES(other_files_are_not_replaced),
		WITH_NAMES(socket_that_is_not_ours_any_more_is_left),
		cmocka_unit_test(path_must_fit_a_socket_address),
	};

	return cmocka_run_group_tests(tests, fixture_setup_process, fixture_teardown_process);
}

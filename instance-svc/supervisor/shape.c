/* SPDX-License-Identifier: Apache-2.0 */
#include "shape.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "protocol.h"

#define NS_PER_S INT64_C(1000000000)

int64_t shape_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * NS_PER_S + now.tv_nsec;
}

/* ---- One rate ---- */

void shape_bucket_init(struct shape_bucket *bucket, uint64_t bits_per_s, int64_t now)
{
	uint64_t burst = bits_per_s / 8 / 1000 * SHAPE_BURST_MS;

	*bucket = (struct shape_bucket){
		.bytes_per_s = bits_per_s > 0 && bits_per_s < 8 ? 1 : bits_per_s / 8,
		.burst = burst > SHAPE_BUFFER_BYTES ? burst : SHAPE_BUFFER_BYTES,
		.filled_ns = now,
	};
}

/* What is less than a byte stays in the time. */
static void fill(struct shape_bucket *bucket, int64_t now)
{
	long double rate = (long double)bucket->bytes_per_s / NS_PER_S;
	long double more = (long double)(now - bucket->filled_ns) * rate;
	uint64_t room = bucket->burst - bucket->bytes;

	if (more >= (long double)room) {
		bucket->bytes = bucket->burst;
		bucket->filled_ns = now;
		return;
	}
	bucket->bytes += (uint64_t)more;
	bucket->filled_ns += (int64_t)((long double)(uint64_t)more / rate);
}

size_t shape_bucket_look(struct shape_bucket *bucket, int64_t now)
{
	if (bucket->bytes_per_s == 0)
		return SHAPE_BUFFER_BYTES;
	fill(bucket, now);
	return bucket->bytes < SHAPE_BUFFER_BYTES ? (size_t)bucket->bytes : SHAPE_BUFFER_BYTES;
}

void shape_bucket_take(struct shape_bucket *bucket, size_t bytes)
{
	if (bucket->bytes_per_s > 0)
		bucket->bytes -= bytes < bucket->bytes ? bytes : bucket->bytes;
}

int shape_bucket_wait_ms(const struct shape_bucket *bucket)
{
	uint64_t ms = bucket->bytes_per_s == 0
			      ? 0
			      : SHAPE_BUFFER_BYTES / 4 * UINT64_C(1000) / bucket->bytes_per_s;

	return ms < 1 ? 1 : ms > 100 ? 100 : (int)ms;
}

/* ---- Two directions ---- */

struct direction {
	int from, to;
	struct shape_bucket bucket;
	char bytes[SHAPE_BUFFER_BYTES];
	size_t start, end; /* what was read and not written yet */
};

/* False at the end of either socket. */
static bool direction_read(struct direction *direction, int64_t now)
{
	size_t may = shape_bucket_look(&direction->bucket, now);
	ssize_t n;

	if (may == 0)
		return true;
	n = read(direction->from, direction->bytes, may);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	shape_bucket_take(&direction->bucket, (size_t)n);
	direction->start = 0;
	direction->end = (size_t)n;
	return n > 0;
}

static bool direction_write(struct direction *direction)
{
	ssize_t n = send(direction->to, direction->bytes + direction->start,
			 direction->end - direction->start, MSG_NOSIGNAL);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	direction->start += (size_t)n;
	return true;
}

static bool direction_is_empty(const struct direction *direction)
{
	return direction->start == direction->end;
}

/* What it waits for; *timeout_ms becomes shorter when that is time. */
static struct pollfd direction_poll(struct direction *direction, int64_t now, int *timeout_ms)
{
	int wait;

	if (!direction_is_empty(direction))
		return (struct pollfd){ .fd = direction->to, .events = POLLOUT };
	if (shape_bucket_look(&direction->bucket, now) > 0)
		return (struct pollfd){ .fd = direction->from, .events = POLLIN };
	wait = shape_bucket_wait_ms(&direction->bucket);
	if (*timeout_ms < 0 || wait < *timeout_ms)
		*timeout_ms = wait;
	return (struct pollfd){ .fd = -1 };
}

static bool direction_go_on(struct direction *direction, int64_t now)
{
	if (direction_is_empty(direction) && !direction_read(direction, now))
		return false;
	return direction_is_empty(direction) || direction_write(direction);
}

void shape_relay(int a, int b, uint64_t a_to_b_bps, uint64_t b_to_a_bps)
{
	static struct direction directions[2]; /* too large for a stack; one relay a process */

	directions[0].from = directions[1].to = a;
	directions[0].to = directions[1].from = b;
	for (int i = 0; i < 2; i++)
		directions[i].start = directions[i].end = 0;
	shape_bucket_init(&directions[0].bucket, a_to_b_bps, shape_now_ns());
	shape_bucket_init(&directions[1].bucket, b_to_a_bps, shape_now_ns());
	(void)fcntl(a, F_SETFL, O_NONBLOCK);
	(void)fcntl(b, F_SETFL, O_NONBLOCK);
	for (;;) {
		int timeout_ms = -1;
		int64_t now = shape_now_ns();
		struct pollfd fds[2];

		for (int i = 0; i < 2; i++)
			fds[i] = direction_poll(&directions[i], now, &timeout_ms);
		if (poll(fds, 2, timeout_ms) < 0 && errno != EINTR)
			return;
		now = shape_now_ns();
		for (int i = 0; i < 2; i++)
			if (fds[i].revents && !direction_go_on(&directions[i], now))
				return;
	}
}

/* ---- The process ---- */

/* Keeps nothing but the two ends, and dies with the program. */
__attribute__((noreturn)) static void relay(int passt, pid_t parent, uint64_t download,
					    uint64_t upload)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
		_exit(1);
	shape_relay(passt, VM_FD_NETWORK, download, upload);
	_exit(0);
}

int shape_main(int argc, char **argv)
{
	uint64_t download, upload;
	pid_t parent = getpid(), child;
	int ends[2];

	if (argc < 5) {
		log_error("shape-network is started by instance-svc only");
		return 2;
	}
	download = strtoull(argv[2], NULL, 10);
	upload = strtoull(argv[3], NULL, 10);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0) {
		log_error("cannot shape the network: %s", strerror(errno));
		return 1;
	}
	child = fork();
	if (child == 0) {
		close(ends[1]);
		relay(ends[0], parent, download, upload);
	}
	if (child < 0 || dup2(ends[1], VM_FD_NETWORK) < 0) {
		log_error("cannot shape the network: %s", strerror(errno));
		return 1;
	}
	execvp(argv[4], argv + 4);
	log_error("cannot execute %s: %s", argv[4], strerror(errno));
	return 1;
}

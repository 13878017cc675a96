/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keeps a VM's network within its rates: a process between QEMU and passt that hands on the
 * bytes of their link no faster than it may. It needs no privilege and no traffic control of
 * the kernel's, and what it does not take waits in the sockets, so that both ends slow down.
 */

#ifndef INSTANCE_SVC_SUPERVISOR_SHAPE_H
#define INSTANCE_SVC_SUPERVISOR_SHAPE_H

#include <stddef.h>
#include <stdint.h>

#define SHAPE_BUFFER_BYTES (64 * 1024)
/* A writer that never pauses is read this fast: more would only be rotated away. */
#define SHAPE_LOG_BITS_PER_S (UINT64_C(4) << 23) /* 4 MiB/s: 40,000 lines of 100 bytes */

#define SHAPE_BURST_MS 50 /* that may come at once after a pause, but no less than a buffer */

/* How much may go on now. */
struct shape_bucket {
	uint64_t bytes_per_s; /* 0: no limit */
	uint64_t burst;
	uint64_t bytes; /* that may go now */
	int64_t filled_ns;
};

void shape_bucket_init(struct shape_bucket *bucket, uint64_t bits_per_s, int64_t now_ns);

int64_t shape_now_ns(void); /* monotonic */

/* Bytes that may go at this time, at most SHAPE_BUFFER_BYTES. */
size_t shape_bucket_look(struct shape_bucket *bucket, int64_t now_ns);
void shape_bucket_take(struct shape_bucket *bucket, size_t bytes);

/* Until a quarter of a buffer may go again. */
int shape_bucket_wait_ms(const struct shape_bucket *bucket);

/* Between two connected stream sockets, until one of them ends. Bits per second; 0: no limit. */
void shape_relay(int a, int b, uint64_t a_to_b_bps, uint64_t b_to_a_bps);

/* "shape-network DOWNLOAD UPLOAD PROGRAM ARG...": the program's VM_FD_NETWORK is shaped. */
int shape_main(int argc, char **argv);

#endif

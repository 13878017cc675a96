/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bits per second as people write them: "100Mbps", "1Gbps", "64000". Units are powers of 1000
 * (bps, Kbps, Mbps, Gbps, Tbps), in either case.
 */

#ifndef INSTANCE_SVC_RATE_H
#define INSTANCE_SVC_RATE_H

#include <stdint.h>

struct rate_text {
	char s[32];
};

/*
 * Digits, at most one space, a unit or none. Returns 0, -EINVAL for another form, or
 * -ERANGE beyond INT64_MAX; *ret_bps is untouched on failure.
 */
int rate_parse(const char *text, uint64_t *ret_bps);

/* The largest unit that divides evenly: 1500 Mbit/s is "1500Mbps". */
struct rate_text rate_text(uint64_t bps);

#define RATE_STR(bps) (rate_text(bps).s)

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The number that a text with a unit begins with: "8" of "8GB", "100" of "100 Mbps". */

#ifndef INSTANCE_SVC_NUMBER_H
#define INSTANCE_SVC_NUMBER_H

#include <stdint.h>

/*
 * Digits and at most one space; *text moves behind them. Returns 0, -EINVAL without a digit, or
 * -ERANGE beyond INT64_MAX; *ret_value is untouched on failure.
 */
int number_read(const char **text, uint64_t *ret_value);

#endif

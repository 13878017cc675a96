/* SPDX-License-Identifier: Apache-2.0 */
/* Prometheus' text format, version 0.0.4. Samples follow the head of their family at once. */

#ifndef API_GATEWAY_PROMETHEUS_H
#define API_GATEWAY_PROMETHEUS_H

#include "text.h"

#define PROMETHEUS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* HELP and TYPE ("counter", "gauge", "histogram"). */
void prometheus_family(struct text *to, const char *name, const char *type, const char *help);

/* One sample. Names and values of its labels in turn, then NULL. */
void prometheus_sample(struct text *to, const char *name, double value, ...)
	__attribute__((sentinel));

/* A family with one sample that has no labels. */
void prometheus_gauge(struct text *to, const char *name, const char *help, double value);

/* What a number looks like there: integers as such, others with as few digits as read back. */
struct prometheus_number {
	char s[32];
};
struct prometheus_number prometheus_number(double value);

#endif

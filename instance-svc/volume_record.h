/* SPDX-License-Identifier: Apache-2.0 */
/* A volume, and how it is written down: lines "NAME VALUE" in this order. */

#ifndef INSTANCE_SVC_VOLUME_RECORD_H
#define INSTANCE_SVC_VOLUME_RECORD_H

#include <stdint.h>

#include "common/err.h"
#include "quota.h"

#define VOLUME_ID_MAX	   63
#define VOLUME_SIZE_GB_MAX 16384
#define VOLUME_REQUEST_MAX 255

struct volume {
	char id[VOLUME_ID_MAX + 1];
	char name[64];
	uint32_t size_gb; /* in units of 1024^3 bytes */
	int64_t created_ms;
	char request[VOLUME_REQUEST_MAX + 1]; /* who asked, and under which id; empty: none */
	char principal[QUOTA_PRINCIPAL_MAX +
		       1]; /* whose quota; empty: made before there were any */
};

#define VOLUME_RECORD_MAX 1024

/* Id, name, size and request are as they should be: the field at fault is named. */
int volume_check(const struct volume *volume, struct err *err);

/* Everything but the id, which is the directory's name. Pure. */
void volume_record_format(const struct volume *volume, char ret[VOLUME_RECORD_MAX]);

/* 0, or -EINVAL with *ret untouched. */
int volume_record_parse(const char *text, const char *id, struct volume *ret);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "quota.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/scoped.h"
#include "number.h"
#include "size.h"

static const struct {
	const char *word;
	bool is_size;
} kinds[QUOTA_COUNT] = {
	[QUOTA_INSTANCES] = { "instances", false }, [QUOTA_VCPUS] = { "vcpus", false },
	[QUOTA_MEMORY] = { "memory", true },	    [QUOTA_DISK] = { "disk", true },
	[QUOTA_GPUS] = { "gpus", false },
};

/* ---- The setting ---- */

static int find_kind(const char *word)
{
	for (int i = 0; i < QUOTA_COUNT; i++)
		if (strcmp(word, kinds[i].word) == 0)
			return i;
	return -1;
}

static int read_amount(int kind, const char *text, uint64_t *ret)
{
	if (strcmp(text, "unlimited") == 0) {
		*ret = QUOTA_UNLIMITED;
		return 0;
	}
	if (kinds[kind].is_size)
		return size_parse(text, ret);
	return number_read(&text, ret) < 0 || *text != '\0' ? -EINVAL : 0;
}

/* "WHAT=AMOUNT", which is cut at its '='. */
static int read_limit(char *part, struct quota_line *line, struct err *err)
{
	char *amount = strchr(part, '=');
	int kind;

	if (amount)
		*amount++ = '\0';
	kind = find_kind(part);
	if (kind < 0 || !amount)
		return err_field(err, "quota",
				 "quota of '%s' has '%.40s': must be instances, vcpus, memory, "
				 "disk or gpus, with '=' and an amount",
				 line->principal, part);
	if (line->given[kind])
		return err_field(err, "quota", "quota of '%s' has %s twice", line->principal, part);
	if (read_amount(kind, amount, &line->limits.of[kind]) < 0)
		return err_field(err, "quota",
				 "quota of '%s' has %s=%.40s: must be \"unlimited\" or %s",
				 line->principal, part, amount,
				 kinds[kind].is_size ? "a size, such as \"64GB\"" : "a number");
	line->given[kind] = true;
	return 0;
}

int quota_parse(const char *text, struct quota_line *ret, struct err *err)
{
	scoped_free char *copy = strdup(text);
	struct quota_line line = { 0 };
	char *rest = copy ? strrchr(copy, ':') : NULL; /* a principal may have one too */
	const char *part;

	if (!copy)
		return err_sys(err, ENOMEM, "cannot read the quotas");
	if (!rest || rest == copy || rest[1] == '\0' || rest - copy > QUOTA_PRINCIPAL_MAX)
		return err_field(err, "quota",
				 "quota is '%.200s': must be PRINCIPAL:WHAT=AMOUNT,... with a "
				 "principal of at most %d bytes",
				 text, QUOTA_PRINCIPAL_MAX);
	*rest++ = '\0';
	memcpy(line.principal, copy, strlen(copy) + 1);
	while ((part = strsep(&rest, ",")))
		if (read_limit((char *)(uintptr_t)part, &line, err) < 0)
			return -1;
	*ret = line;
	return 0;
}

/* ---- Limits and use ---- */

static const struct quota_line *find_line(const struct quotas *quotas, const char *principal)
{
	for (size_t i = 0; i < quotas->count; i++)
		if (strcmp(quotas->lines[i].principal, principal) == 0)
			return &quotas->lines[i];
	return NULL;
}

struct quota_amounts quota_limits(const struct quotas *quotas, const char *principal)
{
	const struct quota_line *const lines[] = { find_line(quotas, principal),
						   find_line(quotas, QUOTA_OTHERS) };
	struct quota_amounts limits;

	for (int kind = 0; kind < QUOTA_COUNT; kind++) {
		limits.of[kind] = QUOTA_UNLIMITED;
		for (size_t i = 0; i < 2; i++) {
			if (!lines[i] || !lines[i]->given[kind])
				continue;
			limits.of[kind] = lines[i]->limits.of[kind];
			break;
		}
	}
	return limits;
}

void quota_add(struct quota_amounts *amounts, const struct spec *spec, bool runs)
{
	amounts->of[QUOTA_INSTANCES]++;
	amounts->of[QUOTA_DISK] += spec->overlay_bytes;
	if (!runs)
		return;
	amounts->of[QUOTA_VCPUS] += spec->vcpus;
	amounts->of[QUOTA_MEMORY] += spec->memory_bytes;
	amounts->of[QUOTA_GPUS] += spec_hold_count(spec);
}

static struct size_text amount_text(int kind, uint64_t amount)
{
	struct size_text text;

	if (kinds[kind].is_size)
		return size_text(amount);
	snprintf(text.s, sizeof(text.s), "%" PRIu64, amount);
	return text;
}

int quota_admit(const struct quotas *quotas, const char *principal,
		const struct quota_amounts *used, const struct quota_amounts *wanted,
		struct err *err)
{
	const struct quota_amounts limits = quota_limits(quotas, principal);

	for (int kind = 0; kind < QUOTA_COUNT; kind++) {
		uint64_t limit = limits.of[kind], now = used->of[kind], more = wanted->of[kind];

		if (more == 0 || (now <= limit && more <= limit - now))
			continue;
		return err_set(err, ERR_QUOTA_EXCEEDED,
			       "the quota of '%s' is %s=%s: %s used, %s more asked for (setting "
			       "quota)",
			       principal, kinds[kind].word, amount_text(kind, limit).s,
			       amount_text(kind, now).s, amount_text(kind, more).s);
	}
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "journal_line.h"

#include <errno.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "uuid_text.h"

static const char *const state_words[] = {
	[JOURNAL_INTENT] = "intent",
	[JOURNAL_CREATED] = "created",
	[JOURNAL_FAILED] = "failed",
	[JOURNAL_REMOVED] = "removed",
};

static const char *const kind_words[] = {
	[JOURNAL_MDEV] = "mdev",
	[JOURNAL_VENDOR] = "type",
	[JOURNAL_BINDING] = "bind",
};

/* CRC-32 of IEEE 802.3, as zlib's crc32(). */
static uint32_t checksum(const char *data, size_t length)
{
	uint32_t crc = UINT32_MAX;

	for (size_t i = 0; i < length; i++) {
		crc ^= (uint8_t)data[i];
		for (int bit = 0; bit < 8; bit++)
			crc = (crc >> 1) ^ (crc & 1 ? 0xedb88320u : 0);
	}
	return ~crc;
}

bool journal_line_takes(const char *driver)
{
	return !strpbrk(driver, " ,=\n");
}

#define DETAIL_MAX (JOURNAL_FUNCTIONS * (OPS_DRIVER_MAX + 3))

static void format_functions(const struct journal_entry *entry, char text[static DETAIL_MAX])
{
	size_t used = 0;

	text[0] = '\0';
	for (int i = 0; i < JOURNAL_FUNCTIONS; i++)
		if (entry->functions[i].moved)
			used += (size_t)snprintf(text + used, DETAIL_MAX - used, "%s%d=%s",
						 used ? "," : "", i, entry->functions[i].driver);
}

static void format_detail(const struct journal_entry *entry, char text[static DETAIL_MAX])
{
	if (entry->kind == JOURNAL_BINDING)
		format_functions(entry, text);
	else if (entry->kind == JOURNAL_VENDOR)
		snprintf(text, DETAIL_MAX, "%" PRIu32, entry->vendor_type);
	else
		snprintf(text, DETAIL_MAX, "%s", entry->type);
}

size_t journal_line_format(const struct journal_entry *entry, const char *boot,
			   char line[static JOURNAL_LINE_MAX])
{
	char detail[DETAIL_MAX];
	int used;

	format_detail(entry, detail);
	used = snprintf(line, JOURNAL_LINE_MAX, "%s %s %s %s %s %s %" PRId32 "-%" PRIu64,
			state_words[entry->state], boot, kind_words[entry->kind], entry->uuid,
			PCI_STR(entry->parent), detail, entry->writer.pid, entry->writer.start);
	used += snprintf(line + used, JOURNAL_LINE_MAX - (size_t)used, " %08" PRIx32 "\n",
			 checksum(line, (size_t)used));
	return (size_t)used;
}

static int parse_state(const char *word, enum journal_state *ret)
{
	for (enum journal_state s = JOURNAL_INTENT; s <= JOURNAL_REMOVED; s++) {
		if (strcmp(word, state_words[s]) == 0) {
			*ret = s;
			return 0;
		}
	}
	return -EBADMSG;
}

static int parse_kind(const char *word, enum journal_kind *ret)
{
	for (enum journal_kind k = JOURNAL_MDEV; k <= JOURNAL_BINDING; k++) {
		if (strcmp(word, kind_words[k]) == 0) {
			*ret = k;
			return 0;
		}
	}
	return -EBADMSG;
}

static int parse_functions(char *text, struct journal_entry *entry)
{
	for (char *item = strsep(&text, ","); item; item = strsep(&text, ",")) {
		struct journal_function *function;

		if (item[0] < '0' || item[0] >= '0' + JOURNAL_FUNCTIONS || item[1] != '=' ||
		    strlen(item + 2) >= OPS_DRIVER_MAX)
			return -EBADMSG;
		function = &entry->functions[item[0] - '0'];
		function->moved = true;
		strcpy(function->driver, item + 2);
	}
	return 0;
}

static int parse_detail(char *text, struct journal_entry *entry)
{
	if (entry->kind == JOURNAL_BINDING)
		return parse_functions(text, entry);
	if (entry->kind == JOURNAL_VENDOR)
		return sscanf(text, "%" SCNu32, &entry->vendor_type) == 1 ? 0 : -EBADMSG;
	if (strlen(text) >= OPS_TYPE_MAX)
		return -EBADMSG;
	strcpy(entry->type, text);
	return 0;
}

/* Splits text at single spaces into exactly count words. */
static int split(char *text, char **words, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		words[i] = strsep(&text, " ");
		if (!words[i])
			return -EBADMSG;
	}
	return text ? -EBADMSG : 0;
}

int journal_line_parse(const char *line, size_t length, struct journal_entry *ret, char *ret_boot)
{
	struct journal_entry entry = { 0 };
	char text[JOURNAL_LINE_MAX], again[JOURNAL_LINE_MAX];
	char *words[8];
	size_t written;

	if (length + 1 >= sizeof(text) || memchr(line, '\0', length))
		return -EBADMSG;
	memcpy(text, line, length);
	text[length] = '\0';
	if (split(text, words, 8) < 0 || parse_state(words[0], &entry.state) < 0 ||
	    !uuid_text_is_valid(words[1]) || parse_kind(words[2], &entry.kind) < 0 ||
	    !uuid_text_is_valid(words[3]) || pci_addr_parse(words[4], &entry.parent) < 0 ||
	    parse_detail(words[5], &entry) < 0 ||
	    sscanf(words[6], "%" SCNd32 "-%" SCNu64, &entry.writer.pid, &entry.writer.start) != 2)
		return -EBADMSG;
	strcpy(entry.uuid, words[3]);

	/* Writing the line again checks the checksum, and the numbers' form. */
	written = journal_line_format(&entry, words[1], again);
	if (written != length + 1 || memcmp(again, line, length) != 0)
		return -EBADMSG;
	*ret = entry;
	strcpy(ret_boot, words[1]);
	return 0;
}

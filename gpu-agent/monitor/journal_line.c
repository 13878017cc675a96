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

size_t journal_line_format(const struct journal_entry *entry, const char *boot,
			   char line[static JOURNAL_LINE_MAX])
{
	int used = snprintf(line, JOURNAL_LINE_MAX, "%s %s %s %s %s %" PRId32 "-%" PRIu64,
			    state_words[entry->state], boot, entry->uuid, PCI_STR(entry->parent),
			    entry->type, entry->writer.pid, entry->writer.start);

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
	char *words[7];
	size_t written;

	if (length + 1 >= sizeof(text) || memchr(line, '\0', length))
		return -EBADMSG;
	memcpy(text, line, length);
	text[length] = '\0';
	if (split(text, words, 7) < 0 || parse_state(words[0], &entry.state) < 0 ||
	    !uuid_text_is_valid(words[1]) || !uuid_text_is_valid(words[2]) ||
	    pci_addr_parse(words[3], &entry.parent) < 0 || strlen(words[4]) >= OPS_TYPE_MAX ||
	    sscanf(words[5], "%" SCNd32 "-%" SCNu64, &entry.writer.pid, &entry.writer.start) != 2)
		return -EBADMSG;
	strcpy(entry.uuid, words[2]);
	strcpy(entry.type, words[4]);

	/* Writing the line again checks the checksum, and the numbers' form. */
	written = journal_line_format(&entry, words[1], again);
	if (written != length + 1 || memcmp(again, line, length) != 0)
		return -EBADMSG;
	*ret = entry;
	strcpy(ret_boot, words[1]);
	return 0;
}

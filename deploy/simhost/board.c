/* SPDX-License-Identifier: Apache-2.0 */
#include "board.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#define WORDS_MAX 16

/* Where an error is: the file, its line, and the board that is being filled. */
struct reader {
	const char *path;
	unsigned int line;
	struct board *board; /* borrowed */
	struct err *err;     /* borrowed */
	uint64_t seen;	     /* bit i: keys[i] was given */
};

struct words {
	size_t count;
	char text[WORDS_MAX][BOARD_TEXT_SIZE];
};

enum key_form {
	KEY_HEX,      /* up to max */
	KEY_NUMBER,   /* decimal, up to max */
	KEY_HEX_PAIR, /* "10de:22ba" into two numbers side by side */
	KEY_WORD,
	KEY_SHARING,
	KEY_REFUSAL,
};

struct key {
	const char *name;
	enum key_form form;
	size_t offset; /* within struct board */
	uint64_t max;
	bool required;
};

#define FIELD(name) offsetof(struct board, name)

static const struct key keys[] = {
	{ "vendor", KEY_HEX, FIELD(vendor), 0xffff, true },
	{ "device", KEY_HEX, FIELD(device), 0xffff, true },
	{ "subsystem", KEY_HEX_PAIR, FIELD(subsystem_vendor), 0xffff, true },
	{ "class", KEY_HEX, FIELD(class_code), 0xffffff, true },
	{ "revision", KEY_HEX, FIELD(revision), 0xff, true },
	{ "driver", KEY_WORD, FIELD(driver), 0, true },
	{ "mdev-driver", KEY_WORD, FIELD(mdev_driver), 0, false },
	{ "vendor-dir", KEY_WORD, FIELD(vendor_dir), 0, false },
	{ "node", KEY_WORD, FIELD(node), 0, false },
	{ "reset", KEY_WORD, FIELD(reset_method), 0, false },
	{ "vf-reset", KEY_WORD, FIELD(vf_reset_method), 0, false },
	{ "audio", KEY_HEX_PAIR, FIELD(audio_vendor), 0xffff, false },
	{ "vfs", KEY_NUMBER, FIELD(vfs), 128, false },
	{ "framebuffer", KEY_NUMBER, FIELD(framebuffer_mb), 16777216, false },
	{ "boot-vga", KEY_NUMBER, FIELD(boot_vga), 1, false },
	{ "sharing", KEY_SHARING, FIELD(sharing), 0, false },
	{ "refusal", KEY_REFUSAL, FIELD(refusal), 0, false },
};

static int reader_fail(struct reader *reader, const char *word, const char *wanted)
{
	return err_set(reader->err, ERR_INVALID_ARGUMENT, "%s:%u: '%s': %s", reader->path,
		       reader->line, word, wanted);
}

/* Copies one word, quotes taken off and \n made a line feed. NULL: an open quote or too long. */
static const char *word_take(const char *at, char *ret_text)
{
	size_t length = 0;
	bool quoted = false;

	for (; *at && (quoted || !strchr(" \t", *at)); at++) {
		char c = *at;

		if (c == '"') {
			quoted = !quoted;
			continue;
		}
		if (c == '\\' && at[1] == 'n') {
			c = '\n';
			at++;
		}
		if (length + 1 >= BOARD_TEXT_SIZE)
			return NULL;
		ret_text[length++] = c;
	}
	ret_text[length] = '\0';
	return quoted ? NULL : at;
}

static int words_split(struct reader *reader, const char *line, struct words *ret)
{
	const char *at = line + strspn(line, " \t");

	ret->count = 0;
	while (*at && *at != '#') {
		if (ret->count == WORDS_MAX)
			return reader_fail(reader, at, "a line has at most 16 words");
		at = word_take(at, ret->text[ret->count]);
		if (!at)
			return reader_fail(reader, line, "an open quote, or a word too long");
		ret->count++;
		at += strspn(at, " \t");
	}
	return 0;
}

static int number_parse(const char *text, int base, uint64_t max, uint64_t *ret)
{
	const char *digits = base == 16 ? "0123456789abcdef" : "0123456789";
	size_t length = strlen(text);

	if (length == 0 || length > 9 || strspn(text, digits) != length)
		return -EINVAL;
	*ret = strtoull(text, NULL, base);
	return *ret <= max ? 0 : -EINVAL;
}

static int number_read(struct reader *reader, const char *word, const char *text, int base,
		       uint64_t max, uint64_t *ret)
{
	char wanted[96];

	if (number_parse(text, base, max, ret) == 0)
		return 0;
	if (base == 16)
		snprintf(wanted, sizeof(wanted), "takes lower-case hexadecimal digits, up to %llx",
			 (unsigned long long)max);
	else
		snprintf(wanted, sizeof(wanted), "takes a decimal number up to %llu",
			 (unsigned long long)max);
	return reader_fail(reader, word, wanted);
}

static int pair_read(struct reader *reader, char *text, uint64_t *ret_two)
{
	char *colon = strchr(text, ':');

	if (!colon)
		return reader_fail(reader, text, "takes two numbers such as 10de:22ba");
	*colon = '\0';
	if (number_read(reader, text, text, 16, 0xffff, &ret_two[0]) < 0)
		return -1;
	return number_read(reader, colon + 1, colon + 1, 16, 0xffff, &ret_two[1]);
}

static int text_read(struct reader *reader, const char *word, const char *text, size_t size,
		     char *ret)
{
	size_t length = strlen(text);

	if (length >= size || strchr(text, '/'))
		return reader_fail(reader, word, "too long, or has a slash");
	memcpy(ret, text, length + 1);
	return 0;
}

static int sharing_read(struct reader *reader, const char *text)
{
	static const char *const names[] = {
		[BOARD_EQUAL_SIZE] = "equal-size",
		[BOARD_ANY_SIZE] = "any-size",
		[BOARD_INSTANCES] = "instances",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(text, names[i]) != 0)
			continue;
		reader->board->sharing = (enum board_sharing)i;
		return 0;
	}
	return reader_fail(reader, text, "takes equal-size, any-size or instances");
}

static int key_read(struct reader *reader, const struct key *key, char *text)
{
	void *field = (char *)reader->board + key->offset;

	switch (key->form) {
	case KEY_HEX:
		return number_read(reader, text, text, 16, key->max, field);
	case KEY_NUMBER:
		return number_read(reader, text, text, 10, key->max, field);
	case KEY_HEX_PAIR:
		return pair_read(reader, text, field);
	case KEY_WORD:
		return text_read(reader, text, text, BOARD_WORD_SIZE, field);
	case KEY_SHARING:
		return sharing_read(reader, text);
	case KEY_REFUSAL:
		if (strcmp(text, "EIO") != 0 && strcmp(text, "ENOSPC") != 0)
			return reader_fail(reader, text, "takes EIO or ENOSPC");
		reader->board->refusal = strcmp(text, "EIO") == 0 ? EIO : ENOSPC;
		return 0;
	}
	return -1;
}

static int key_line_read(struct reader *reader, struct words *words)
{
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		if (strcmp(words->text[0], keys[i].name) != 0)
			continue;
		if (reader->seen & 1ull << i)
			return reader_fail(reader, words->text[0], "is given twice");
		reader->seen |= 1ull << i;
		if (words->count != 2)
			return reader_fail(reader, words->text[0], "takes one value");
		return key_read(reader, &keys[i], words->text[1]);
	}
	return reader_fail(reader, words->text[0], "no such key (README.md lists them)");
}

/* What a type line may give, before it becomes a struct board_type. */
struct type_line {
	uint64_t framebuffer, max, instances, heads, frl;
	char resolution[BOARD_WORD_SIZE];
	char name[BOARD_TITLE_SIZE];
	char description[BOARD_TEXT_SIZE];
};

static int type_word_read(struct reader *reader, const char *word, struct type_line *line)
{
	static const struct {
		const char *name;
		size_t offset;
		uint64_t max; /* of a number; a text has none */
		size_t size;  /* of a text */
	} attributes[] = {
		{ "framebuffer", offsetof(struct type_line, framebuffer), 16777216, 0 },
		{ "max", offsetof(struct type_line, max), 4096, 0 },
		{ "instances", offsetof(struct type_line, instances), 4096, 0 },
		{ "heads", offsetof(struct type_line, heads), 64, 0 },
		{ "frl", offsetof(struct type_line, frl), 1000, 0 },
		{ "resolution", offsetof(struct type_line, resolution), 0, BOARD_WORD_SIZE },
		{ "name", offsetof(struct type_line, name), 0, BOARD_TITLE_SIZE },
		{ "description", offsetof(struct type_line, description), 0, BOARD_TEXT_SIZE },
	};
	const char *value = strchr(word, '=');

	for (size_t i = 0; value && i < sizeof(attributes) / sizeof(attributes[0]); i++) {
		void *field = (char *)line + attributes[i].offset;

		if (strncmp(word, attributes[i].name, (size_t)(value - word)) != 0 ||
		    attributes[i].name[value - word] != '\0')
			continue;
		if (attributes[i].size)
			return text_read(reader, word, value + 1, attributes[i].size, field);
		return number_read(reader, word, value + 1, 10, attributes[i].max, field);
	}
	return reader_fail(reader, word,
			   "takes framebuffer=, max=, instances=, heads=, frl=, resolution=, "
			   "name= or description=");
}

static int type_describe(struct reader *reader, const struct type_line *line,
			 struct board_type *type)
{
	if (line->framebuffer == 0 || line->max == 0)
		return reader_fail(reader, type->id, "needs framebuffer= and max= above 0");
	type->framebuffer_mb = line->framebuffer;
	type->max_instance = line->max;
	type->instances = line->instances;
	memcpy(type->name, line->name, sizeof(type->name));
	if (line->description[0] != '\0') {
		memcpy(type->description, line->description, sizeof(type->description));
		return 0;
	}
	if (line->heads == 0 || line->resolution[0] == '\0')
		return reader_fail(reader, type->id,
				   "needs heads=, frl= and resolution=, or "
				   "description=");
	snprintf(type->description, sizeof(type->description),
		 "num_heads=%llu, frl_config=%llu, framebuffer=%lluM, max_resolution=%s, "
		 "max_instance=%llu",
		 (unsigned long long)line->heads, (unsigned long long)line->frl,
		 (unsigned long long)line->framebuffer, line->resolution,
		 (unsigned long long)line->max);
	return 0;
}

static int type_line_read(struct reader *reader, struct words *words)
{
	struct board *board = reader->board;
	struct type_line line = { 0 };
	struct board_type *type;

	if (words->count < 2)
		return reader_fail(reader, words->text[0], "takes the id of a type");
	if (board->type_count == BOARD_TYPES_MAX)
		return reader_fail(reader, words->text[1], "a board has at most 64 types");
	type = &board->types[board->type_count];
	if (text_read(reader, words->text[1], words->text[1], sizeof(type->id), type->id) < 0)
		return -1;
	for (size_t i = 0; i < board->type_count; i++)
		if (strcmp(board->types[i].id, type->id) == 0)
			return reader_fail(reader, type->id, "this type is given twice");
	for (size_t i = 2; i < words->count; i++)
		if (type_word_read(reader, words->text[i], &line) < 0)
			return -1;
	if (type_describe(reader, &line, type) < 0)
		return -1;
	board->type_count++;
	return 0;
}

static int board_read(struct reader *reader, FILE *file)
{
	scoped_free char *line = NULL;
	struct words words;
	size_t size = 0;
	ssize_t length;

	while ((length = getline(&line, &size, file)) >= 0) {
		reader->line++;
		line[strcspn(line, "\r\n")] = '\0';
		if (words_split(reader, line, &words) < 0)
			return -1;
		if (words.count == 0)
			continue;
		if (strcmp(words.text[0], "type") == 0) {
			if (type_line_read(reader, &words) < 0)
				return -1;
		} else if (key_line_read(reader, &words) < 0) {
			return -1;
		}
	}
	return ferror(file) ? err_sys(reader->err, errno, "cannot read %s", reader->path) : 0;
}

/* What only the whole file can tell. Lines are named where one is at fault. */
static int board_check(struct reader *reader)
{
	const struct board *board = reader->board;

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (keys[i].required && !(reader->seen & 1ull << i))
			return reader_fail(reader, keys[i].name, "is missing");
	if (board->type_count > 0 && board->framebuffer_mb == 0)
		return reader_fail(reader, "framebuffer", "is missing: the board has types");
	if (board->type_count > 0 && board->mdev_driver[0] == '\0')
		return reader_fail(reader, "mdev-driver", "is missing: the board has types");
	for (size_t i = 0; i < board->type_count; i++) {
		const struct board_type *type = &board->types[i];

		if (type->framebuffer_mb > board->framebuffer_mb)
			return reader_fail(reader, type->id, "is larger than the framebuffer");
		if (board->vfs > 0 && type->max_instance > board->vfs)
			return reader_fail(reader, type->id, "has a max above vfs");
		if (type->instances > type->max_instance)
			return reader_fail(reader, type->id, "has instances above its max");
		if (type->instances > 0 && board->sharing != BOARD_INSTANCES)
			return reader_fail(reader, type->id,
					   "has instances, which need sharing instances");
	}
	return 0;
}

int board_load(const char *dir, const char *name, struct board **ret, struct err *err)
{
	scoped(board_free) struct board *board = calloc(1, sizeof(*board));
	scoped_file FILE *file = NULL;
	char path[PATH_MAX];
	struct reader reader = { .path = path, .board = board, .err = err };

	if (!board)
		return err_sys(err, ENOMEM, "cannot load board '%s'", name);
	if (strlen(name) >= sizeof(board->name) || strchr(name, '/') || name[0] == '.')
		return err_set(err, ERR_INVALID_ARGUMENT, "'%s' is no name of a board", name);
	strcpy(board->name, name);
	snprintf(path, sizeof(path), "%s/%s.board", dir, name);
	file = fopen(path, "re");
	if (!file)
		return err_set(err, ERR_INVALID_ARGUMENT, "board '%s': cannot open %s: %s", name,
			       path, strerror(errno));
	board->refusal = EIO;
	if (board_read(&reader, file) < 0 || board_check(&reader) < 0)
		return -1;
	*ret = TAKE_PTR(board);
	return 0;
}

void board_free(struct board *board)
{
	free(board);
}

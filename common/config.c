/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scoped.h"

/* Where a value came from, for messages. */
struct origin {
	char text[256]; /* "/etc/hypeman/x.conf:12" or "--socket" */
};

static char *own(struct config *config, const char *text)
{
	char **owned = realloc(config->owned, (config->owned_count + 1) * sizeof(*owned));
	char *copy = owned ? strdup(text) : NULL;

	if (owned)
		config->owned = owned;
	if (copy)
		config->owned[config->owned_count++] = copy;
	return copy;
}

static const struct config_setting *find(const struct config *config, const char *name)
{
	for (size_t i = 0; i < config->setting_count; i++)
		if (strcmp(config->settings[i].name, name) == 0)
			return &config->settings[i];
	return NULL;
}

static int set_uint(const struct config_setting *setting, const char *text,
		    const struct origin *origin, struct err *err)
{
	char *end;
	unsigned long long value;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (!isdigit((unsigned char)text[0]) || *end || errno || value < setting->min ||
	    value > setting->max)
		return err_field(err, setting->name,
				 "%s: %s is '%s', must be a number from %" PRIu64 " to %" PRIu64,
				 origin->text, setting->name, text, setting->min, setting->max);
	*(uint64_t *)setting->value = value;
	return 0;
}

static int set_bool(const struct config_setting *setting, const char *text,
		    const struct origin *origin, struct err *err)
{
	if (strcmp(text, "true") == 0 || strcmp(text, "yes") == 0)
		*(bool *)setting->value = true;
	else if (strcmp(text, "false") == 0 || strcmp(text, "no") == 0)
		*(bool *)setting->value = false;
	else
		return err_field(err, setting->name, "%s: %s is '%s', must be true or false",
				 origin->text, setting->name, text);
	return 0;
}

static int list_append(struct config *config, struct config_list *list, const char *text,
		       struct err *err)
{
	char **values = realloc(list->values, (list->count + 1) * sizeof(*values));
	char *copy = values ? own(config, text) : NULL;

	if (values)
		list->values = values;
	if (!copy)
		return err_sys(err, ENOMEM, "cannot keep '%s'", text);
	list->values[list->count++] = copy;
	return 0;
}

static int set(struct config *config, const struct config_setting *setting, const char *text,
	       const struct origin *origin, struct err *err)
{
	char *copy;

	switch (setting->type) {
	case CONFIG_UINT:
		return set_uint(setting, text, origin, err);
	case CONFIG_BOOL:
		return set_bool(setting, text, origin, err);
	case CONFIG_LIST:
		return list_append(config, setting->value, text, err);
	case CONFIG_PATH:
		if (text[0] != '/')
			return err_field(err, setting->name,
					 "%s: %s is '%s', must be an absolute path", origin->text,
					 setting->name, text);
		break;
	case CONFIG_TEXT:
		break;
	}
	copy = own(config, text);
	if (!copy)
		return err_sys(err, ENOMEM, "cannot keep %s", setting->name);
	*(const char **)setting->value = copy;
	return 0;
}

static void set_nothing(const struct config_setting *setting)
{
	switch (setting->type) {
	case CONFIG_TEXT:
	case CONFIG_PATH:
		*(const char **)setting->value = NULL;
		break;
	case CONFIG_UINT:
		*(uint64_t *)setting->value = 0;
		break;
	case CONFIG_BOOL:
		*(bool *)setting->value = false;
		break;
	case CONFIG_LIST:
		*(struct config_list *)setting->value = (struct config_list){ 0 };
		break;
	}
}

static int set_defaults(struct config *config, struct err *err)
{
	const struct origin origin = { .text = "default" };

	for (size_t i = 0; i < config->setting_count; i++)
		set_nothing(&config->settings[i]);
	for (size_t i = 0; i < config->setting_count; i++) {
		const struct config_setting *setting = &config->settings[i];

		if (setting->default_text &&
		    set(config, setting, setting->default_text, &origin, err))
			return -1;
	}
	return 0;
}

static char *trim(char *text)
{
	char *end;

	while (isspace((unsigned char)*text))
		text++;
	end = text + strlen(text);
	while (end > text && isspace((unsigned char)end[-1]))
		*--end = '\0';
	return text;
}

/* A list's first value given replaces the default. */
static void forget_default(const struct config_setting *setting, bool *seen)
{
	if (setting->type == CONFIG_LIST && !*seen)
		((struct config_list *)setting->value)->count = 0;
	*seen = true;
}

static int read_line(struct config *config, char *line, const struct origin *origin, bool *seen,
		     struct err *err)
{
	const struct config_setting *setting;
	char *equals;

	line = trim(line);
	if (line[0] == '\0' || line[0] == '#')
		return 0;
	equals = strchr(line, '=');
	if (!equals)
		return err_set(err, ERR_INVALID_ARGUMENT, "%s: '%s' is not of the form key = value",
			       origin->text, line);
	*equals = '\0';
	setting = find(config, trim(line));
	if (!setting)
		return err_set(err, ERR_INVALID_ARGUMENT, "%s: unknown setting '%s', see --help",
			       origin->text, trim(line));
	forget_default(setting, &seen[setting - config->settings]);
	return set(config, setting, trim(equals + 1), origin, err);
}

static int read_file(struct config *config, const char *path, bool must_exist, struct err *err)
{
	scoped_file FILE *file = fopen(path, "re");
	scoped_free char *line = NULL;
	scoped_free bool *seen = NULL;
	size_t size = 0;

	if (!file && errno == ENOENT && !must_exist)
		return 0;
	if (!file)
		return err_sys(err, errno, "cannot read %s", path);
	seen = calloc(config->setting_count + 1, sizeof(*seen));
	if (!seen)
		return err_sys(err, ENOMEM, "cannot read %s", path);
	for (unsigned number = 1; getline(&line, &size, file) >= 0; number++) {
		struct origin origin = { 0 };

		snprintf(origin.text, sizeof(origin.text), "%s:%u", path, number);
		if (read_line(config, line, &origin, seen, err))
			return -1;
	}
	if (!feof(file)) /* a folder, or a disk that fails */
		return err_sys(err, errno, "cannot read %s", path);
	return 0;
}

static void print_help(const struct config *config)
{
	printf("%s - %s\n\nUsage: %s [--config FILE] [--SETTING VALUE]...\n\n", config->program,
	       config->description, config->program);
	printf("Settings, on the command line or as \"name = value\" in %s:\n",
	       config->default_file ? config->default_file : "the configuration file");
	for (size_t i = 0; i < config->setting_count; i++) {
		const struct config_setting *setting = &config->settings[i];

		printf("  --%-24s %s", setting->name, setting->help);
		if (setting->default_text)
			printf(" (default: %s)", setting->default_text);
		printf("%s\n", setting->type == CONFIG_LIST ? "; may be repeated" : "");
	}
	printf("\n  --%-24s read settings from FILE\n", "config FILE");
	printf("  --%-24s say whether the settings are right, and exit\n", "check-config");
	printf("  --%-24s print the version, and exit\n", "version");
}

/* One "--name value", "--name=value" or bare "--name". *index moves past what was used. */
static int read_flag(struct config *config, int argc, char **argv, int *index, bool *seen,
		     struct err *err)
{
	struct origin origin = { 0 };
	const struct config_setting *setting;
	scoped_free char *name = NULL;
	const char *value = NULL;
	char *equals;

	if (strncmp(argv[*index], "--", 2) != 0)
		return err_set(err, ERR_INVALID_ARGUMENT, "'%s' is not a flag, see --help",
			       argv[*index]);
	name = strdup(argv[*index] + 2);
	if (!name)
		return err_sys(err, ENOMEM, "cannot read %s", argv[*index]);
	equals = strchr(name, '=');
	if (equals) {
		*equals = '\0';
		value = equals + 1;
	}
	setting = find(config, name);
	if (!setting)
		return err_set(err, ERR_INVALID_ARGUMENT, "unknown flag --%s, see --help", name);
	if (!value && setting->type == CONFIG_BOOL)
		value = "true";
	else if (!value && *index + 1 < argc)
		value = argv[++*index];
	if (!value)
		return err_set(err, ERR_INVALID_ARGUMENT, "--%s needs a value", name);
	snprintf(origin.text, sizeof(origin.text), "--%s", name);
	forget_default(setting, &seen[setting - config->settings]);
	return set(config, setting, value, &origin, err);
}

/* "--config FILE" or "--config=FILE": how many arguments it takes, 0 for another flag. */
static int config_flag(int argc, char **argv, int index, const char **file)
{
	if (strncmp(argv[index], "--config=", 9) == 0) {
		*file = argv[index] + 9;
		return 1;
	}
	if (strcmp(argv[index], "--config") != 0)
		return 0;
	*file = index + 1 < argc ? argv[index + 1] : NULL;
	return 2;
}

/* The flags that are not settings. 1: answered, exit 0. */
static int read_standard_flags(struct config *config, int argc, char **argv, const char **file)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--help") == 0) {
			print_help(config);
			return 1;
		}
		if (strcmp(argv[i], "--version") == 0) {
			printf("%s %s\n", config->program, HYPEMAN_VERSION);
			return 1;
		}
		if (strcmp(argv[i], "--check-config") == 0)
			config->check_only = true;
		if (config_flag(argc, argv, i, file) == 2)
			i++;
	}
	return 0;
}

static int read_flags(struct config *config, int argc, char **argv, struct err *err)
{
	scoped_free bool *seen = calloc(config->setting_count + 1, sizeof(*seen));

	if (!seen)
		return err_sys(err, ENOMEM, "cannot read the settings");
	for (int i = 1; i < argc; i++) {
		const char *file = NULL;
		int taken = config_flag(argc, argv, i, &file);

		if (strcmp(argv[i], "--check-config") == 0)
			continue;
		if (taken && !file)
			return err_set(err, ERR_INVALID_ARGUMENT, "--config needs a file");
		if (!taken && read_flag(config, argc, argv, &i, seen, err))
			return -1;
		i += taken ? taken - 1 : 0;
	}
	return 0;
}

int config_parse(struct config *config, int argc, char **argv, struct err *err)
{
	const char *file = NULL;

	if (read_standard_flags(config, argc, argv, &file))
		return 1;
	if (set_defaults(config, err))
		return -1;
	if (file || config->default_file)
		if (read_file(config, file ? file : config->default_file, file != NULL, err))
			return -1;
	return read_flags(config, argc, argv, err);
}

void config_done(struct config *config)
{
	for (size_t i = 0; i < config->setting_count; i++) {
		struct config_list *list = config->settings[i].value;

		if (config->settings[i].type != CONFIG_LIST)
			continue;
		free(list->values);
		*list = (struct config_list){ 0 };
	}
	for (size_t i = 0; i < config->owned_count; i++)
		free(config->owned[i]);
	free(config->owned);
	config->owned = NULL;
	config->owned_count = 0;
}

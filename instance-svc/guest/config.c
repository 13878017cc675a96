/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#define MAGIC_BYTES (sizeof(GUEST_CONFIG_MAGIC) - 1)

static int text_set(const char **slot, const char *key, const char *value, struct err *err)
{
	if (*slot)
		return err_set(err, ERR_INVALID_ARGUMENT, "config: %s is given twice", key);
	*slot = value;
	return 0;
}

static int address_parse(const char *key, const char *value, struct in_addr *ret, struct err *err)
{
	if (inet_pton(AF_INET, value, ret) != 1)
		return err_set(err, ERR_INVALID_ARGUMENT, "config: %s=%.64s is no IPv4 address",
			       key, value);
	return 0;
}

static int set_ip(struct guest_config *config, const char *value, struct err *err)
{
	char address[INET_ADDRSTRLEN];
	const char *slash = strchr(value, '/');
	unsigned long prefix = 0;
	char *end = NULL;

	if (slash && slash[1] >= '0' && slash[1] <= '9')
		prefix = strtoul(slash + 1, &end, 10);
	if (!end || *end != '\0' || prefix > 32 || slash - value >= INET_ADDRSTRLEN)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "config: ip=%.64s is not of the form 10.0.2.15/24", value);
	memcpy(address, value, (size_t)(slash - value));
	address[slash - value] = '\0';
	config->netmask.s_addr = htonl(prefix == 0 ? 0 : UINT32_MAX << (32 - prefix));
	config->has_network = true;
	return address_parse("ip", address, &config->ip, err);
}

static int set_dns(struct guest_config *config, const char *value, struct err *err)
{
	if (config->dns_count == GUEST_DNS_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT, "config: more than %d dns records",
			       GUEST_DNS_MAX);
	return address_parse("dns", value, &config->dns[config->dns_count++], err);
}

static int set_env(struct guest_config *config, char *value, struct err *err)
{
	if (value[0] == '=' || !strchr(value, '='))
		return err_set(err, ERR_INVALID_ARGUMENT, "config: env=%.64s is not NAME=value",
			       value);
	config->env[config->env_count++] = value;
	return 0;
}

static int set_volume(struct guest_config *config, const char *value, struct err *err)
{
	struct guest_volume *volume = &config->volumes[config->volume_count];

	if (config->volume_count == GUEST_VOLUMES_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT, "config: more than %d volume records",
			       GUEST_VOLUMES_MAX);
	volume->read_only = strncmp(value, "ro:", 3) == 0;
	if ((!volume->read_only && strncmp(value, "rw:", 3) != 0) || value[3] != '/' ||
	    value[3 + strspn(value + 3, "/")] == '\0')
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "config: volume=%.64s is not of the form rw:/path or ro:/path",
			       value);
	volume->path = value + 3;
	config->volume_count++;
	return 0;
}

/* What was met so far of the keys that must not repeat. */
struct seen {
	const char *ip, *gateway;
};

static int set_record(struct guest_config *config, struct seen *seen, const char *key, char *value,
		      struct err *err)
{
	if (strcmp(key, "arg") == 0) {
		config->args[config->arg_count++] = value;
		return 0;
	}
	if (strcmp(key, "env") == 0)
		return set_env(config, value, err);
	if (strcmp(key, "dns") == 0)
		return set_dns(config, value, err);
	if (strcmp(key, "volume") == 0)
		return set_volume(config, value, err);
	if (strcmp(key, "user") == 0)
		return text_set(&config->user, key, value, err);
	if (strcmp(key, "workdir") == 0)
		return text_set(&config->workdir, key, value, err);
	if (strcmp(key, "hostname") == 0)
		return text_set(&config->hostname, key, value, err);
	if (strcmp(key, "ip") == 0)
		return text_set(&seen->ip, key, value, err) < 0 ? -1 : set_ip(config, value, err);
	if (strcmp(key, "gateway") == 0)
		return text_set(&seen->gateway, key, value, err) < 0
			       ? -1
			       : address_parse(key, value, &config->gateway, err);
	return err_set(err, ERR_INVALID_ARGUMENT, "config: unknown key '%.64s'", key);
}

static int read_records(struct guest_config *config, struct seen *seen, size_t length,
			struct err *err)
{
	char *end = config->records + length;

	for (char *record = config->records; record < end; record += strlen(record) + 1) {
		size_t size = strnlen(record, (size_t)(end - record));
		char *equals;

		if (size == 0)
			return 0;
		if (record + size == end)
			break;
		equals = strchr(record, '=');
		if (!equals)
			return err_set(err, ERR_INVALID_ARGUMENT,
				       "config: record '%.64s' has no '='", record);
		*equals = '\0';
		if (set_record(config, seen, record, equals + 1, err) < 0)
			return -1;
		record = equals + 1; /* the strlen above must not stop at the cut */
	}
	return err_set(err, ERR_INVALID_ARGUMENT, "config: ends without an empty record");
}

static int check_whole(struct guest_config *config, const struct seen *seen, struct err *err)
{
	if (config->arg_count == 0 || config->args[0][0] == '\0')
		return err_set(err, ERR_INVALID_ARGUMENT, "config: no command (arg)");
	if (seen->gateway && !seen->ip)
		return err_set(err, ERR_INVALID_ARGUMENT, "config: gateway without ip");
	if (!config->user)
		config->user = "";
	if (!config->hostname)
		config->hostname = "";
	if (!config->workdir || config->workdir[0] == '\0')
		config->workdir = "/";
	if (config->workdir[0] != '/')
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "config: workdir=%.64s is not an absolute path", config->workdir);
	return 0;
}

/* Room for every record to be an arg or an env: a record is at least "arg=" and its end. */
static int allocate(struct guest_config *config, const uint8_t *data, size_t length)
{
	size_t room = length / 5 + 1;

	config->records = malloc(length + 1);
	config->args = calloc(room, sizeof(*config->args));
	config->env = calloc(room, sizeof(*config->env));
	if (!config->records || !config->args || !config->env)
		return -1;
	memcpy(config->records, data, length);
	config->records[length] = '\0';
	return 0;
}

int guest_config_parse(const uint8_t *data, size_t length, struct guest_config *ret,
		       struct err *err)
{
	struct guest_config config = { 0 };
	struct seen seen = { 0 };
	int r;

	*ret = config;
	if (length > GUEST_CONFIG_MAX_BYTES)
		return err_set(err, ERR_INVALID_ARGUMENT, "config: longer than %d bytes",
			       GUEST_CONFIG_MAX_BYTES);
	if (length < MAGIC_BYTES || memcmp(data, GUEST_CONFIG_MAGIC, MAGIC_BYTES) != 0)
		return err_set(err, ERR_INVALID_ARGUMENT, "config: does not begin with \"%s\"",
			       GUEST_CONFIG_MAGIC);
	length -= MAGIC_BYTES;
	if (allocate(&config, data + MAGIC_BYTES, length) < 0)
		r = err_set(err, ERR_INTERNAL, "config: out of memory");
	else
		r = read_records(&config, &seen, length, err);
	if (r == 0)
		r = check_whole(&config, &seen, err);
	if (r < 0)
		guest_config_done(&config);
	*ret = config;
	return r;
}

void guest_config_done(struct guest_config *config)
{
	free(config->records);
	free(config->args);
	free(config->env);
	*config = (struct guest_config){ 0 };
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "instance-svc/guest/config.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A string literal's bytes, the NULs in it and the one after it included. */
#define CONFIG(literal) (const uint8_t *)("hypeman1" literal), sizeof("hypeman1" literal)

static const char *address(struct in_addr in)
{
	static char text[INET_ADDRSTRLEN];

	return inet_ntop(AF_INET, &in, text, sizeof(text));
}

static void a_whole_config_is_read(void **state)
{
	struct guest_config config;
	struct err err;

	(void)state;
	assert_int_equal(guest_config_parse(CONFIG("arg=/bin/sh\0arg=-c\0arg=a=b\0arg=\0"
						   "env=A=b\0env=EMPTY=\0user=www-data\0"
						   "workdir=/srv\0hostname=vm\0ip=10.0.2.15/24\0"
						   "gateway=10.0.2.2\0dns=10.0.2.3\0dns=1.1.1.1\0"
						   "volume=rw:/data\0volume=ro:/m/x\0\0\0\0"),
					    &config, &err),
			 0);
	assert_int_equal(config.arg_count, 4);
	assert_string_equal(config.args[2], "a=b");
	assert_string_equal(config.args[3], "");
	assert_null(config.args[4]);
	assert_int_equal(config.env_count, 2);
	assert_string_equal(config.env[1], "EMPTY=");
	assert_null(config.env[2]);
	assert_string_equal(config.user, "www-data");
	assert_string_equal(config.workdir, "/srv");
	assert_string_equal(config.hostname, "vm");
	assert_true(config.has_network);
	assert_string_equal(address(config.ip), "10.0.2.15");
	assert_string_equal(address(config.netmask), "255.255.255.0");
	assert_string_equal(address(config.gateway), "10.0.2.2");
	assert_int_equal(config.dns_count, 2);
	assert_string_equal(address(config.dns[1]), "1.1.1.1");
	assert_int_equal(config.volume_count, 2);
	assert_string_equal(config.volumes[0].path, "/data");
	assert_false(config.volumes[0].read_only);
	assert_string_equal(config.volumes[1].path, "/m/x");
	assert_true(config.volumes[1].read_only);
	guest_config_done(&config);
}

static void what_is_absent_has_defaults(void **state)
{
	struct guest_config config;
	struct err err;

	(void)state;
	assert_int_equal(guest_config_parse(CONFIG("arg=x\0"), &config, &err), 0);
	assert_string_equal(config.user, "");
	assert_string_equal(config.workdir, "/");
	assert_string_equal(config.hostname, "");
	assert_false(config.has_network);
	assert_int_equal(config.dns_count, 0);
	guest_config_done(&config);
}

static void prefixes_become_netmasks(void **state)
{
	struct guest_config config;
	struct err err;

	(void)state;
	assert_int_equal(guest_config_parse(CONFIG("arg=x\0ip=10.0.0.1/0\0"), &config, &err), 0);
	assert_string_equal(address(config.netmask), "0.0.0.0");
	guest_config_done(&config);
	assert_int_equal(guest_config_parse(CONFIG("arg=x\0ip=10.0.0.1/32\0"), &config, &err), 0);
	assert_string_equal(address(config.netmask), "255.255.255.255");
	guest_config_done(&config);
}

static void other_bytes_are_refused_with_the_reason(void **state)
{
	static const struct {
		const uint8_t *data;
		size_t length;
		const char *message;
	} refused[] = {
		{ (const uint8_t *)"", 0, "config: does not begin with \"hypeman1\"" },
		{ (const uint8_t *)"hypeman", 7, "config: does not begin with \"hypeman1\"" },
		{ (const uint8_t *)"hypeman2arg=x\0", 15,
		  "config: does not begin with \"hypeman1\"" },
		{ CONFIG(""), "config: no command (arg)" },
		{ CONFIG("arg=\0"), "config: no command (arg)" },
		{ CONFIG("env=A=b\0"), "config: no command (arg)" },
		{ (const uint8_t *)"hypeman1arg=x", 13, "config: ends without an empty record" },
		{ (const uint8_t *)"hypeman1arg=x\0", 14, "config: ends without an empty record" },
		{ CONFIG("arg=x\0nonsense\0"), "config: record 'nonsense' has no '='" },
		{ CONFIG("arg=x\0color=red\0"), "config: unknown key 'color'" },
		{ CONFIG("arg=x\0user=a\0user=b\0"), "config: user is given twice" },
		{ CONFIG("arg=x\0ip=1.2.3.4/8\0ip=1.2.3.4/8\0"), "config: ip is given twice" },
		{ CONFIG("arg=x\0env=A\0"), "config: env=A is not NAME=value" },
		{ CONFIG("arg=x\0env==b\0"), "config: env==b is not NAME=value" },
		{ CONFIG("arg=x\0workdir=srv\0"), "config: workdir=srv is not an absolute path" },
		{ CONFIG("arg=x\0ip=10.0.2.15\0"),
		  "config: ip=10.0.2.15 is not of the form 10.0.2.15/24" },
		{ CONFIG("arg=x\0ip=10.0.2.15/33\0"),
		  "config: ip=10.0.2.15/33 is not of the form 10.0.2.15/24" },
		{ CONFIG("arg=x\0ip=10.0.2.15/-1\0"),
		  "config: ip=10.0.2.15/-1 is not of the form 10.0.2.15/24" },
		{ CONFIG("arg=x\0ip=10.0.2.999/24\0"), "config: ip=10.0.2.999 is no IPv4 address" },
		{ CONFIG("arg=x\0gateway=10.0.2.2\0"), "config: gateway without ip" },
		{ CONFIG("arg=x\0dns=::1\0"), "config: dns=::1 is no IPv4 address" },
		{ CONFIG("arg=x\0dns=1.1.1.1\0dns=1.1.1.1\0dns=1.1.1.1\0dns=1.1.1.1\0"),
		  "config: more than 3 dns records" },
		{ CONFIG("arg=x\0volume=/data\0"),
		  "config: volume=/data is not of the form rw:/path or ro:/path" },
		{ CONFIG("arg=x\0volume=ro:data\0"),
		  "config: volume=ro:data is not of the form rw:/path or ro:/path" },
		{ CONFIG("arg=x\0volume=rw://\0"),
		  "config: volume=rw:// is not of the form rw:/path or ro:/path" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		struct guest_config config;
		struct err err;

		assert_int_equal(
			guest_config_parse(refused[i].data, refused[i].length, &config, &err), -1);
		assert_string_equal(err.message, refused[i].message);
		assert_null(config.records);
	}
}

static void sixteen_volumes_are_the_most(void **state)
{
	char data[512] = "hypeman1arg=x";
	struct guest_config config;
	size_t length = strlen(data) + 1;
	struct err err;

	(void)state;
	for (int i = 0; i < GUEST_VOLUMES_MAX; i++)
		length += (size_t)sprintf(data + length, "volume=rw:/v/%d", i) + 1;
	assert_int_equal(guest_config_parse((uint8_t *)data, length + 1, &config, &err), 0);
	assert_int_equal(config.volume_count, GUEST_VOLUMES_MAX);
	assert_string_equal(config.volumes[15].path, "/v/15");
	guest_config_done(&config);
	length += (size_t)sprintf(data + length, "volume=ro:/one/more") + 1;
	assert_int_equal(guest_config_parse((uint8_t *)data, length + 1, &config, &err), -1);
	assert_string_equal(err.message, "config: more than 16 volume records");
}

static void size_is_bounded(void **state)
{
	uint8_t *data = calloc(1, GUEST_CONFIG_MAX_BYTES + 1);
	struct guest_config config;
	struct err err;

	(void)state;
	memcpy(data, "hypeman1arg=x", 13);
	assert_int_equal(guest_config_parse(data, GUEST_CONFIG_MAX_BYTES, &config, &err), 0);
	guest_config_done(&config);
	assert_int_equal(guest_config_parse(data, GUEST_CONFIG_MAX_BYTES + 1, &config, &err), -1);
	free(data);
}

static void as_many_records_as_fit_are_read(void **state)
{
	uint8_t *data = calloc(1, GUEST_CONFIG_MAX_BYTES);
	struct guest_config config;
	size_t length = 8;
	struct err err;

	(void)state;
	memcpy(data, "hypeman1arg=x", 13);
	for (length += 6; length + 6 < GUEST_CONFIG_MAX_BYTES; length += 5)
		memcpy(data + length, "arg=", 4);
	assert_int_equal(guest_config_parse(data, length + 1, &config, &err), 0);
	assert_int_equal(config.arg_count, (length - 14) / 5 + 1);
	guest_config_done(&config);
	free(data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_whole_config_is_read),
		cmocka_unit_test(what_is_absent_has_defaults),
		cmocka_unit_test(prefixes_become_netmasks),
		cmocka_unit_test(other_bytes_are_refused_with_the_reason),
		cmocka_unit_test(sixteen_volumes_are_the_most),
		cmocka_unit_test(size_is_bounded),
		cmocka_unit_test(as_many_records_as_fit_are_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

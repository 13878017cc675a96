/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api-gateway/settings.h"

/* With one flag besides the users, which exist everywhere. */
static int parse(const char *flag, const char *value, struct settings *settings, struct err *err)
{
	const char *argv[] = { "api-gateway", "--config",
			       "/dev/null",   "--gpu-agent-user",
			       "root",	      "--instance-svc-user",
			       "1234",	      flag,
			       value,	      NULL };

	memset(settings, 0, sizeof(*settings));
	return settings_parse(settings, flag ? 9 : 7, (char **)(uintptr_t)argv, err);
}

static void defaults_are_the_installed_places(void **state)
{
	struct settings settings;
	struct err err;

	(void)state;
	assert_int_equal(parse(NULL, NULL, &settings, &err), 0);
	assert_string_equal(settings.address, "127.0.0.1");
	assert_int_equal(settings.port, 8080);
	assert_string_equal(settings.gpu_agent_socket, "/run/hypeman/gpu-agent/sock");
	assert_string_equal(settings.instance_svc_socket, "/run/hypeman/instance-svc/sock");
	assert_int_equal(settings.gpu_agent_uid, 0);
	assert_int_equal(settings.instance_svc_uid, 1234);
	assert_int_equal(settings.threads, 1280);
	settings_done(&settings);
}

static void tls_is_refused_with_the_reason(void **state)
{
	struct settings settings;
	struct err err;

	(void)state;
	assert_int_equal(parse("--listen", "127.0.0.1:8443s", &settings, &err), -1);
	assert_non_null(strstr(err.message, "TLS is not served here"));
	assert_non_null(strstr(err.message, "deploy/nginx/hypeman.conf"));
	settings_done(&settings);
}

static void only_loopback_is_listened_on(void **state)
{
	static const char *const open[] = { "0.0.0.0:8080", "192.168.1.1:80", "128.0.0.1:80",
					    "126.255.255.255:80" };
	struct settings settings;
	struct err err;

	(void)state;
	assert_int_equal(parse("--listen", "127.0.0.9:0", &settings, &err), 0);
	assert_string_equal(settings.address, "127.0.0.9");
	assert_int_equal(settings.port, 0);
	settings_done(&settings);
	for (size_t i = 0; i < sizeof(open) / sizeof(open[0]); i++) {
		assert_int_equal(parse("--listen", open[i], &settings, &err), -1);
		assert_non_null(strstr(err.message, "without authentication"));
		settings_done(&settings);
	}
}

static void wrong_values_are_named(void **state)
{
	static const char *const cases[][2] = {
		{ "--listen", "8080" },
		{ "--listen", "127.0.0.1" },
		{ "--listen", "127.0.0.1:" },
		{ "--listen", "127.0.0.1:65536" },
		{ "--listen", "127.0.0.1:80s" },
		{ "--listen", "127.0.0.1:-1" },
		{ "--listen", "127.1:80" },
		{ "--listen", "localhost:80" },
		{ "--listen", "[::1]:80" },
		{ "--listen", ":80" },
		{ "--gpu-agent-user", "no such user" },
		{ "--gpu-agent-user", "4294967295" },
		{ "--gpu-agent-user", "-1" },
		{ "--instance-svc-user", "" },
		{ "--instance-svc-socket", "relative" },
		{ "--threads", "7" },
		{ "--streams", "1280" },
		{ "--timeout-seconds", "0" },
	};
	struct settings settings;
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (parse(cases[i][0], cases[i][1], &settings, &err) != -1)
			fail_msg("%s %s was accepted", cases[i][0], cases[i][1]);
		assert_non_null(strstr(err.message, cases[i][0] + 2));
		assert_non_null(strstr(err.message, cases[i][1]));
		settings_done(&settings);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_are_the_installed_places),
		cmocka_unit_test(tls_is_refused_with_the_reason),
		cmocka_unit_test(only_loopback_is_listened_on),
		cmocka_unit_test(wrong_values_are_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "settings.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/user_id.h"

/* "127.0.0.1:8080" */
static int parse_listen(struct settings *settings, struct err *err)
{
	const char *colon = strrchr(settings->listen, ':');
	size_t length = colon ? (size_t)(colon - settings->listen) : 0;
	struct in_addr address;
	unsigned long port;
	char *end;

	if (!colon || length >= sizeof(settings->address) || !isdigit((unsigned char)colon[1]))
		return err_field(err, "listen", "listen is '%s', must be like 127.0.0.1:8080",
				 settings->listen);
	memcpy(settings->address, settings->listen, length);
	settings->address[length] = '\0';
	port = strtoul(colon + 1, &end, 10);
	if (strcmp(end, "s") == 0)
		return err_field(err, "listen",
				 "listen is '%s': TLS is not served here (it would crash in this "
				 "system's civetweb); put nginx before it, as in %s",
				 settings->listen, "deploy/nginx/hypeman.conf");
	if (*end || port > 65535 || inet_pton(AF_INET, settings->address, &address) != 1)
		return err_field(err, "listen",
				 "listen is '%s', must be an IPv4 address, ':' and a port",
				 settings->listen);
	if (ntohl(address.s_addr) >> 24 != 127 && !settings->jwt_secret_file)
		return err_field(err, "listen",
				 "listen is '%s': without authentication (jwt-secret-file) the "
				 "gateway serves the loopback interface only, 127.0.0.1:%lu",
				 settings->listen, port);
	settings->port = (unsigned)port;
	return 0;
}

int settings_parse(struct settings *settings, int argc, char **argv, struct err *err)
{
	const struct config_setting table[] = {
		{ "listen", CONFIG_TEXT, &settings->listen, "127.0.0.1:8080", 0, 0,
		  "IPv4 address (loopback, unless there is authentication) and port; 0 takes a free one" },
		{ "gpu-agent-socket", CONFIG_PATH, &settings->gpu_agent_socket,
		  "/run/hypeman/gpu-agent/sock", 0, 0, "where gpu-agent listens" },
		{ "gpu-agent-user", CONFIG_TEXT, &settings->gpu_agent_user, "hypeman-gpu", 0, 0,
		  "user (or uid) that gpu-agent must run as" },
		{ "instance-svc-socket", CONFIG_PATH, &settings->instance_svc_socket,
		  "/run/hypeman/instance-svc/sock", 0, 0, "where instance-svc listens" },
		{ "instance-svc-user", CONFIG_TEXT, &settings->instance_svc_user, "hypeman", 0, 0,
		  "user (or uid) that instance-svc must run as" },
		{ "threads", CONFIG_UINT, &settings->threads, "1280", 8, 8192,
		  "connections at once, idle ones too" },
		{ "streams", CONFIG_UINT, &settings->streams, "128", 1, 4096,
		  "log streams at once, fewer than threads" },
		{ "timeout-seconds", CONFIG_UINT, &settings->timeout_seconds, "30", 1, 300,
		  "how long a service may take for one call" },
		{ "jwt-secret-file", CONFIG_PATH, &settings->jwt_secret_file, NULL, 0, 0,
		  "ask for JWTs (HS256) signed with this file's content; read again on SIGHUP" },
		{ "debug", CONFIG_BOOL, &settings->debug, "false", 0, 0, "log every request" },
	};
	int r;

	settings->config = (struct config){
		.program = "api-gateway",
		.description = "REST API of hypeman, in front of its gRPC services",
		.default_file = "/etc/hypeman/api-gateway.conf",
		.settings = table,
		.setting_count = sizeof(table) / sizeof(table[0]),
	};
	r = config_parse(&settings->config, argc, argv, err);
	settings->config.settings = NULL; /* the table ends with this function */
	settings->config.setting_count = 0;
	if (r)
		return r;
	if (settings->streams >= settings->threads)
		return err_field(err, "streams", "streams is %lu, must be less than threads (%lu)",
				 (unsigned long)settings->streams,
				 (unsigned long)settings->threads);
	if (parse_listen(settings, err) ||
	    user_id_parse("gpu-agent-user", settings->gpu_agent_user, &settings->gpu_agent_uid,
			  err) ||
	    user_id_parse("instance-svc-user", settings->instance_svc_user,
			  &settings->instance_svc_uid, err))
		return -1;
	return 0;
}

void settings_done(struct settings *settings)
{
	config_done(&settings->config);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include <stdio.h>

#include "common/log.h"
#include "common/rpc/rpc.h"

#include "auth.h"
#include "gateway.h"
#include "settings.h"

static int connect_services(struct gateway *gateway, const struct settings *settings,
			    struct err *err)
{
	gateway->services.timeout_ms = (int)settings->timeout_seconds * 1000;
	if (services_add(&gateway->services, SERVICE_GPU, "gpu-agent", settings->gpu_agent_socket,
			 settings->gpu_agent_uid, err))
		return -1;
	return services_add(&gateway->services, SERVICE_INSTANCE, "instance-svc",
			    settings->instance_svc_socket, settings->instance_svc_uid, err);
}

static void reload(struct gateway *gateway)
{
	struct err err;

	if (!gateway->auth)
		log_info("api-gateway: SIGHUP: there is nothing to read again");
	else if (auth_reload(gateway->auth, &err))
		log_error("api-gateway: the secret stays as it was: %s", err.message);
	else
		log_info("api-gateway: the secret was read again");
}

/* Serves until SIGTERM or SIGINT comes. */
static int serve(struct gateway *gateway, const struct settings *settings, const sigset_t *signals,
		 struct err *err)
{
	const struct http_options options = {
		.address = settings->address,
		.port = settings->port,
		.threads = (unsigned)settings->threads,
		.has_auth = gateway->auth != NULL,
		.handler = gateway_handle,
		.user = gateway,
		.traffic = gateway->traffic,
	};
	scoped(http_server_stop) struct http_server *server = http_server_start(&options, err);
	int signal_number;

	if (!server)
		return -1;
	log_info("api-gateway: listening on http://%s:%u", settings->address,
		 http_server_port(server));
	while (sigwait(signals, &signal_number) == 0 && signal_number == SIGHUP)
		reload(gateway);
	log_info("api-gateway: stopping (signal %d)", signal_number);
	return 0;
}

static int run(const struct settings *settings, struct auth *auth, const sigset_t *signals,
	       struct err *err)
{
	struct gateway gateway = { .streams_max = (unsigned)settings->streams, .auth = auth };
	int r;

	if (rpc_global_init(err))
		return -1;
	r = connect_services(&gateway, settings, err);
	if (r == 0)
		r = gateway_init(&gateway, err);
	if (r == 0)
		r = serve(&gateway, settings, signals, err);
	gateway_done(&gateway);
	rpc_global_done();
	return r;
}

int main(int argc, char **argv)
{
	struct settings settings = { 0 };
	struct err err;
	sigset_t signals;
	struct auth *auth = NULL;
	int r = settings_parse(&settings, argc, argv, &err);

	if (r == 0 && settings.jwt_secret_file) {
		auth = auth_new(settings.jwt_secret_file, &err);
		r = auth ? 0 : -1;
	}
	if (r == 0 && settings.config.check_only) {
		puts("ok");
	} else if (r == 0) {
		log_set_debug(settings.debug);
		sigemptyset(&signals);
		sigaddset(&signals, SIGTERM);
		sigaddset(&signals, SIGINT);
		sigaddset(&signals, SIGHUP);
		sigprocmask(SIG_BLOCK, &signals, NULL);
		r = run(&settings, auth, &signals, &err);
	}
	if (r < 0)
		log_error("api-gateway: %s", err.message);
	auth_free(auth);
	settings_done(&settings);
	return r < 0 ? 1 : 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gpu-agent-serve: the side of gpu-agent that speaks gRPC. It is started by gpu-agent as
 * an ordinary user without capabilities, with the socket to its monitor as descriptor 3.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>

#include "agent.h"
#include "common/config.h"
#include "common/log.h"
#include "common/rpc/rpc.h"
#include "peers.h"
#include "recovery.h"
#include "sandbox.h"
#include "scanner.h"
#include "service.h"
#include "uevents.h"

#define WRITES_MAX    16 /* of the monitor's workers; leaves room for scans and stuck ones */
#define LONG_CALLS    128
#define STOP_GRACE_MS 12000 /* a running kernel write ends within 10 s */
#define SOCKET_MODE   0666  /* who may call is decided by SO_PEERCRED */

struct settings {
	const char *socket, *state_dir, *sysfs_root, *dev_root, *uevent_socket;
	struct config_list peers, vendors, tls_peers;
	struct rpc_tls_options tls; /* no address: no TCP */
	uint64_t rescan_seconds;
	bool seccomp;
};

struct threads {
	pthread_t items[4];
	size_t count;
};

SCOPED_DEFINE(struct rpc_server *, rpc_server_free);

/* ---- Settings ------------------------------------------------------------------------ */

static int read_vendors(const struct config_list *vendors, struct agent_options *options,
			struct err *err)
{
	const size_t max = sizeof(options->vendors) / sizeof(options->vendors[0]);

	if (vendors->count > max)
		return err_field(err, "device-vendor",
				 "device-vendor is given %zu times, at most %zu", vendors->count,
				 max);
	options->vendor_count = vendors->count;
	for (size_t i = 0; i < vendors->count; i++) {
		const char *text = vendors->values[i];

		if (strlen(text) != 4 || strspn(text, "0123456789abcdefABCDEF") != 4)
			return err_field(err, "device-vendor",
					 "device-vendor is '%s', must be four hex digits like 10de",
					 text);
		options->vendors[i] = (uint16_t)strtoul(text, NULL, 16);
	}
	return 0;
}

/* Not the tree of the kernel that we run on. */
static bool is_simulated(const struct settings *settings)
{
	return strcmp(settings->sysfs_root, "/sys") != 0;
}

static int read_options(const struct settings *settings, struct agent_options *options,
			struct err *err)
{
	if (is_simulated(settings) && strcmp(settings->dev_root, "/dev") == 0)
		return err_field(err, "dev-root",
				 "sysfs-root is %s, so dev-root must not be the real /dev",
				 settings->sysfs_root);
	*options = AGENT_OPTIONS_DEFAULT;
	options->sysfs_root = settings->sysfs_root;
	options->dev_root = settings->dev_root;
	options->rescan_ms = (int)settings->rescan_seconds * 1000;
	return read_vendors(&settings->vendors, options, err);
}

/* Each peer of both kinds, to the server; NULL: only looks whether they are right. */
static int add_peers(struct rpc_server *server, const struct settings *settings, struct err *err)
{
	size_t count = settings->peers.count;

	for (size_t i = 0; i < count + settings->tls_peers.count; i++) {
		struct rpc_peer peer;

		if (i < count ? peer_parse(settings->peers.values[i], &peer, err)
			      : tls_peer_parse(settings->tls_peers.values[i - count], &peer, err))
			return -1;
		if (server && rpc_server_add_peer(server, &peer, err))
			return -1;
	}
	if (server && count + settings->tls_peers.count == 0)
		log_warning("no peer is configured, so nobody may call");
	return 0;
}

/* There is no TCP without certificates of both sides. */
static int check_tls(const struct settings *settings, struct err *err)
{
	const struct rpc_tls_options *tls = &settings->tls;
	const struct {
		const char *name;
		bool given, needed;
	} parts[] = {
		{ "tls-cert", tls->certificate, true },
		{ "tls-key", tls->key, true },
		{ "tls-ca", tls->ca, true },
		{ "tls-peer", settings->tls_peers.count, true },
		{ "tls-crl", tls->crl, false },
	};

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		if (tls->address && parts[i].needed && !parts[i].given)
			return err_field(err, parts[i].name, "%s is missing, tls-listen needs it",
					 parts[i].name);
		if (!tls->address && parts[i].given)
			return err_field(err, "tls-listen",
					 "tls-listen is missing, but %s is given", parts[i].name);
	}
	return 0;
}

/* ---- Threads -------------------------------------------------------------------------- */

struct herald {
	struct agent *agent;
	struct rpc_server *server;
};

/* Health turns to serving when the first scan has been published. */
static void *herald_thread(void *argument)
{
	const struct herald *herald = argument;
	struct agent *agent = herald->agent;
	bool ready;

	pthread_mutex_lock(&agent->lock);
	while (!agent->inventory && !agent->stopping)
		pthread_cond_wait(&agent->changed, &agent->lock);
	ready = agent->inventory != NULL;
	pthread_mutex_unlock(&agent->lock);
	if (ready) {
		rpc_server_set_health(herald->server, "", true);
		rpc_server_set_health(herald->server, GPU_SERVICE_NAME, true);
		log_info("ready");
	}
	return NULL;
}

/* 0 or an errno. */
static int start_thread(struct threads *threads, void *(*run)(void *), void *argument)
{
	int r = pthread_create(&threads->items[threads->count], NULL, run, argument);

	threads->count += r == 0;
	return r;
}

static void end_threads(struct threads *threads, struct agent *agent)
{
	agent_stop(agent);
	while (threads->count)
		pthread_join(threads->items[--threads->count], NULL);
}

/* *watch and *herald outlive the threads. */
static int start_threads(struct threads *threads, struct uevents_watch *watch,
			 struct herald *herald, struct err *err)
{
	int r = start_thread(threads, uevents_thread, watch);

	r = r ? r : start_thread(threads, scanner_thread, herald->agent);
	r = r ? r : start_thread(threads, recovery_thread, herald->agent);
	r = r ? r : start_thread(threads, herald_thread, herald);
	if (r) {
		end_threads(threads, herald->agent);
		return err_sys(err, r, "cannot start a thread");
	}
	return 0;
}

/* ---- Running -------------------------------------------------------------------------- */

static int block_signals(sigset_t *ret)
{
	sigemptyset(ret);
	sigaddset(ret, SIGTERM);
	sigaddset(ret, SIGINT);
	sigaddset(ret, SIGHUP);
	return -pthread_sigmask(SIG_BLOCK, ret, NULL);
}

/* Until a signal says so, or the monitor is gone: without it nothing can be done. */
static int wait_for_end(const sigset_t *signals, struct err *err)
{
	scoped_fd int fd = signalfd(-1, signals, SFD_CLOEXEC);
	struct pollfd pollfds[] = {
		{ .fd = fd, .events = POLLIN },
		{ .fd = OPS_SERVE_FD, .events = POLLRDHUP },
	};

	if (fd < 0)
		return err_sys(err, errno, "cannot wait for signals");
	while (poll(pollfds, 2, -1) < 0)
		if (errno != EINTR)
			return err_sys(err, errno, "cannot wait for signals");
	if (pollfds[1].revents)
		return err_set(err, ERR_UNAVAILABLE, "the monitor is gone, ending");
	log_info("stopping");
	return 0;
}

static struct rpc_server *make_server(const struct settings *settings, struct gpu_service *service,
				      struct err *err)
{
	const struct rpc_server_options options = { .long_calls = LONG_CALLS };
	scoped(rpc_server_free) struct rpc_server *server = rpc_server_new(&options);

	if (!server) {
		err_sys(err, ENOMEM, "cannot make a server");
		return NULL;
	}
	if (gpu_service_add(server, service, err) ||
	    rpc_server_add_standard_services(server, err) || add_peers(server, settings, err) ||
	    rpc_server_listen_unix(server, settings->socket, SOCKET_MODE, err) ||
	    (settings->tls.address && rpc_server_listen_tls(server, &settings->tls, err)))
		return NULL;
	return TAKE_PTR(server);
}

static void note_change(void *server)
{
	rpc_server_note_change(server);
}

static int serve(const struct settings *settings, const sigset_t *signals, struct agent *agent,
		 struct uevents *uevents, struct err *err)
{
	struct gpu_service service = {
		.agent = agent,
		.roots = { settings->sysfs_root, settings->dev_root, is_simulated(settings) },
	};
	scoped(rpc_server_free) struct rpc_server *server = make_server(settings, &service, err);
	struct watcher changes = { .wake = note_change, .user = server };
	struct herald herald = { agent, server };
	struct uevents_watch watch = { uevents, agent };
	struct threads threads = { 0 };
	int r;

	if (!server)
		return -1;
	rpc_server_set_health(server, "", false);
	rpc_server_set_health(server, GPU_SERVICE_NAME, false);
	if (start_threads(&threads, &watch, &herald, err))
		return -1;
	agent_add_watcher(agent, &changes);
	r = rpc_server_start(server, err);
	if (r == 0) {
		log_info("serving on %s", settings->socket);
		if (settings->tls.address)
			log_info("serving TLS on %s", settings->tls.address);
		r = wait_for_end(signals, err);
		rpc_server_stop(server, r ? 0 : STOP_GRACE_MS);
	}
	end_threads(&threads, agent);
	agent_remove_watcher(agent, &changes);
	return r;
}

/* Before any thread, and before a byte from outside. */
static int fence_in(const struct settings *settings, struct err *err)
{
	if (settings->seccomp)
		return sandbox_enter(err);
	log_warning("seccomp is 'no': system calls are not filtered");
	return 0;
}

static int run(const struct settings *settings, const struct agent_options *options,
	       const sigset_t *signals, struct err *err)
{
	const struct uevents_options uevents_options = {
		.kernel = !is_simulated(settings),
		.socket = settings->uevent_socket,
		.subsystems = uevents_subsystems,
	};
	scoped(records_close) struct records *records = NULL;
	scoped(monitor_client_free) struct monitor_client *monitor = NULL;
	scoped(agent_free) struct agent *agent = NULL;
	scoped(uevents_close) struct uevents *uevents = NULL;
	struct stat status;

	if (fstat(OPS_SERVE_FD, &status) < 0 || !S_ISSOCK(status.st_mode))
		return err_set(err, ERR_FAILED_PRECONDITION,
			       "descriptor %d is no socket: gpu-agent starts this program",
			       OPS_SERVE_FD);
	if (records_open(settings->state_dir, &records, err))
		return -1;
	monitor = monitor_client_new(OPS_SERVE_FD, WRITES_MAX);
	if (!monitor)
		return err_sys(err, ENOMEM, "cannot talk to the monitor");
	if (agent_new(options, records, monitor, &agent, err) ||
	    uevents_open(&uevents_options, &uevents, err))
		return -1;
	return serve(settings, signals, agent, uevents, err);
}

static int parse(int argc, char **argv, struct config *config, const struct settings *settings,
		 struct agent_options *options, struct err *err)
{
	int r = config_parse(config, argc, argv, err);

	if (r)
		return r;
	if (read_options(settings, options, err) || add_peers(NULL, settings, err) ||
	    check_tls(settings, err))
		return -1;
	if (config->check_only)
		printf("ok\n");
	return config->check_only;
}

int main(int argc, char **argv)
{
	struct settings settings = { 0 };
	/* clang-format off */
	const struct config_setting table[] = {
		{ "socket", CONFIG_PATH, &settings.socket, "/run/hypeman/gpu-agent/sock", 0, 0,
		  "Unix socket to serve on" },
		{ "state-dir", CONFIG_PATH, &settings.state_dir, "/var/lib/hypeman/gpu-agent", 0, 0,
		  "folder of the database" },
		{ "sysfs-root", CONFIG_PATH, &settings.sysfs_root, "/sys", 0, 0,
		  "tree that the workers use as /sys" },
		{ "dev-root", CONFIG_PATH, &settings.dev_root, "/dev", 0, 0,
		  "tree that the workers use as /dev" },
		{ "peer", CONFIG_LIST, &settings.peers, NULL, 0, 0,
		  "who may call: NAME:USER:ROLE[+ROLE...]" },
		{ "tls-listen", CONFIG_TEXT, &settings.tls.address, NULL, 0, 0,
		  "address and port for callers elsewhere, 192.0.2.1:7443; none: no TCP" },
		{ "tls-cert", CONFIG_PATH, &settings.tls.certificate, NULL, 0, 0,
		  "certificate of this agent and its chain, PEM" },
		{ "tls-key", CONFIG_PATH, &settings.tls.key, NULL, 0, 0,
		  "key of the certificate, for this program's user alone" },
		{ "tls-ca", CONFIG_PATH, &settings.tls.ca, NULL, 0, 0,
		  "certificates that may vouch for callers, PEM" },
		{ "tls-crl", CONFIG_PATH, &settings.tls.crl, NULL, 0, 0,
		  "revoked certificates, PEM" },
		{ "tls-peer", CONFIG_LIST, &settings.tls_peers, NULL, 0, 0,
		  "who may call by TCP: NAME:SUBJECT-ALT-NAME:ROLE[+ROLE...]" },
		{ "device-vendor", CONFIG_LIST, &settings.vendors, "10de", 0, 0,
		  "PCI vendor whose devices may be touched, in hex" },
		{ "uevent-socket", CONFIG_PATH, &settings.uevent_socket, NULL, 0, 0,
		  "datagram socket to make, which takes events in the form of kernel uevents" },
		{ "rescan-seconds", CONFIG_UINT, &settings.rescan_seconds, "30", 1, 86400,
		  "time between scans when nothing happens" },
		{ "seccomp", CONFIG_BOOL, &settings.seccomp, "yes", 0, 0,
		  "filter this program's system calls; no: for a kernel that cannot" },
	};
	/* clang-format on */
	struct config config = {
		.program = "gpu-agent-serve",
		.description = "serves GPU inventory and allocations over gRPC, for gpu-agent",
		.settings = table,
		.setting_count = sizeof(table) / sizeof(table[0]),
	};
	struct agent_options options;
	sigset_t signals;
	struct err err;
	int r = parse(argc, argv, &config, &settings, &options, &err);

	if (r == 0) {
		umask(0077);
		(void)block_signals(&signals);
		r = fence_in(&settings, &err);
		r = r ? r : rpc_global_init(&err);
		if (r == 0) {
			r = run(&settings, &options, &signals, &err);
			rpc_global_done();
		}
	}
	if (r < 0)
		log_error("%s", err.message);
	config_done(&config);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

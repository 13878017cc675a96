/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "accel.h"
#include "common/log.h"
#include "gpu_client.h"
#include "guest_channel.h"
#include "guests_stop.h"
#include "host.h"
#include "image.h"
#include "image_events.h"
#include "instances.h"
#include "records.h"
#include "service.h"
#include "service_image.h"
#include "service_volume.h"
#include "settings.h"
#include "vm.h"
#include "vm_memory.h"

#define STOP_GRACE_MS 3000

/* When the host goes down: each guest's time, and that of all with what follows. The unit
 * hypeman-guests waits a little longer. */
#define GUEST_GRACE_MS 60000
#define GUESTS_MS      100000

/* Everything that is open while we serve, in the order it was opened. */
struct daemon {
	struct settings settings;
	struct host host;
	char supervisor[PATH_MAX];
	char guest_tools[PATH_MAX]; /* empty: not found */
	struct records *records;
	struct image_store *images;
	struct volumes *volumes;
	struct gpu_client *gpu;
	struct events *events;
	struct guest_channels *guests;
	struct instances *instances;
	struct rpc_server *server;
	struct events_watcher changes; /* tells the server, once `watches` */
	bool watches;
};

/* Beside our own executable, as built or as installed in libexec. */
static int find_program(const char *name, char ret[PATH_MAX], struct err *err)
{
	static const char *const places[] = { "", "guest/", "../libexec/hypeman/" };
	char self[PATH_MAX], path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	if (n < 0)
		return err_sys(err, errno, "cannot find my own executable");
	self[n] = '\0';
	slash = strrchr(self, '/');
	for (size_t i = 0; slash && i < sizeof(places) / sizeof(places[0]); i++) {
		snprintf(path, sizeof(path), "%.*s/%s%s", (int)(slash - self), self, places[i],
			 name);
		if (realpath(path, ret))
			return 0;
	}
	return err_set(err, ERR_FAILED_PRECONDITION, "%s is not beside %s", name, self);
}

static int find_supervisor(struct daemon *d, struct err *err)
{
	if (*d->settings.supervisor) {
		snprintf(d->supervisor, sizeof(d->supervisor), "%s", d->settings.supervisor);
		return 0;
	}
	if (find_program("instance-supervisor", d->supervisor, err) < 0)
		return err_prefix(err, "supervisor is not set");
	return 0;
}

/* image-kernel's folder, where build-guest and guest-init are too. */
static void find_guest_tools(struct daemon *d)
{
	struct err err;

	if (find_program("image-kernel", d->guest_tools, &err) < 0)
		log_warning("%s: kernels that images carry cannot be booted", err.message);
	else
		*strrchr(d->guest_tools, '/') = '\0';
}

static int read_ids(struct daemon *d, struct err *err)
{
	const struct passwd *user = getpwuid(geteuid());

	if (geteuid() == 0)
		return err_set(err, ERR_FAILED_PRECONDITION,
			       "instance-svc must not run as root: start it as its own user, "
			       "which has ranges in /etc/subuid and /etc/subgid");
	if (!user)
		return err_set(err, ERR_FAILED_PRECONDITION,
			       "user %u has no entry in /etc/passwd, which newuidmap needs",
			       geteuid());
	if (host_read_ids("/etc/subuid", user->pw_name, geteuid(), "vm-uids", d->settings.vm_uids,
			  &d->host.uids, err) < 0)
		return -1;
	return host_read_ids("/etc/subgid", user->pw_name, geteuid(), "vm-gids",
			     d->settings.vm_gids, &d->host.gids, err);
}

static int choose_accel(struct daemon *d, struct err *err)
{
	static const volatile bool never = false;

	if (d->settings.accel == ACCEL_TCG)
		return 0;
	if (accel_try_kvm(d->settings.kernel, d->settings.initramfs, &never, err) == 0) {
		d->host.kvm = true;
		return 0;
	}
	if (d->settings.accel == ACCEL_KVM)
		return err_prefix(err, "accel is 'kvm'");
	log_warning("VMs will be emulated, which is slow: %s", err->message);
	return 0;
}

/* Everything a VM will need is looked at now: a lack is told at start, not at the first VM. */
static int look_at_host(struct daemon *d, struct err *err)
{
	if (find_supervisor(d, err) < 0 || read_ids(d, err) < 0)
		return -1;
	if (host_check_open_to_all(d->supervisor, "supervisor", true, err) < 0)
		return -1;
	d->host.supervisor = d->supervisor;
	find_guest_tools(d);
	host_check_network(&d->host, "/dev/net/tun");
	if (d->host.network_problem[0])
		log_warning("VMs cannot have a network: %s", d->host.network_problem);
	d->host.lock_limit = vm_memory_lock_limit();
	if (accel_find_machine(d->host.machine, sizeof(d->host.machine), err) < 0)
		return -1;
	return choose_accel(d, err);
}

/* A VM's own user reads its kernel by path. */
static int keep_kernel(struct daemon *d, struct err *err)
{
	const struct layout_path directory = layout_kernels(&d->host.layout);
	struct kernel_name name;
	struct kernel_paths paths;

	if (kernels_keep(directory.s, d->settings.kernel, d->settings.initramfs, &name, err) < 0 ||
	    kernels_find(directory.s, name.s, &paths, err) < 0 ||
	    host_check_open_to_all(paths.kernel, "state-dir", false, err) < 0 ||
	    host_check_open_to_all(paths.initramfs, "state-dir", false, err) < 0)
		return -1;
	memcpy(d->host.kernel, name.s, sizeof(d->host.kernel));
	return 0;
}

static int open_stores(struct daemon *d, struct err *err)
{
	struct layout_path images;
	struct image_store_options options = { 0 };

	if (layout_open(&d->host.layout, d->settings.state_dir, d->settings.run_dir, err) < 0 ||
	    records_open(layout_records(&d->host.layout).s, &d->records, err) < 0 ||
	    keep_kernel(d, err) < 0)
		return -1;
	images = layout_images(&d->host.layout);
	options.directory = images.s;
	if (*d->settings.registries_conf)
		options.registries_conf = d->settings.registries_conf;
	if (*d->settings.auth_file)
		options.auth_file = d->settings.auth_file;
	if (*d->guest_tools)
		options.guest_tools = d->guest_tools;
	options.concurrent_pulls = (unsigned)d->settings.image_pulls;
	options.unpacked_max = d->settings.image_bytes_max;
	if (image_store_open(&options, &d->images, err) < 0)
		return -1;
	return volumes_open(layout_volumes(&d->host.layout).s, &d->volumes, err);
}

/* Who uses images and volumes, and who hears of them. */
static void connect_stores(struct daemon *d)
{
	image_store_set_users(d->images, &(struct image_users){ .uses = instances_use_image,
								.user = d->instances });
	image_store_set_observer(d->images, &(struct image_observer){ .tell = image_events_tell,
								      .user = d->events });
	image_store_collect(d->images);
	volumes_set_users(d->volumes, &(struct volumes_users){ .admit = instances_admit_volume,
							       .attached = instances_have_volume,
							       .user = d->instances });
}

/* Before those go. */
static void disconnect_stores(struct daemon *d)
{
	if (d->images) {
		image_store_set_users(d->images, &(struct image_users){ 0 });
		image_store_set_observer(d->images, &(struct image_observer){ 0 });
	}
	if (d->volumes)
		volumes_set_users(d->volumes, &(struct volumes_users){ 0 });
}

static int connect_agent(void *host, const struct id *instance)
{
	return vm_connect_agent(host, instance);
}

static int open_instances(struct daemon *d, struct err *err)
{
	const struct instances_options options = {
		.host = &d->host,
		.records = d->records,
		.gpu = d->gpu,
		.images = d->images,
		.volumes = d->volumes,
		.events = d->events,
		.guests = d->guests,
		.factors = { .percent = {
				     [RESOURCE_CPU] = (unsigned)d->settings.cpu_percent,
				     [RESOURCE_MEMORY] = (unsigned)d->settings.memory_percent,
				     [RESOURCE_DISK] = (unsigned)d->settings.disk_percent,
				     [RESOURCE_NETWORK] = (unsigned)d->settings.network_percent,
			     },
			     .network_bps = d->settings.network_bps },
		.quotas = { d->settings.quotas, d->settings.quota_count },
	};

	if (instances_open(&options, &d->instances, err) < 0)
		return -1;
	connect_stores(d);
	return 0;
}

static void note_change(void *server)
{
	rpc_server_note_change(server);
}

static int serve(struct daemon *d, struct err *err)
{
	const struct rpc_server_options options = { .long_calls = 256 };

	d->server = rpc_server_new(&options);
	if (!d->server)
		return err_sys(err, ENOMEM, "cannot serve");
	if (service_add(d->server, d->instances, d->events, err) < 0 ||
	    service_image_add(d->server, d->images, err) < 0 ||
	    service_volume_add(d->server, d->volumes, d->instances, err) < 0 ||
	    rpc_server_add_standard_services(d->server, err) < 0)
		return -1;
	for (size_t i = 0; i < d->settings.peer_count; i++)
		if (rpc_server_add_peer(d->server, &d->settings.peers[i], err) < 0)
			return -1;
	if (rpc_server_listen_unix(d->server, d->settings.socket, 0666, err) < 0 ||
	    events_watch(d->events, "", note_change, d->server, &d->changes, err) < 0)
		return -1;
	d->watches = true;
	if (rpc_server_start(d->server, err) < 0)
		return -1;
	rpc_server_set_health(d->server, "", true);
	rpc_server_set_health(d->server, SERVICE_NAME, true);
	rpc_server_set_health(d->server, SERVICE_IMAGE_NAME, true);
	rpc_server_set_health(d->server, SERVICE_VOLUME_NAME, true);
	return 0;
}

static int start(struct daemon *d, struct err *err)
{
	if (look_at_host(d, err) < 0 || open_stores(d, err) < 0)
		return -1;
	d->gpu = gpu_client_new(d->settings.gpu_agent_socket, d->settings.gpu_agent_uid);
	if (!d->gpu)
		return err_sys(err, ENOMEM, "cannot reach gpu-agent");
	d->events = events_new();
	if (!d->events)
		return err_sys(err, ENOMEM, "cannot keep events");
	d->guests = guest_channels_new(connect_agent, &d->host);
	if (!d->guests)
		return err_sys(err, ENOMEM, "cannot reach guests");
	if (open_instances(d, err) < 0)
		return -1;
	return serve(d, err);
}

/* In reverse; what was not opened is NULL. VMs go on. */
static void stop(struct daemon *d)
{
	instances_interrupt(d->instances); /* requests that wait for a deletion come back */
	if (d->server)
		rpc_server_stop(d->server, STOP_GRACE_MS);
	disconnect_stores(d);
	instances_close(d->instances);
	if (d->watches)
		events_unwatch(d->events, &d->changes);
	rpc_server_free(d->server);
	events_free(d->events);
	guest_channels_free(d->guests);
	gpu_client_free(d->gpu);
	volumes_close(d->volumes);
	image_store_close(d->images);
	records_close(d->records);
	layout_close(&d->host.layout);
}

static void wait_for_end(const sigset_t *signals)
{
	int signal;

	while (sigwait(signals, &signal) != 0)
		;
	log_info("signal %d: stopping; VMs go on", signal);
}

/* Returns the exit status. */
static int stop_guests(const struct settings *settings)
{
	struct err err;
	size_t count;

	if (guests_stop(settings->run_dir, GUEST_GRACE_MS, GUESTS_MS, &count, &err) < 0) {
		log_error("%s", err.message);
		return 1;
	}
	log_info("%zu guests have ended", count);
	return 0;
}

int main(int argc, char **argv)
{
	static struct daemon d = { .host = { .layout = { .instances = -1 } } };
	sigset_t signals;
	struct err err;
	int r = settings_parse(&d.settings, argc, argv, &err);

	if (r > 0)
		return 0;
	if (r < 0) {
		log_error("%s", err.message);
		return 2;
	}
	if (d.settings.config.check_only) {
		puts("ok");
		return 0;
	}
	if (d.settings.stop_guests)
		return stop_guests(&d.settings);
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	umask(0022);
	r = rpc_global_init(&err);
	if (r == 0)
		r = start(&d, &err);
	if (r == 0) {
		log_info("serving on %s", d.settings.socket);
		wait_for_end(&signals);
	} else {
		log_error("%s", err.message);
	}
	stop(&d);
	rpc_global_done();
	settings_done(&d.settings);
	return r == 0 ? 0 : 1;
}

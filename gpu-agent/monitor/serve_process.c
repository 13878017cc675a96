/* SPDX-License-Identifier: Apache-2.0 */
#include "serve_process.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "common/scoped.h"
#include "gpu-agent/ops.h"
#include "privilege.h"

#define FIXED_FLAGS 12

/* One allocated "--name=value" each, then NULL. */
struct flags {
	size_t count;
	char **items; /* owned, and so is each */
};

static void flags_free(struct flags *flags)
{
	for (size_t i = 0; i < flags->count; i++)
		free(flags->items[i]);
	free(flags->items);
}

static int add(struct flags *flags, const char *name, const char *value)
{
	char *text;

	if (asprintf(&text, "--%s=%s", name, value) < 0)
		return -ENOMEM;
	flags->items[flags->count++] = text;
	return 0;
}

/* A setting that may be left out. */
static int add_given(struct flags *flags, const char *name, const char *value)
{
	return value ? add(flags, name, value) : 0;
}

static int add_each(struct flags *flags, const char *name, const struct config_list *list)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < list->count; i++)
		r = add(flags, name, list->values[i]);
	return r;
}

/* What serve needs of the settings, under the same names. */
static int make_flags(const struct settings *settings, struct flags *flags)
{
	char seconds[24];
	int r;

	*flags = (struct flags){ .items = calloc(settings->peers.count + settings->tls_peers.count +
							 settings->device_vendors.count +
							 FIXED_FLAGS + 2,
						 sizeof(char *)) };
	if (!flags->items)
		return -ENOMEM;
	flags->items[flags->count] = strdup(settings->serve_program);
	if (!flags->items[flags->count++])
		return -ENOMEM;
	snprintf(seconds, sizeof(seconds), "%" PRIu64, settings->rescan_seconds);
	r = add(flags, "socket", settings->socket);
	r = r ? r : add(flags, "state-dir", settings->state_dir);
	r = r ? r : add(flags, "sysfs-root", settings->sysfs_root);
	r = r ? r : add(flags, "dev-root", settings->dev_root);
	r = r ? r : add(flags, "rescan-seconds", seconds);
	r = r ? r : add(flags, "seccomp", settings->seccomp ? "yes" : "no");
	r = r ? r : add_given(flags, "uevent-socket", settings->uevent_socket);
	r = r ? r : add_given(flags, "tls-listen", settings->tls_listen);
	r = r ? r : add_given(flags, "tls-cert", settings->tls_cert);
	r = r ? r : add_given(flags, "tls-key", settings->tls_key);
	r = r ? r : add_given(flags, "tls-ca", settings->tls_ca);
	r = r ? r : add_given(flags, "tls-crl", settings->tls_crl);
	r = r ? r : add_each(flags, "peer", &settings->peers);
	r = r ? r : add_each(flags, "tls-peer", &settings->tls_peers);
	return r ? r : add_each(flags, "device-vendor", &settings->device_vendors);
}

static void __attribute__((noreturn)) die(const char *program, const struct err *err)
{
	log_error("cannot start %s: %s", program, err->message);
	_exit(127);
}

/* In the child. The order matters: a change of user clears the parent-death signal. */
static void __attribute__((noreturn))
become_serve(const struct settings *settings, char **argv, pid_t monitor, int socket)
{
	struct err err;
	sigset_t none;

	if (privilege_become(settings->serve_uid, settings->serve_gid, &err) < 0)
		die(argv[0], &err);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != monitor)
		_exit(127);
	if (dup2(socket, OPS_SERVE_FD) < 0 || close_range(OPS_SERVE_FD + 1, ~0U, 0) < 0) {
		err_sys(&err, errno, "cannot pass its socket");
		die(argv[0], &err);
	}
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execv(argv[0], argv);
	err_sys(&err, errno, "cannot execute it");
	die(argv[0], &err);
}

int serve_process_start(struct serve_process *serve, const struct settings *settings,
			struct err *err)
{
	pid_t monitor = getpid();
	struct flags flags;
	int ends[2];
	pid_t pid;

	if (make_flags(settings, &flags) < 0) {
		flags_free(&flags);
		return err_sys(err, ENOMEM, "cannot start %s", settings->serve_program);
	}
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) {
		flags_free(&flags);
		return err_sys(err, errno, "cannot make a socket for serve");
	}
	pid = fork();
	if (pid == 0)
		become_serve(settings, flags.items, monitor, ends[1]);
	close(ends[1]);
	flags_free(&flags);
	if (pid < 0) {
		close(ends[0]);
		return err_sys(err, errno, "cannot start %s", settings->serve_program);
	}
	serve->pid = pid;
	serve->socket = ends[0];
	return 0;
}

void serve_process_forget(struct serve_process *serve)
{
	if (serve->socket >= 0)
		close(serve->socket);
	*serve = SERVE_PROCESS_NONE;
}

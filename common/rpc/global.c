/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc.h"

#include <dlfcn.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/scoped.h"

#include "core.h"
#include "log_limit.h"
#include "poller.h"

/* What gRPC calls an error is often a peer's fault, and reported to callers anyway. */
static void log_from_core(gpr_log_func_args *args)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static struct log_limit limit;

	if (args->severity != GPR_LOG_SEVERITY_ERROR) {
		log_debug("gRPC: %s", args->message);
		return;
	}
	pthread_mutex_lock(&lock);
	if (log_limit_allows(&limit))
		log_warning("gRPC: %s", args->message);
	pthread_mutex_unlock(&lock);
}

/*
 * Abseil as Debian builds it aborts the process when locks were once taken in two orders,
 * whether or not they can meet. The name is C++, and differs between builds.
 */
static void switch_off_deadlock_detector(void)
{
	void (*set_mode)(int mode);
	void *symbol =
		dlsym(RTLD_DEFAULT,
		      "_ZN4absl7debian329SetMutexDeadlockDetectionModeENS0_15OnDeadlockCycleE");

	if (!symbol) {
		log_debug("this build of Abseil has no known deadlock detector");
		return;
	}
	memcpy(&set_mode, &symbol, sizeof(set_mode));
	set_mode(0);
}

static bool is_for_libraries(const char *variable)
{
	static const char *const names[] = { "http_proxy=", "https_proxy=", "grpc_proxy=",
					     "no_proxy=", "no_grpc_proxy=" };

	if (strncmp(variable, "GRPC_", 5) == 0 || strncmp(variable, "OPENSSL_", 8) == 0)
		return true;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strncmp(variable, names[i], strlen(names[i])) == 0)
			return true;
	return false;
}

/* The environment must not change what a daemon does. */
static int clear_environment(void)
{
	char **variable = environ;

	while (variable && *variable) {
		scoped_free char *name = NULL;

		if (!is_for_libraries(*variable)) {
			variable++;
			continue;
		}
		name = strndup(*variable, strcspn(*variable, "="));
		if (!name)
			return -1;
		unsetenv(name);
		variable = environ; /* the list has moved up */
	}
	return 0;
}

int rpc_global_init(struct err *err)
{
	sigset_t sigpipe;

	/* With an arena for each of many threads, memory creeps up to the worst moment of each. */
	mallopt(M_ARENA_MAX, 1);
	sigemptyset(&sigpipe);
	sigaddset(&sigpipe, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &sigpipe, NULL);
	if (clear_environment())
		return err_set(err, ERR_INTERNAL, "cannot clear the environment: out of memory");
	switch_off_deadlock_detector();
	gpr_set_log_function(log_from_core);
	grpc_init();
	return 0;
}

void rpc_global_done(void)
{
	poller_stop();
	grpc_shutdown();
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gpu-agent as instance-svc sees it. Every answer is checked before it is believed: a
 * path of it ends up on QEMU's command line.
 *
 * Thread safe. Each call takes at most GPU_CALL_MS; deadlines nest (the agent's own is
 * 15 s), so that an agent that lives has always answered by then.
 */

#ifndef INSTANCE_SVC_GPU_CLIENT_H
#define INSTANCE_SVC_GPU_CLIENT_H

#include <stdbool.h>
#include <sys/types.h>

#include "common/err.h"
#include "gpu_lease.h"

#define GPU_CALL_MS 20000

struct gpu_client;

/* server_uid: who must own the agent's socket; (uid_t)-1: anybody. NULL when out of memory. */
struct gpu_client *gpu_client_new(const char *socket_path, uid_t server_uid);
void gpu_client_free(struct gpu_client *client); /* NULL is fine */

/* 0 when the agent answers us; costs a round trip on a Unix socket. */
int gpu_client_check(struct gpu_client *client, struct err *err);

/* One of the two is not NULL. */
struct gpu_wish {
	const char *profile; /* a vGPU of this kind */
	const char *device;  /* a whole device, by the id or name of its registration */
};

/*
 * Takes it. The caller has stored request_id: the same one again gives the same lease. The
 * agent's own refusals are passed on as they are.
 */
int gpu_client_reserve(struct gpu_client *client, const char *request_id, const char *owner,
		       const struct gpu_wish *wish, gid_t gid, struct gpu_lease *ret,
		       struct err *err);

/*
 * What the agent knows a device by: `name` itself when a registered device has it as id or
 * name, else the id of one that is free and whose GPU has this name ("NVIDIA L40S"). At most
 * `size` bytes with the NUL. ERR_DEVICE_NOT_FOUND.
 */
int gpu_client_find_device(struct gpu_client *client, const char *name, char *ret, size_t size,
			   struct err *err);

/* False after a reserve that may have happened all the same: it must be looked for. */
bool gpu_client_was_refused(const struct err *err);

/* Gives it back. What is gone already counts as done. */
int gpu_client_release(struct gpu_client *client, const char *allocation_id, struct err *err);

/* Calls back for each of our allocations; a negative answer ends it. */
typedef int (*gpu_client_visitor)(void *user, const char *allocation_id, const char *request_id,
				  struct err *err);
int gpu_client_list(struct gpu_client *client, gpu_client_visitor visitor, void *user,
		    struct err *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* hypeman.gpu.v1.GpuService: who may call what. */

#ifndef GPU_AGENT_SERVE_SERVICE_H
#define GPU_AGENT_SERVE_SERVICE_H

#include "agent.h"
#include "common/rpc/rpc.h"
#include "gpu_wire.h"

#define GPU_SERVICE_NAME "hypeman.gpu.v1.GpuService"

/* Must outlive the server. */
struct gpu_service {
	struct agent *agent; /* borrowed */
	struct wire_roots roots;
};

int gpu_service_add(struct rpc_server *server, struct gpu_service *service, struct err *err);

/* For handlers: one line in the log for each refusal, with who was refused. Returns -1. */
int gpu_service_refuse(struct rpc_call *call, const char *method, const struct err *err);

#endif

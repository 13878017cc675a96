/* SPDX-License-Identifier: Apache-2.0 */
/* What the VM has used so far, as the host counts it. */
#include "supervisor.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/scoped.h"

/* Fields 14 and 15 of /proc/PID/stat: of the process and all its threads. */
static void read_cpu(pid_t pid, struct control_stats *stats)
{
	char path[64], text[1024];
	unsigned long long user, system;
	const char *after_name;
	scoped_file FILE *file = NULL;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	file = fopen(path, "re");
	after_name = file && fgets(text, sizeof(text), file) ? strrchr(text, ')') : NULL;
	if (after_name &&
	    sscanf(after_name + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &user,
		   &system) == 2)
		stats->cpu_ms = (int64_t)((user + system) * 1000 /
					  (unsigned long long)sysconf(_SC_CLK_TCK));
}

static void read_memory(pid_t pid, struct control_stats *stats)
{
	char path[64];
	int64_t pages, resident;
	scoped_file FILE *file = NULL;

	snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
	file = fopen(path, "re");
	if (!file || fscanf(file, "%" SCNd64 " %" SCNd64, &pages, &resident) != 2)
		return;
	stats->vms_bytes = pages * sysconf(_SC_PAGESIZE);
	stats->rss_bytes = resident * sysconf(_SC_PAGESIZE);
}

/* passt runs in the network namespace that pasta made: its child. 0: there is none. */
static pid_t find_passt(pid_t pasta)
{
	char path[64];
	int pid = 0;
	scoped_file FILE *file = NULL;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)pasta, (int)pasta);
	file = fopen(path, "re");
	if (file && fscanf(file, "%d", &pid) != 1)
		pid = 0;
	return pid;
}

/* What passes between that namespace and the world is what the guest receives and sends. */
static void read_network(pid_t pasta, struct control_stats *stats)
{
	char path[64], line[512], name[32];
	int64_t received, sent, all_received = 0, all_sent = 0;
	pid_t passt = find_passt(pasta);
	scoped_file FILE *file = NULL;

	snprintf(path, sizeof(path), "/proc/%d/net/dev", (int)passt);
	file = passt > 0 ? fopen(path, "re") : NULL;
	if (!file)
		return;
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, " %31[^:]: %" SCNd64 " %*d %*d %*d %*d %*d %*d %*d %" SCNd64, name,
			   &received, &sent) != 3 ||
		    strcmp(name, "lo") == 0)
			continue;
		all_received += received;
		all_sent += sent;
	}
	stats->network_rx_bytes = all_received;
	stats->network_tx_bytes = all_sent;
}

static struct control_stats collect(const struct supervisor *sv)
{
	struct control_stats stats = {
		.version = SUPERVISOR_PROTOCOL_VERSION,
		.size = sizeof(stats),
		.cpu_ms = -1,
		.rss_bytes = -1,
		.vms_bytes = -1,
		.disk_read_bytes = sv->qmp.read_bytes,
		.disk_write_bytes = sv->qmp.write_bytes,
		.network_rx_bytes = -1,
		.network_tx_bytes = -1,
	};

	if (sv->vmm > 0) {
		read_cpu(sv->vmm, &stats);
		read_memory(sv->vmm, &stats);
	}
	if (sv->network > 0)
		read_network(sv->network, &stats);
	return stats;
}

void supervisor_send_stats(struct supervisor *sv)
{
	const struct control_stats stats = collect(sv);

	for (size_t i = 0; i < SUPERVISOR_CLIENTS_MAX; i++) {
		struct supervisor_client *client = &sv->clients[i];

		if (client->fd < 0 || !client->wants_stats)
			continue;
		client->wants_stats = false;
		/* Who has gone meanwhile is noticed when the connection is read. */
		(void)send(client->fd, &stats, sizeof(stats), MSG_NOSIGNAL | MSG_DONTWAIT);
	}
}

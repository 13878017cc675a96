/* SPDX-License-Identifier: Apache-2.0 */
/* What an instance has used: asked of its VM's supervisor, without the lock. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "disks.h"
#include "instances_internal.h"
#include "vm.h"

typedef Hypeman__Instance__V1__InstanceStats wire_stats;

struct subject {
	struct id id;
	char name[SPEC_NAME_MAX + 1];
	uint32_t vcpus;
	uint64_t memory_bytes;
	bool runs;
};

static int find_subject(struct instances *instances, const char *name, struct subject *ret,
			struct err *err)
{
	SCOPED_INSTANCES_LOCK(instances);
	const struct instance *instance =
		instances_resolve_locked(instances, name, INSTANCES_PREFIX_MIN, err);

	if (!instance)
		return -1;
	*ret = (struct subject){
		.id = instance->record.id,
		.vcpus = instance->spec->vcpus,
		.memory_bytes = instance->spec->memory_bytes,
		.runs = state_holds_resources(instance->record.state),
	};
	memcpy(ret->name, instance->spec->name, strlen(instance->spec->name) + 1);
	return 0;
}

/* What is not known is negative: left unset. */
static int64_t known(int64_t value)
{
	return value > 0 ? value : 0;
}

static void fill_vm(wire_stats *wire, const struct control_stats *stats)
{
	wire->cpu_seconds = (double)known(stats->cpu_ms) / 1000;
	wire->memory_rss_bytes = known(stats->rss_bytes);
	wire->memory_vms_bytes = known(stats->vms_bytes);
	wire->disk_read_bytes = known(stats->disk_read_bytes);
	wire->disk_write_bytes = known(stats->disk_write_bytes);
	wire->network_rx_bytes = known(stats->network_rx_bytes);
	wire->network_tx_bytes = known(stats->network_tx_bytes);
	if (stats->rss_bytes < 0)
		return;
	wire->memory_utilization_ratio_opt_case =
		HYPEMAN__INSTANCE__V1__INSTANCE_STATS__MEMORY_UTILIZATION_RATIO_OPT_MEMORY_UTILIZATION_RATIO;
	wire->memory_utilization_ratio =
		(double)stats->rss_bytes / (double)wire->allocated_memory_bytes;
}

static wire_stats *describe(const struct host *host, const struct subject *subject)
{
	scoped_fd int directory = layout_open_instance(&host->layout, &subject->id);
	wire_stats *wire = malloc(sizeof(*wire));
	struct control_stats stats;

	if (!wire)
		return NULL;
	hypeman__instance__v1__instance_stats__init(wire);
	wire->instance_id = strdup(subject->id.s);
	wire->instance_name = strdup(subject->name);
	if (!wire->instance_id || !wire->instance_name) {
		protobuf_c_message_free_unpacked(&wire->base, NULL);
		return NULL;
	}
	wire->allocated_vcpus = subject->runs ? subject->vcpus : 0;
	wire->allocated_memory_bytes = subject->runs ? (int64_t)subject->memory_bytes : 0;
	wire->disk_used_bytes = directory < 0 ? 0 : (int64_t)disks_overlay_usage(directory);
	/* One that is just starting or ending answers nothing: there is no VM. */
	if (subject->runs && vm_read_stats(host, &subject->id, &stats) == 0)
		fill_vm(wire, &stats);
	return wire;
}

int instances_stats(struct instances *instances, const char *name, wire_stats **ret,
		    struct err *err)
{
	struct subject subject;

	if (find_subject(instances, name, &subject, err) < 0)
		return -1;
	*ret = describe(instances->options.host, &subject);
	return *ret ? 0 : err_sys(err, ENOMEM, "cannot describe what the instance uses");
}

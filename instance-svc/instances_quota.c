/* SPDX-License-Identifier: Apache-2.0 */
/* What each principal has of this host, against its quota. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "instances_internal.h"
#include "wire.h"

typedef Hypeman__Instance__V1__PrincipalQuota wire_quota;
typedef Hypeman__Instance__V1__QuotaAmount wire_amount;

static void measure_locked(const struct instances *instances, const char *principal,
			   const struct instance *but, struct quota_amounts *ret)
{
	*ret = (struct quota_amounts){ 0 };
	for (size_t i = 0; i < instances->count; i++) {
		const struct instance *instance = instances->list[i];
		const struct record *record = &instance->record;

		if (instance == but || strcmp(record->principal, principal) != 0)
			continue;
		quota_add(ret, instance->spec, state_holds_resources(record->state));
		ret->of[QUOTA_DISK] += record->snapshot_bytes;
	}
	ret->of[QUOTA_DISK] += volumes_promised(instances->options.volumes, principal);
}

/* Instances from before there were principals count for nobody. */
static int admit_locked(const struct instances *instances, const char *principal,
			const struct instance *but, const struct quota_amounts *wanted,
			struct err *err)
{
	struct quota_amounts used;

	if (*principal == '\0')
		return 0;
	measure_locked(instances, principal, but, &used);
	return quota_admit(&instances->options.quotas, principal, &used, wanted, err);
}

int instances_admit_quota_locked(const struct instances *instances, const char *principal,
				 const struct spec *spec, struct err *err)
{
	struct quota_amounts wanted = { 0 };

	quota_add(&wanted, spec, true);
	return admit_locked(instances, principal, NULL, &wanted, err);
}

int instance_admit_start_locked(const struct instance *instance, struct err *err)
{
	struct quota_amounts wanted = { 0 };

	quota_add(&wanted, instance->spec, true);
	wanted.of[QUOTA_INSTANCES] = wanted.of[QUOTA_DISK] = 0; /* these it has */
	return admit_locked(instance->all, instance->record.principal, instance, &wanted, err);
}

int instances_admit_disk_locked(const struct instances *instances, const char *principal,
				uint64_t bytes, struct err *err)
{
	const struct quota_amounts wanted = { .of = { [QUOTA_DISK] = bytes } };

	return admit_locked(instances, principal, NULL, &wanted, err);
}

/* ---- For people ---- */

static bool set_amount(wire_amount **field, uint64_t used, uint64_t limit)
{
	wire_amount *wire = malloc(sizeof(*wire));

	if (!wire)
		return false;
	hypeman__instance__v1__quota_amount__init(wire);
	*field = wire;
	wire->used = (int64_t)used;
	if (limit == QUOTA_UNLIMITED)
		return true;
	wire->limit_opt_case = HYPEMAN__INSTANCE__V1__QUOTA_AMOUNT__LIMIT_OPT_LIMIT;
	wire->limit = (int64_t)limit;
	return true;
}

static int add_locked(const struct instances *instances, const char *principal,
		      Hypeman__Instance__V1__GetResourcesResponse *wire)
{
	const struct quota_amounts limits = quota_limits(&instances->options.quotas, principal);
	wire_quota **list = realloc(wire->quotas, (wire->n_quotas + 1) * sizeof(*list));
	struct quota_amounts used;
	wire_quota *quota = malloc(sizeof(*quota));

	if (list)
		wire->quotas = list;
	if (!list || !quota) {
		free(quota);
		return -ENOMEM;
	}
	measure_locked(instances, principal, NULL, &used);
	hypeman__instance__v1__principal_quota__init(quota);
	list[wire->n_quotas++] = quota;
	wire_amount **const fields[QUOTA_COUNT] = {
		[QUOTA_INSTANCES] = &quota->instances, [QUOTA_VCPUS] = &quota->vcpus,
		[QUOTA_MEMORY] = &quota->memory_bytes, [QUOTA_DISK] = &quota->disk_bytes,
		[QUOTA_GPUS] = &quota->gpus,
	};
	for (int kind = 0; kind < QUOTA_COUNT; kind++)
		if (!set_amount(fields[kind], used.of[kind], limits.of[kind]))
			return -ENOMEM;
	return wire_set_text(&quota->principal, principal) ? 0 : -ENOMEM;
}

static bool is_listed(const Hypeman__Instance__V1__GetResourcesResponse *wire,
		      const char *principal)
{
	for (size_t i = 0; i < wire->n_quotas; i++)
		if (strcmp(wire->quotas[i]->principal, principal) == 0)
			return true;
	return false;
}

int instances_quotas_to_wire_locked(const struct instances *instances,
				    Hypeman__Instance__V1__GetResourcesResponse *wire)
{
	const struct quotas *quotas = &instances->options.quotas;
	int r = 0;

	for (size_t i = 0; r == 0 && i < quotas->count; i++)
		if (strcmp(quotas->lines[i].principal, QUOTA_OTHERS) != 0)
			r = add_locked(instances, quotas->lines[i].principal, wire);
	for (size_t i = 0; r == 0 && quotas->count > 0 && i < instances->count; i++) {
		const char *principal = instances->list[i]->record.principal;

		if (*principal && !is_listed(wire, principal))
			r = add_locked(instances, principal, wire);
	}
	return r;
}

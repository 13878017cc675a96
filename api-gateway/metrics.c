/* SPDX-License-Identifier: Apache-2.0 */
#include "metrics.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hypeman/image/v1/image_service.pb-c.h"
#include "hypeman/instance/v1/instance_service.pb-c.h"

#include "prometheus.h"
#include "single_flight.h"

/* Of each service. Prometheus gives a scrape 10 s unless told otherwise. */
#define SERVICE_TIMEOUT_MS 2000

/* At worst a reader waits for a fetch of others to end before its own begins. */
#define READ_TIMEOUT_MS (2 * 2 * SERVICE_TIMEOUT_MS + 1000)

struct metrics {
	struct metrics_sources sources;
	struct single_flight *flight;	     /* owned */
	const struct field *instance_states; /* fields of these types, for their texts; borrowed */
	const struct field *image_states;
};

static void write_up(const struct metrics *metrics, const struct scrape *scrape, struct text *to)
{
	const struct service *of = metrics->sources.services->of;

	prometheus_family(to, "hypeman_backend_up", "gauge",
			  "Whether the service answered this scrape in time.");
	prometheus_sample(to, "hypeman_backend_up", scrape->host != NULL, "service",
			  of[SERVICE_GPU].name, NULL);
	prometheus_sample(to, "hypeman_backend_up", scrape->has_instances, "service",
			  of[SERVICE_INSTANCE].name, NULL);
}

static void write_profile(const struct scrape *scrape, const char *name, unsigned used,
			  unsigned available, struct text *to)
{
	static const char slots[] = "hypeman_gpu_profile_slots";

	prometheus_sample(to, slots, available, "profile", name, "state", "available", NULL);
	if (!scrape->has_instances)
		return;
	prometheus_sample(to, slots, used, "profile", name, "state", "used", NULL);
	prometheus_sample(to, slots, used + available, "profile", name, "state", "total", NULL);
}

/* In passthrough mode the host's GPUs of one name are what a profile is else. */
static void write_devices(const struct scrape *scrape, const Hypeman__Gpu__V1__GpuStatus *gpu,
			  struct text *to)
{
	for (size_t i = 0; i < gpu->n_devices; i++) {
		const char *name = gpu->devices[i]->name;
		unsigned used = 0, available = 0;
		bool seen = false;

		for (size_t j = 0; j < gpu->n_devices; j++) {
			if (strcmp(gpu->devices[j]->name, name) != 0)
				continue;
			seen = seen || j < i;
			available += gpu->devices[j]->available ? 1 : 0;
			used += gpu->devices[j]->available ? 0 : 1;
		}
		if (!seen)
			write_profile(scrape, name, used, available, to);
	}
}

static void write_profiles(const struct scrape *scrape, const Hypeman__Gpu__V1__GpuStatus *gpu,
			   struct text *to)
{
	prometheus_family(to, "hypeman_gpu_profile_slots", "gauge",
			  "Of each vGPU profile (or GPU, passed through): what could be had now, "
			  "what instances hold, and both together. Profiles share GPUs.");
	for (size_t i = 0; gpu && i < gpu->n_profiles; i++) {
		const Hypeman__Gpu__V1__GpuProfile *profile = gpu->profiles[i];

		write_profile(scrape, profile->name, scrape_profile_used(scrape, profile->name),
			      profile->available, to);
	}
	if (gpu)
		write_devices(scrape, gpu, to);
}

static void write_conditions(const Hypeman__Gpu__V1__PhysicalGpu *gpu, struct text *to)
{
	static const struct {
		Hypeman__Gpu__V1__SlotCondition__State state;
		const char *text;
	} states[] = {
		{ HYPEMAN__GPU__V1__SLOT_CONDITION__STATE__STATE_CORDONED, "cordoned" },
		{ HYPEMAN__GPU__V1__SLOT_CONDITION__STATE__STATE_QUARANTINED, "quarantined" },
		{ HYPEMAN__GPU__V1__SLOT_CONDITION__STATE__STATE_WEDGED, "wedged" },
		{ HYPEMAN__GPU__V1__SLOT_CONDITION__STATE__STATE_DRAINING, "draining" },
	};

	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
		unsigned count = 0;

		for (size_t j = 0; j < gpu->n_conditions; j++)
			count += gpu->conditions[j]->state == states[i].state ? 1 : 0;
		prometheus_sample(to, "hypeman_gpu_slots_withheld", count, "gpu", gpu->pci_address,
				  "state", states[i].text, NULL);
	}
}

static void write_gpus(const Hypeman__Gpu__V1__GetHostResponse *host, struct text *to)
{
	prometheus_family(to, "hypeman_gpu_slots", "gauge", "Slots of each physical GPU.");
	for (size_t i = 0; host && i < host->n_physical_gpus; i++)
		prometheus_sample(to, "hypeman_gpu_slots", host->physical_gpus[i]->total_slots,
				  "gpu", host->physical_gpus[i]->pci_address, "name",
				  host->physical_gpus[i]->name, NULL);
	prometheus_family(to, "hypeman_gpu_slots_used", "gauge",
			  "Slots that carry a vGPU, ours or foreign, or GPUs that are taken.");
	for (size_t i = 0; host && i < host->n_physical_gpus; i++)
		prometheus_sample(to, "hypeman_gpu_slots_used", host->physical_gpus[i]->used_slots,
				  "gpu", host->physical_gpus[i]->pci_address, "name",
				  host->physical_gpus[i]->name, NULL);
	prometheus_family(to, "hypeman_gpu_slots_withheld", "gauge",
			  "Slots that are not offered, by the reason.");
	for (size_t i = 0; host && i < host->n_physical_gpus; i++)
		write_conditions(host->physical_gpus[i], to);
	prometheus_family(to, "hypeman_gpu_suspect", "gauge",
			  "Whether the kernel does not answer for the GPU.");
	for (size_t i = 0; host && i < host->n_physical_gpus; i++)
		prometheus_sample(to, "hypeman_gpu_suspect", host->physical_gpus[i]->suspect, "gpu",
				  host->physical_gpus[i]->pci_address, NULL);
}

static void write_states(const char *name, const struct field *field, const unsigned *counts,
			 struct text *to)
{
	for (int i = 1; i < SCRAPE_STATES_MAX; i++) {
		const char *text = field_enum_text(field, i);

		if (text)
			prometheus_sample(to, name, counts[i], "state", text, NULL);
	}
}

static void write_instances(const struct metrics *metrics, const struct scrape *scrape,
			    struct text *to)
{
	prometheus_family(to, "hypeman_instances", "gauge", "Instances by state.");
	if (scrape->has_instances)
		write_states("hypeman_instances", metrics->instance_states, scrape->instances, to);
	prometheus_family(to, "hypeman_images", "gauge", "Images by state.");
	if (scrape->has_instances)
		write_states("hypeman_images", metrics->image_states, scrape->images, to);
	prometheus_family(to, "hypeman_image_pull_done_bytes", "gauge",
			  "What has been fetched of each image that is being pulled.");
	for (size_t i = 0; scrape->has_instances && i < scrape->pull_count; i++)
		prometheus_sample(to, "hypeman_image_pull_done_bytes",
				  (double)scrape->pulls[i].bytes_done, "image",
				  scrape->pulls[i].image, NULL);
	prometheus_family(to, "hypeman_image_pull_size_bytes", "gauge",
			  "What there is to fetch of it, once that is known.");
	for (size_t i = 0; scrape->has_instances && i < scrape->pull_count; i++)
		if (scrape->pulls[i].bytes_total > 0)
			prometheus_sample(to, "hypeman_image_pull_size_bytes",
					  (double)scrape->pulls[i].bytes_total, "image",
					  scrape->pulls[i].image, NULL);
}

void metrics_write_scrape(const struct metrics *metrics, const struct scrape *scrape,
			  struct text *to)
{
	write_up(metrics, scrape, to);
	write_profiles(scrape, scrape->host ? scrape->host->gpu : NULL, to);
	write_gpus(scrape->host, to);
	write_instances(metrics, scrape, to);
}

static int fetch(void *user, int timeout_ms, struct text *ret, struct err *err)
{
	const struct metrics *metrics = user;
	struct scrape *scrape = calloc(1, sizeof(*scrape));

	if (!scrape)
		return err_sys(err, ENOMEM, "cannot read the services");
	if (timeout_ms > SERVICE_TIMEOUT_MS)
		timeout_ms = SERVICE_TIMEOUT_MS;
	scrape_read(scrape, metrics->sources.services, timeout_ms);
	metrics_write_scrape(metrics, scrape, ret);
	scrape_done(scrape);
	free(scrape);
	return 0;
}

static const struct field *find_state(struct field_table *fields,
				      const ProtobufCMessageDescriptor *type, const char *name,
				      struct err *err)
{
	const struct message_table *message = field_table_message(fields, type, err);

	return message ? message_table_find(message, name) : NULL;
}

struct metrics *metrics_new(const struct metrics_sources *sources, struct field_table *fields,
			    struct err *err)
{
	scoped(metrics_free) struct metrics *metrics = calloc(1, sizeof(*metrics));

	if (metrics)
		metrics->flight = single_flight_new(fetch, metrics);
	if (!metrics || !metrics->flight) {
		err_sys(err, ENOMEM, "cannot start");
		return NULL;
	}
	metrics->sources = *sources;
	metrics->instance_states =
		find_state(fields, &hypeman__instance__v1__instance__descriptor, "state", err);
	if (!metrics->instance_states)
		return NULL;
	metrics->image_states =
		find_state(fields, &hypeman__image__v1__image__descriptor, "status", err);
	return metrics->image_states ? TAKE_PTR(metrics) : NULL;
}

void metrics_free(struct metrics *metrics)
{
	if (!metrics)
		return;
	single_flight_free(metrics->flight);
	free(metrics);
}

static void write_errors(const struct metrics *metrics, struct text *to)
{
	prometheus_family(to, "hypeman_grpc_errors_total", "counter",
			  "Calls of services that failed, by gRPC status code.");
	for (enum service_id id = SERVICE_NONE + 1; id < SERVICE_COUNT; id++) {
		for (int code = 1; code < SERVICES_CODE_COUNT; code++) {
			unsigned long long count =
				services_error_count(metrics->sources.services, id, code);

			if (count > 0)
				prometheus_sample(to, "hypeman_grpc_errors_total", (double)count,
						  "service", metrics->sources.services->of[id].name,
						  "code", services_code_name(code), NULL);
		}
	}
}

int metrics_run(struct metrics *metrics, struct text *ret, struct err *err)
{
	const struct metrics_sources *sources = &metrics->sources;

	if (single_flight_read(metrics->flight, READ_TIMEOUT_MS, ret, err))
		return -1;
	write_errors(metrics, ret);
	traffic_write(sources->traffic, ret);
	prometheus_gauge(ret, "hypeman_http_streams", "Streams, waits and terminals open now.",
			 atomic_load(sources->streams));
	prometheus_gauge(ret, "hypeman_http_streams_limit", "The most of them there may be.",
			 sources->streams_max);
	return 0;
}

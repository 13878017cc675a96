/* SPDX-License-Identifier: Apache-2.0 */
#include "scrape.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"

#include "hypeman/image/v1/image_service.pb-c.h"
#include "hypeman/instance/v1/instance_service.pb-c.h"

#include "proto_message.h"

#define PAGE_SIZE 1000

typedef Hypeman__Instance__V1__ListInstancesRequest instances_request;
typedef Hypeman__Instance__V1__ListInstancesResponse instances_response;
typedef Hypeman__Image__V1__ListImagesRequest images_request;
typedef Hypeman__Image__V1__ListImagesResponse images_response;

/* One service is asked; all its calls together have until `end_ms`. */
struct query {
	const struct services *services;
	enum service_id id;
	int64_t end_ms;
};

/* NULL when there is no answer; which service failed and how is counted by services.c. */
static ProtobufCMessage *ask(const struct query *query, const ProtobufCServiceDescriptor *api,
			     const char *method, const ProtobufCMessage *request)
{
	int64_t left = query->end_ms - clock_monotonic_ms();
	scoped_free struct err *err = malloc(sizeof(*err));
	ProtobufCMessage *answer;

	if (!err || services_query(query->services, query->id, api, method, request,
				   left > 1 ? (int)left : 1, &answer, err))
		return NULL;
	return answer;
}

static void count_state(unsigned *states, int value)
{
	states[value > 0 && value < SCRAPE_STATES_MAX ? value : 0]++;
}

unsigned scrape_profile_used(const struct scrape *scrape, const char *profile)
{
	for (size_t i = 0; i < scrape->profile_count; i++)
		if (strcmp(scrape->profiles[i].name, profile) == 0)
			return scrape->profiles[i].used;
	return 0;
}

static void count_profile(struct scrape *scrape, const char *name)
{
	size_t i = 0;

	while (i < scrape->profile_count && strcmp(scrape->profiles[i].name, name) != 0)
		i++;
	if (i == SCRAPE_PROFILES_MAX)
		return;
	if (i == scrape->profile_count) {
		snprintf(scrape->profiles[i].name, sizeof(scrape->profiles[i].name), "%s", name);
		scrape->profile_count++;
	}
	scrape->profiles[i].used++;
}

static void count_instance(struct scrape *scrape, const Hypeman__Instance__V1__Instance *instance)
{
	const Hypeman__Instance__V1__InstanceGpu *gpu = instance->gpu;

	count_state(scrape->instances, (int)instance->state);
	/* A stopped instance keeps its wish for a profile; what it holds has an address. */
	if (gpu && gpu->pci_address_opt_case ==
			   HYPEMAN__INSTANCE__V1__INSTANCE_GPU__PCI_ADDRESS_OPT_PCI_ADDRESS)
		count_profile(scrape, gpu->profile);
}

static bool read_instances(struct scrape *ret, const struct query *query)
{
	scoped_free char *token = strdup("");

	while (token) {
		instances_request request = HYPEMAN__INSTANCE__V1__LIST_INSTANCES_REQUEST__INIT;
		scoped(proto_message_free) ProtobufCMessage *answer = NULL;
		const instances_response *page;

		request.page_size = PAGE_SIZE;
		request.page_token = token;
		answer = ask(query, &hypeman__instance__v1__instance_service__descriptor,
			     "ListInstances", &request.base);
		if (!answer)
			return false;
		page = (const instances_response *)answer;
		for (size_t i = 0; i < page->n_instances; i++)
			count_instance(ret, page->instances[i]);
		if (page->next_page_token[0] == '\0')
			return true;
		free(token);
		token = strdup(page->next_page_token);
	}
	return false;
}

static void count_image(struct scrape *scrape, const Hypeman__Image__V1__Image *image)
{
	struct scrape_pull *pull = &scrape->pulls[scrape->pull_count];

	count_state(scrape->images, (int)image->status);
	if (!image->progress || scrape->pull_count == SCRAPE_PULLS_MAX)
		return;
	snprintf(pull->image, sizeof(pull->image), "%s", image->name);
	pull->bytes_done = image->progress->bytes_done;
	pull->bytes_total = image->progress->bytes_total;
	scrape->pull_count++;
}

static bool read_images(struct scrape *ret, const struct query *query)
{
	scoped_free char *token = strdup("");

	while (token) {
		images_request request = HYPEMAN__IMAGE__V1__LIST_IMAGES_REQUEST__INIT;
		scoped(proto_message_free) ProtobufCMessage *answer = NULL;
		const images_response *page;

		request.page_size = PAGE_SIZE;
		request.page_token = token;
		answer = ask(query, &hypeman__image__v1__image_service__descriptor, "ListImages",
			     &request.base);
		if (!answer)
			return false;
		page = (const images_response *)answer;
		for (size_t i = 0; i < page->n_images; i++)
			count_image(ret, page->images[i]);
		if (page->next_page_token[0] == '\0')
			return true;
		free(token);
		token = strdup(page->next_page_token);
	}
	return false;
}

void scrape_read(struct scrape *ret, const struct services *services, int timeout_ms)
{
	Hypeman__Gpu__V1__GetHostRequest request = HYPEMAN__GPU__V1__GET_HOST_REQUEST__INIT;
	struct query query = { services, SERVICE_GPU, clock_monotonic_ms() + timeout_ms };

	ret->host = (Hypeman__Gpu__V1__GetHostResponse *)ask(
		&query, &hypeman__gpu__v1__gpu_service__descriptor, "GetHost", &request.base);
	query = (struct query){ services, SERVICE_INSTANCE, clock_monotonic_ms() + timeout_ms };
	ret->has_instances = read_instances(ret, &query) && read_images(ret, &query);
}

void scrape_done(struct scrape *scrape)
{
	if (scrape->host)
		proto_message_free(&scrape->host->base);
}

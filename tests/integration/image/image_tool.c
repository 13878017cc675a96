/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Drives an image store from scripts:
 *
 *   image-tool DIRECTORY REGISTRIES-CONF open
 *   image-tool DIRECTORY REGISTRIES-CONF get REFERENCE...   (all at the same time)
 *
 * "get" prints what it got, one line a member, or the reason and the message. SIGTERM is
 * the caller giving up.
 */
#include "instance-svc/image.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static volatile bool cancelled;

struct request {
	struct image_store *store;
	const char *reference;
	pthread_t thread;
	struct image *image; /* owned */
	struct err err;
	int result;
};

static void on_term(int signal)
{
	(void)signal;
	cancelled = true;
}

static void *get(void *argument)
{
	struct request *request = argument;
	char *normal = NULL;

	request->result =
		image_reference_normalize(request->reference, "image", &normal, &request->err);
	if (request->result == 0)
		request->result = image_store_get(request->store, normal, &cancelled,
						  &request->image, &request->err);
	free(normal);
	return NULL;
}

static void print_list(const char *name, char **list)
{
	for (; *list; list++)
		printf("%s=%s\n", name, *list);
}

static void print(const struct request *request)
{
	const struct image *image = request->image;

	if (request->result < 0) {
		printf("error=%s\nmessage=%s\n", err_reason_info(request->err.reason)->word,
		       request->err.message);
		return;
	}
	printf("reference=%s\ndigest=%s\ndisk=%s\nbytes=%llu\nuser=%s\nworkdir=%s\n",
	       image->reference, image->digest, image->disk_path,
	       (unsigned long long)image->disk_bytes, image->user, image->working_dir);
	print_list("entrypoint", image->entrypoint);
	print_list("cmd", image->cmd);
	print_list("env", image->env);
}

static int get_all(struct image_store *store, char **references, size_t count)
{
	struct request *requests = calloc(count, sizeof(*requests));
	int status = 0;

	if (!requests)
		return 1;
	for (size_t i = 0; i < count; i++) {
		requests[i].store = store;
		requests[i].reference = references[i];
		pthread_create(&requests[i].thread, NULL, get, &requests[i]);
	}
	for (size_t i = 0; i < count; i++) {
		pthread_join(requests[i].thread, NULL);
		print(&requests[i]);
		status |= requests[i].result < 0;
		image_free(requests[i].image);
	}
	free(requests);
	return status;
}

int main(int argc, char **argv)
{
	struct image_store_options options = { 0 };
	struct sigaction action = { .sa_handler = on_term };
	struct image_usage usage;
	struct image_store *store;
	struct err err;
	int status = 0;

	if (argc < 4 || (strcmp(argv[3], "open") != 0 && strcmp(argv[3], "get") != 0)) {
		fprintf(stderr, "usage: image-tool DIRECTORY REGISTRIES-CONF open|get ...\n");
		return 2;
	}
	sigaction(SIGTERM, &action, NULL);
	options.directory = argv[1];
	options.registries_conf = argv[2];
	if (image_store_open(&options, &store, &err) < 0) {
		fprintf(stderr, "%s\n", err.message);
		return 1;
	}
	if (strcmp(argv[3], "get") == 0)
		status = get_all(store, argv + 4, (size_t)argc - 4);
	image_store_usage(store, &usage);
	printf("disks_bytes=%llu\n", (unsigned long long)usage.disks_bytes);
	image_store_close(store);
	return status;
}

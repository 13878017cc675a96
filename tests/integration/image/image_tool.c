/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Drives an image store from scripts:
 *
 *   image-tool DIRECTORY REGISTRIES-CONF [--auth-file FILE] [--unpacked-max BYTES]
 *              [--pulls N] [--stay yes] COMMAND
 *
 *   open                  opens and closes it
 *   get REFERENCE...      gets all at the same time; prints each, one line a member, or the
 *                         reason and the message
 *   request REFERENCE...  asks for all, and prints what the list says at every change until
 *                         none of them is waited for
 *   list                  prints the list
 *   delete REFERENCE      and what nobody needs
 *
 * SIGTERM is the caller giving up. With --stay the store then stays open until SIGTERM.
 */
#include "instance-svc/image.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static volatile bool cancelled;
static bool stay;

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

static const char *status_text(enum image_status status)
{
	static const char *const texts[] = { "?",	   "pending", "pulling",
					     "converting", "ready",   "failed" };

	return texts[status];
}

static void print_info(const struct image_info *info)
{
	printf("image=%s %s digest=%s position=%u layers=%u/%u bytes=%llu/%llu error=%s\n",
	       info->reference, status_text(info->status), info->digest, info->queue_position,
	       info->progress.layers_done, info->progress.layers_total,
	       (unsigned long long)info->progress.bytes_done,
	       (unsigned long long)info->progress.bytes_total, info->error);
	fflush(stdout);
}

static int list(struct image_store *store)
{
	struct image_info *infos;
	struct err err;
	size_t count;
	bool more;

	if (image_store_list(store, "", 1000, &infos, &count, &more, &err) < 0)
		return 1;
	for (size_t i = 0; i < count; i++)
		print_info(&infos[i]);
	free(infos);
	return 0;
}

/* True while one of them is on its way. Prints those that changed. */
static bool look(struct image_store *store, char **references, size_t count,
		 struct image_info *known)
{
	bool waiting = false;

	for (size_t i = 0; i < count; i++) {
		struct image_info info;
		struct err err;

		if (image_store_describe(store, references[i], &info, &err) < 0)
			continue;
		waiting |= info.status < IMAGE_READY;
		if (memcmp(&info, &known[i], sizeof(info)) != 0)
			print_info(&info);
		known[i] = info;
	}
	return waiting;
}

static int request_all(struct image_store *store, char **references, size_t count)
{
	struct image_info *known = calloc(count, sizeof(*known));
	struct err err;

	for (size_t i = 0; known && i < count; i++) {
		char *normal = NULL;

		if (image_reference_normalize(references[i], "image", &normal, &err) < 0 ||
		    image_store_request(store, normal, &err) < 0)
			printf("error=%s\nmessage=%s\n", err_reason_info(err.reason)->word,
			       err.message);
		free(normal);
	}
	while (known && look(store, references, count, known) && !cancelled)
		nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
	free(known);
	return 0;
}

static bool nobody(void *user, const char *reference, const char *digest, char name[64])
{
	(void)user;
	(void)reference;
	(void)digest;
	(void)name;
	return false;
}

static int delete (struct image_store *store, const char *reference)
{
	struct err err;

	image_store_set_users(store, &(struct image_users){ .uses = nobody });
	if (image_store_delete(store, reference, &err) == 0)
		return 0;
	printf("error=%s\nmessage=%s\n", err_reason_info(err.reason)->word, err.message);
	return 1;
}

static int run(struct image_store *store, int argc, char **argv)
{
	if (strcmp(argv[0], "get") == 0)
		return get_all(store, argv + 1, (size_t)argc - 1);
	if (strcmp(argv[0], "request") == 0)
		return request_all(store, argv + 1, (size_t)argc - 1);
	if (strcmp(argv[0], "list") == 0)
		return list(store);
	if (strcmp(argv[0], "delete") == 0 && argc == 2)
		return delete (store, argv[1]);
	return strcmp(argv[0], "open") == 0 ? 0 : 2;
}

/* Reads flags; returns the place of the command. */
static int read_options(int argc, char **argv, struct image_store_options *options)
{
	int at = 3;

	options->directory = argv[1];
	options->registries_conf = argv[2];
	for (; at + 1 < argc && strncmp(argv[at], "--", 2) == 0; at += 2) {
		if (strcmp(argv[at], "--auth-file") == 0)
			options->auth_file = argv[at + 1];
		else if (strcmp(argv[at], "--unpacked-max") == 0)
			options->unpacked_max = strtoull(argv[at + 1], NULL, 10);
		else if (strcmp(argv[at], "--stay") == 0)
			stay = true;
		else if (strcmp(argv[at], "--pulls") == 0)
			options->concurrent_pulls = (unsigned)atoi(argv[at + 1]);
	}
	return at;
}

int main(int argc, char **argv)
{
	struct image_store_options options = { 0 };
	struct sigaction action = { .sa_handler = on_term };
	int at = argc < 4 ? argc : read_options(argc, argv, &options);
	struct image_usage usage;
	struct image_store *store;
	struct err err;
	int status;

	if (at >= argc) {
		fprintf(stderr, "usage: image-tool DIRECTORY REGISTRIES-CONF [OPTION VALUE]... "
				"open|get|request|list|delete ...\n");
		return 2;
	}
	sigaction(SIGTERM, &action, NULL);
	if (image_store_open(&options, &store, &err) < 0) {
		fprintf(stderr, "%s\n", err.message);
		return 1;
	}
	status = run(store, argc - at, argv + at);
	while (stay && !cancelled)
		nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
	image_store_usage(store, &usage);
	printf("disks_bytes=%llu\n", (unsigned long long)usage.disks_bytes);
	image_store_close(store);
	return status;
}

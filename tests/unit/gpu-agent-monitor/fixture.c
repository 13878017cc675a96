/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

int fixture_setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	if (!fixture)
		return -1;
	strcpy(fixture->root, "/tmp/gpu-agent-test-XXXXXX");
	if (!mkdtemp(fixture->root))
		return -1;
	*state = fixture;
	fixture_mkdir(fixture, "sys/bus/pci/devices");
	fixture_mkdir(fixture, "sys/bus/mdev/devices");
	fixture_mkdir(fixture, "dev/vfio");
	fixture_mkdir(fixture, "journal");
	return 0;
}

int fixture_teardown(void **state)
{
	struct fixture *fixture = *state;

	nftw(fixture->root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(fixture);
	return 0;
}

#define PATH(path, fixture, format)                                                                \
	char path[512];                                                                            \
	do {                                                                                       \
		va_list args_;                                                                     \
		int used_ = snprintf(path, sizeof(path), "%s/", (fixture)->root);                  \
		va_start(args_, format);                                                           \
		vsnprintf(path + used_, sizeof(path) - (size_t)used_, format, args_);              \
		va_end(args_);                                                                     \
	} while (0)

static void make_parents(char *path)
{
	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(path, 0700) < 0)
			assert_int_equal(errno, EEXIST);
		*slash = '/';
	}
}

void fixture_write(struct fixture *fixture, const char *text, const char *format, ...)
{
	PATH(path, fixture, format);
	FILE *file;

	make_parents(path);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

void fixture_link(struct fixture *fixture, const char *target, const char *format, ...)
{
	PATH(path, fixture, format);

	make_parents(path);
	assert_int_equal(symlink(target, path), 0);
}

void fixture_mkdir(struct fixture *fixture, const char *format, ...)
{
	PATH(path, fixture, format);

	make_parents(path);
	if (mkdir(path, 0700) < 0)
		assert_int_equal(errno, EEXIST);
}

const char *fixture_read(struct fixture *fixture, const char *format, ...)
{
	static char text[65536];
	PATH(path, fixture, format);
	FILE *file = fopen(path, "r");
	size_t length;

	if (!file)
		return NULL;
	length = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	text[length] = '\0';
	return text;
}

void fixture_remove(struct fixture *fixture, const char *format, ...)
{
	PATH(path, fixture, format);

	nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

#define DEVICE "sys/devices/pci/%s"

void fixture_add_function(struct fixture *fixture, const char *address, const char *vendor,
			  const char *device, const char *class_code, const char *physfn)
{
	char target[64];

	fixture_write(fixture, vendor, DEVICE "/vendor", address);
	fixture_write(fixture, device, DEVICE "/device", address);
	fixture_write(fixture, "0x10de\n", DEVICE "/subsystem_vendor", address);
	fixture_write(fixture, "0x145a\n", DEVICE "/subsystem_device", address);
	fixture_write(fixture, class_code, DEVICE "/class", address);
	fixture_write(fixture, "1\n", DEVICE "/numa_node", address);
	fixture_link(fixture, "../../../bus/pci/drivers/nvidia", DEVICE "/driver", address);
	snprintf(target, sizeof(target), "../../../devices/pci/%s", address);
	fixture_link(fixture, target, "sys/bus/pci/devices/%s", address);
	if (physfn) {
		snprintf(target, sizeof(target), "../%s", physfn);
		fixture_link(fixture, target, DEVICE "/physfn", address);
	}
}

void fixture_add_type(struct fixture *fixture, const char *address, const char *type,
		      const char *name, const char *description, const char *available)
{
	if (name)
		fixture_write(fixture, name, DEVICE "/mdev_supported_types/%s/name", address, type);
	if (description)
		fixture_write(fixture, description, DEVICE "/mdev_supported_types/%s/description",
			      address, type);
	if (available)
		fixture_write(fixture, available,
			      DEVICE "/mdev_supported_types/%s/available_instances", address, type);
	fixture_write(fixture, "", DEVICE "/mdev_supported_types/%s/create", address, type);
}

void fixture_add_mdev(struct fixture *fixture, const char *address, const char *type,
		      const char *uuid, const char *group)
{
	char target[128];

	fixture_write(fixture, "", DEVICE "/%s/remove", address, uuid);
	snprintf(target, sizeof(target), "../mdev_supported_types/%s", type);
	fixture_link(fixture, target, DEVICE "/%s/mdev_type", address, uuid);
	snprintf(target, sizeof(target), "../../../../kernel/iommu_groups/%s", group);
	fixture_link(fixture, target, DEVICE "/%s/iommu_group", address, uuid);
	snprintf(target, sizeof(target), "../../../devices/pci/%s/%s", address, uuid);
	fixture_link(fixture, target, "sys/bus/mdev/devices/%s", uuid);
}

void fixture_job(struct fixture *fixture, const struct policy *policy, struct job *ret)
{
	char sysfs[80], dev[80], journal[80];
	struct err err;

	snprintf(sysfs, sizeof(sysfs), "%s/sys", fixture->root);
	snprintf(dev, sizeof(dev), "%s/dev", fixture->root);
	snprintf(journal, sizeof(journal), "%s/journal", fixture->root);
	*ret = (struct job){ .socket = -1, .policy = policy };
	assert_int_equal(host_open(sysfs, dev, &ret->host, &err), 0);
	assert_int_equal(journal_open(journal, FIXTURE_BOOT, &ret->journal, &err), 0);
}

void fixture_job_done(struct job *job)
{
	host_close(&job->host);
	journal_close(&job->journal);
}

static void __attribute__((noreturn))
run_child(struct fixture *fixture, const struct policy *policy, const struct op_request *request,
	  void (*run)(struct job *), int socket)
{
	struct job job;

	fixture_job(fixture, policy, &job);
	job.socket = socket;
	job.request = *request;
	run(&job);
	job_answer(&job);
	fixture_job_done(&job);
	_exit(0);
}

void fixture_run(struct fixture *fixture, const struct policy *policy,
		 const struct op_request *request, void (*run)(struct job *),
		 struct fixture_answer *ret)
{
	union {
		struct op_record record;
		struct op_result result;
	} packet;
	int ends[2], status;
	bool ended = false;
	ssize_t size;
	pid_t pid;

	ret->count = 0;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
	pid = fork();
	if (pid == 0)
		run_child(fixture, policy, request, run, ends[1]);
	close(ends[1]);
	while ((size = recv(ends[0], &packet, sizeof(packet), 0)) > 0) {
		assert_false(ended);
		if (size == sizeof(packet.result)) {
			ret->result = packet.result;
			ended = true;
			continue;
		}
		assert_int_equal(size, sizeof(packet.record));
		assert_true(ret->count < sizeof(ret->records) / sizeof(ret->records[0]));
		ret->records[ret->count++] = packet.record;
	}
	close(ends[0]);
	waitpid(pid, &status, 0);
	assert_int_equal(status, 0);
	assert_true(ended);
	assert_int_equal(ret->result.records, ret->count);
}

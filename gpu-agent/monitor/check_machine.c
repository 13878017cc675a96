/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "common/scoped.h"
#include "kvm_probe.h"
#include "process.h"

#define NO_FIX	  ""
#define VM_OWNER  "instance-svc" /* whose limits QEMU inherits */
#define UNLIMITED UINT64_MAX

/* Guests run as users of their own, in no group of the host's. */
static bool is_kvm_open(void)
{
	struct stat st;

	return stat("/dev/kvm", &st) == 0 && (st.st_mode & 06) == 06;
}

static void check_kvm(const struct check *check)
{
	const char *step;
	int r = kvm_probe(&step);

	if (r == 0 && !is_kvm_open())
		check_add(check, OP_LEVEL_WARN, "kvm", "",
			  "a udev rule KERNEL==\"kvm\", MODE=\"0666\"",
			  "KVM runs a virtual CPU, but /dev/kvm is closed to the users that guests "
			  "run as, so guests run under slow emulation");
	else if (r == 0)
		check_add(check, OP_LEVEL_PASS, "kvm", "", NO_FIX,
			  "KVM runs a virtual CPU; whether it boots a whole guest, " VM_OWNER
			  " tries when it starts");
	else
		check_add(
			check, OP_LEVEL_WARN, "kvm", "",
			"enable VT-x or AMD-V in the firmware, load kvm_intel or kvm_amd; in a VM, "
			"turn nested virtualization on",
			"cannot %s: %s; guests run under slow emulation", step, strerror(-r));
}

static void check_hugepages(const struct check *check)
{
	scoped_file FILE *file = fopen("/proc/sys/vm/nr_hugepages", "re");
	int64_t pages = 0;

	if (tree_read_number(&check->host->sysfs, &pages,
			     "kernel/mm/hugepages/hugepages-2048kB/nr_hugepages") < 0 &&
	    (!file || fscanf(file, "%" SCNd64, &pages) != 1))
		pages = 0;
	if (pages > 0)
		check_add(check, OP_LEVEL_PASS, "hugepages", "", NO_FIX,
			  "%" PRId64 " huge pages are reserved", pages);
	else
		check_add(
			check, OP_LEVEL_WARN, "hugepages", "",
			"echo 1024 > /proc/sys/vm/nr_hugepages (2 MiB each), or vm.nr_hugepages in "
			"/etc/sysctl.d/",
			"no huge pages are reserved: guests with GPUs are slower");
}

/* ---- locked memory ---------------------------------------------------------------------- */

/* The soft limit in /proc/PID/limits: "Max locked memory         8388608  8388608  bytes" */
static int read_memlock(int process, uint64_t *ret)
{
	scoped_fd int fd = openat(process, "limits", O_RDONLY | O_CLOEXEC);
	scoped_file FILE *file = fd < 0 ? NULL : fdopen(fd, "r");
	char line[256];

	if (!file)
		return -errno;
	(void)TAKE_FD(fd); /* the FILE's now */
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "Max locked memory %" SCNu64, ret) == 1)
			return 0;
		if (strncmp(line, "Max locked memory", 17) == 0) {
			*ret = UNLIMITED;
			return 0;
		}
	}
	return -EINVAL;
}

static int visit(void *context, const struct process *process)
{
	struct op_holder described;

	process_describe(process, true, &described);
	return strcmp(described.command, VM_OWNER) == 0 && read_memlock(process->dir, context) == 0;
}

/* VFIO locks all of a guest's memory. */
static void check_memlock(const struct check *check)
{
	uint64_t memory = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
	scoped_fd int self = open("/proc/self", O_PATH | O_CLOEXEC);
	uint64_t limit = 0;
	bool is_running = process_each(visit, &limit) > 0;
	const char *whose = is_running ? VM_OWNER : "this shell's processes";

	if (!is_running && read_memlock(self, &limit) < 0)
		limit = 0;
	if (limit >= memory)
		check_add(check, OP_LEVEL_PASS, "memlock", "", NO_FIX,
			  "%s may lock all of the host's memory", whose);
	else
		check_add(check, OP_LEVEL_WARN, "memlock", "",
			  "LimitMEMLOCK=infinity in the unit of " VM_OWNER
			  ", or ulimit -l unlimited before it is started by hand",
			  "%s may lock %" PRIu64 " MiB of memory: a guest with a device and more "
			  "memory does not start",
			  whose, limit >> 20);
}

/* ---- udev ------------------------------------------------------------------------------- */

/* A rule that sets who may open VFIO's nodes takes a grant away again. */
static bool is_harmful(const char *line)
{
	const char *text = line + strspn(line, " \t");

	if (text[0] == '#' || !strstr(text, "SUBSYSTEM==\"vfio\""))
		return false;
	return strstr(text, "MODE") || strstr(text, "GROUP") || strstr(text, "OWNER") ||
	       strstr(text, "uaccess");
}

static unsigned check_rules(const struct check *check, const char *directory, const char *name)
{
	scoped_free char *line = NULL;
	scoped_file FILE *file = NULL;
	unsigned number = 0, harmful = 0;
	char path[512];
	size_t size = 0;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	file = fopen(path, "re");
	while (file && getline(&line, &size, file) > 0) {
		number++;
		if (!is_harmful(line))
			continue;
		harmful++;
		check_add(
			check, OP_LEVEL_WARN, "udev", "",
			"take MODE, GROUP, OWNER and uaccess out of the rule: the agent grants nodes",
			"%s, line %u, sets who may open VFIO's nodes", path, number);
	}
	return harmful;
}

static void check_udev(const struct check *check)
{
	static const char *const directories[] = { "/etc/udev/rules.d", "/run/udev/rules.d",
						   "/usr/local/lib/udev/rules.d",
						   "/usr/lib/udev/rules.d" };
	unsigned harmful = 0;

	if (check->host->simulated)
		return; /* udev does not know of its nodes */
	for (size_t i = 0; i < sizeof(directories) / sizeof(directories[0]); i++) {
		scoped_dir DIR *dir = opendir(directories[i]);
		const struct dirent *entry;

		while (dir && (entry = readdir(dir)))
			if (strstr(entry->d_name, ".rules"))
				harmful += check_rules(check, directories[i], entry->d_name);
	}
	if (harmful == 0)
		check_add(check, OP_LEVEL_PASS, "udev", "", NO_FIX,
			  "no rule sets who may open VFIO's nodes");
}

void check_machine(const struct check *check)
{
	check_kvm(check);
	check_hugepages(check);
	check_memlock(check);
	check_udev(check);
}

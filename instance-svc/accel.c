/* SPDX-License-Identifier: Apache-2.0 */
#include "accel.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "guest/config.h"
#include "process.h"

#define KVM_DEVICE "/dev/kvm"
#define PROBE_MS   30000

/* VMs run as users of their own, which are in no group. */
static int check_device(struct err *err)
{
	struct stat st;

	if (stat(KVM_DEVICE, &st) < 0)
		return err_sys(err, errno, "cannot look at " KVM_DEVICE);
	if ((st.st_mode & (S_IROTH | S_IWOTH)) != (S_IROTH | S_IWOTH))
		return err_set(err, ERR_FAILED_PRECONDITION,
			       KVM_DEVICE " is closed to the users that VMs run as: make it 0666 "
					  "(udev: KERNEL==\"kvm\", MODE=\"0666\")");
	return 0;
}

/*
 * Without a disk our init fails, says so, and powers off: a kernel that got so far has
 * booted. One that cannot hangs, or resets, which also ends QEMU but says nothing.
 */
static int boot(const char *kernel, const char *initramfs, const volatile bool *cancelled,
		struct process_result *ret, struct err *err)
{
	const char *const argv[] = {
		"qemu-system-x86_64",
		"-nodefaults",
		"-no-user-config",
		"-no-reboot",
		"-display",
		"none",
		"-machine",
		"q35,usb=off,vmport=off",
		"-accel",
		"kvm",
		"-cpu",
		"host",
		"-m",
		"256M",
		"-kernel",
		kernel,
		"-initrd",
		initramfs,
		"-append",
		GUEST_KERNEL_CMDLINE,
		"-device",
		"virtio-serial-pci",
		"-chardev",
		"stdio,id=report",
		"-device",
		"virtserialport,chardev=report,name=" GUEST_REPORT_PORT,
		NULL,
	};
	const struct process_spec spec = { .argv = argv };
	const struct process_limits limits = { .timeout_ms = PROBE_MS, .cancelled = cancelled };

	return process_run(&spec, &limits, ret, err);
}

int accel_try_kvm(const char *kernel, const char *initramfs, const volatile bool *cancelled,
		  struct err *err)
{
	struct process_result result;
	int r = 0;

	if (check_device(err) < 0)
		return -1;
	if (boot(kernel, initramfs, cancelled, &result, err) < 0)
		return err_prefix(err, "KVM does not boot our kernel");
	if (!strstr(result.out.text, "failed "))
		r = err_set(err, ERR_FAILED_PRECONDITION,
			    "KVM does not boot our kernel: QEMU %s without a word of the guest "
			    "%.200s",
			    PROCESS_STATUS_STR(result.status), result.err.text);
	process_result_done(&result);
	return r;
}

/* "q35                  Standard PC (Q35 + ICH9, 2009) (alias of pc-q35-7.2)" */
static int parse_machines(const char *text, char *ret, size_t size, struct err *err)
{
	static const char mark[] = "(alias of ";
	const char *line = strncmp(text, "q35 ", 4) == 0 ? text : strstr(text, "\nq35 ");
	const char *name = line ? strstr(line, mark) : NULL;
	size_t length =
		name ? strspn(name + strlen(mark), "abcdefghijklmnopqrstuvwxyz0123456789-.") : 0;

	if (length == 0 || length >= size)
		return err_set(err, ERR_FAILED_PRECONDITION, "QEMU has no machine q35");
	memcpy(ret, name + strlen(mark), length);
	ret[length] = '\0';
	return 0;
}

int accel_find_machine(char *ret, size_t size, struct err *err)
{
	const char *const argv[] = { "qemu-system-x86_64", "-machine", "help", NULL };
	const struct process_spec spec = { .argv = argv };
	const struct process_limits limits = { .timeout_ms = PROBE_MS };
	struct process_result result;
	int r;

	if (process_run(&spec, &limits, &result, err) < 0)
		return err_prefix(err, "cannot ask QEMU for its machines");
	r = parse_machines(result.out.text, ret, size, err);
	process_result_done(&result);
	return r;
}

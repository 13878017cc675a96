/* SPDX-License-Identifier: Apache-2.0 */
#include "vm_command.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "guest/config.h"
#include "strv.h"
#include "supervisor/protocol.h"

/* A list under construction: the first lack of memory sticks, and is reported once. */
struct command {
	char **argv;
	int result;
};

static void add(struct command *command, const char *argument)
{
	if (command->result == 0)
		command->result = strv_append(&command->argv, argument);
}

static void add2(struct command *command, const char *option, const char *value)
{
	add(command, option);
	add(command, value);
}

static void add3(struct command *command, const char *option, const char *from, const char *to)
{
	add2(command, option, from);
	add(command, to);
}

#define ADDF(command, option, ...)                                                                 \
	do {                                                                                       \
		add(command, option);                                                              \
		if ((command)->result == 0)                                                        \
			(command)->result = strv_appendf(&(command)->argv, __VA_ARGS__);           \
	} while (0)

static int finish(struct command *command, char ***ret, struct err *err)
{
	if (command->result == 0) {
		*ret = command->argv;
		return 0;
	}
	strv_free(command->argv);
	return err_sys(err, command->result, "cannot write the command line of the VM");
}

struct sysfs_text {
	char s[64];
};

static struct sysfs_text sysfs_text(struct pci_addr address)
{
	struct sysfs_text text;

	snprintf(text.s, sizeof(text.s), "/sys/bus/pci/devices/%s", PCI_STR(address));
	return text;
}

/* A real device: everything QEMU opens of it, and no more of /sys and /dev. */
static void bind_device(struct command *c, const struct gpu_lease *lease)
{
	struct sysfs_text path;

	if (lease->function_count == 0)
		add3(c, "--ro-bind", lease->sysfs_path, lease->sysfs_path);
	for (uint32_t i = 0; i < lease->function_count; i++) {
		path = sysfs_text(lease->functions[i]);
		add3(c, "--ro-bind", path.s, path.s);
	}
	add3(c, "--dev-bind", lease->device_node, lease->device_node);
}

static void bind_devices(struct command *c, const struct vm_plan *plan)
{
	bool any = false;

	for (size_t i = 0; i < plan->lease_count; i++) {
		if (plan->leases[i]->simulated)
			continue;
		if (!any)
			add3(c, "--dev-bind", "/dev/vfio/vfio", "/dev/vfio/vfio");
		any = true;
		bind_device(c, plan->leases[i]);
	}
}

static void add_jail(struct command *c, const struct vm_plan *plan)
{
	add(c, "bwrap");
	add(c, "--unshare-all");
	add(c, "--unshare-user");
	add(c, "--disable-userns");
	add(c, "--new-session");
	add(c, "--die-with-parent");
	add(c, "--as-pid-1"); /* QEMU's exit status is bubblewrap's */
	add(c, "--clearenv");
	ADDF(c, "--info-fd", "%d", VM_FD_INFO);
	add3(c, "--ro-bind", "/usr", "/usr");
	add3(c, "--symlink", "usr/bin", "/bin");
	add3(c, "--symlink", "usr/lib", "/lib");
	add3(c, "--symlink", "usr/lib64", "/lib64");
	add2(c, "--dev", "/dev");
	add3(c, "--ro-bind", plan->kernel, "/vm/kernel");
	add3(c, "--ro-bind", plan->initramfs, "/vm/initramfs");
	if (plan->kvm)
		add3(c, "--dev-bind", "/dev/kvm", "/dev/kvm");
	bind_devices(c, plan);
	add2(c, "--remount-ro", "/dev");
	add2(c, "--remount-ro", "/");
	add2(c, "--chdir", "/");
	add(c, "--");
}

/* Descriptors, not paths: QEMU needs no permission on our files, nor to see them. */
static void add_disk(struct command *c, const char *serial, int fd, bool read_only, bool limited)
{
	ADDF(c, "-add-fd", "fd=%d,set=%d", fd, fd);
	ADDF(c, "-blockdev",
	     "driver=raw,node-name=%s%s,read-only=%s,file.driver=file,file.filename=/dev/fdset/%d,"
	     "file.discard=unmap,discard=unmap",
	     serial, limited ? "-file" : "", read_only ? "on" : "off", fd);
	if (limited)
		ADDF(c, "-blockdev", "driver=throttle,node-name=%s,throttle-group=io,file=%s-file",
		     serial, serial);
	ADDF(c, "-device", "virtio-blk-pci,drive=%s,serial=%s", serial, serial);
}

static void add_disks(struct command *c, const struct vm_plan *plan)
{
	if (plan->disk_io_bps > 0)
		ADDF(c, "-object", "throttle-group,id=io,x-bps-total=%" PRIu64, plan->disk_io_bps);
	add_disk(c, GUEST_DISK_IMAGE, VM_FD_IMAGE, true, false);
	add_disk(c, GUEST_DISK_OVERLAY, VM_FD_OVERLAY, false, plan->disk_io_bps > 0);
	add_disk(c, GUEST_DISK_CONFIG, VM_FD_CONFIG, true, false);
	for (size_t i = 0; i < plan->volume_count; i++) {
		char serial[sizeof(GUEST_DISK_VOLUME) + 8];

		snprintf(serial, sizeof(serial), GUEST_DISK_VOLUME, i);
		add_disk(c, serial, VM_FD_VOLUME + (int)i, plan->volumes[i].read_only,
			 plan->disk_io_bps > 0);
	}
}

/*
 * An object of its own only where the memory is special. Its name is the one that QEMU gives
 * by itself: a saved memory fits either way.
 */
static void add_memory(struct command *c, const struct vm_plan *plan)
{
	uint64_t megabytes = plan->memory_bytes >> 20;

	if (plan->hotplug_bytes > 0)
		ADDF(c, "-m", "size=%" PRIu64 "M,slots=16,maxmem=%" PRIu64 "M", megabytes,
		     megabytes + (plan->hotplug_bytes >> 20));
	else
		ADDF(c, "-m", "%" PRIu64 "M", megabytes);
	if (!plan->memory.huge && plan->memory.node < 0)
		return;
	add(c, "-object");
	if (c->result == 0 && plan->memory.node >= 0)
		c->result = strv_appendf(
			&c->argv, "%s,id=pc.ram,size=%" PRIu64 "M,host-nodes=%d,policy=bind%s",
			plan->memory.huge ? "memory-backend-memfd,hugetlb=on,"
					    "hugetlbsize=2M"
					  : "memory-backend-ram",
			megabytes, plan->memory.node, plan->memory.huge ? ",prealloc=on" : "");
	else if (c->result == 0)
		c->result = strv_appendf(&c->argv,
					 "memory-backend-memfd,hugetlb=on,hugetlbsize=2M,"
					 "id=pc.ram,size=%" PRIu64 "M,prealloc=on",
					 megabytes);
	add2(c, "-machine", "memory-backend=pc.ram");
}

static void add_machine(struct command *c, const struct vm_plan *plan)
{
	ADDF(c, "-machine", "%s,usb=off,vmport=off", plan->machine);
	add2(c, "-accel", plan->kvm ? "kvm" : "tcg,thread=multi");
	add2(c, "-cpu", plan->kvm ? "host" : "max");
	ADDF(c, "-smp", "%" PRIu32, plan->vcpus);
	add_memory(c, plan);
	add2(c, "-kernel", "/vm/kernel");
	add2(c, "-initrd", "/vm/initramfs");
	/* An emulated timer may come late on a busy host: no reason to give up the boot. */
	add2(c, "-append",
	     plan->kvm ? GUEST_KERNEL_CMDLINE : GUEST_KERNEL_CMDLINE " no_timer_check");
}

/* What the supervisor holds the other ends of. */
static void add_ports(struct command *c)
{
	ADDF(c, "-chardev", "socket,id=qmp,fd=%d", VM_FD_QMP);
	add2(c, "-mon", "chardev=qmp,mode=control");
	ADDF(c, "-chardev", "socket,id=console,fd=%d", VM_FD_CONSOLE);
	add2(c, "-serial", "chardev:console");
	add2(c, "-device", "virtio-serial-pci");
	ADDF(c, "-chardev", "socket,id=report,fd=%d", VM_FD_REPORT);
	add2(c, "-device", "virtserialport,chardev=report,name=" GUEST_REPORT_PORT);
	/* QEMU listens itself, so that the port outlives every process that uses it. */
	ADDF(c, "-chardev", "socket,id=agent,fd=%d,server=on,wait=off", VM_FD_AGENT);
	add2(c, "-device", "virtserialport,chardev=agent,name=" GUEST_AGENT_PORT);
}

/* A locally administered address made from the id: the same at every start. */
static void add_network(struct command *c, const char *id)
{
	uint32_t hash = 2166136261; /* FNV-1a */

	for (; *id; id++)
		hash = (hash ^ (unsigned char)*id) * 16777619;
	ADDF(c, "-netdev", "socket,id=net,fd=%d", VM_FD_NETWORK);
	ADDF(c, "-device", "virtio-net-pci,netdev=net,romfile=,mac=52:54:00:%02x:%02x:%02x",
	     (unsigned)(hash >> 16) & 0xff, (unsigned)(hash >> 8) & 0xff, (unsigned)hash & 0xff);
}

static void add_vgpu(struct command *c, const struct gpu_lease *lease)
{
	if (lease->simulated)
		add2(c, "-device", "pci-testdev,id=gpu"); /* it has no function, but it is seen */
	else
		ADDF(c, "-device", "vfio-pci,id=gpu,sysfsdev=%s", lease->sysfs_path);
}

/* Eight to a slot of the root bus, which has not one for each: a port, or a stand-in. */
#define DEVICE_SLOT 0x10
#define SLOT_FORMAT "bus=pcie.0,addr=0x%x.0x%x,multifunction=on"

/* All functions stay together, at the numbers they have, behind a port of their own. */
static void add_device(struct command *c, unsigned number, const struct gpu_lease *lease)
{
	unsigned slot = DEVICE_SLOT + number / 8, function = number % 8;

	if (lease->simulated) {
		ADDF(c, "-device", "pci-testdev,id=device%u," SLOT_FORMAT, number, slot, function);
		return;
	}
	ADDF(c, "-device", "pcie-root-port,id=port%u,chassis=%u," SLOT_FORMAT, number, number + 1,
	     slot, function);
	for (uint32_t i = 0; i < lease->function_count; i++)
		ADDF(c, "-device", "vfio-pci,host=%s,id=device%u.%u,bus=port%u,addr=0x0.0x%x%s",
		     PCI_STR(lease->functions[i]), number, lease->functions[i].function, number,
		     lease->functions[i].function,
		     lease->function_count > 1 ? ",multifunction=on" : "");
}

static void add_leases(struct command *c, const struct vm_plan *plan)
{
	unsigned devices = 0;

	for (size_t i = 0; i < plan->lease_count; i++)
		if (plan->leases[i]->device_id.s[0])
			add_device(c, devices++, plan->leases[i]);
		else
			add_vgpu(c, plan->leases[i]);
}

int vm_command_jail(const struct vm_plan *plan, char ***ret, struct err *err)
{
	struct command command = { 0 };
	struct command *c = &command;

	add_jail(c, plan);
	add(c, "qemu-system-x86_64");
	add2(c, "-name", plan->name); /* NVIDIA's manager reads -name and -uuid from here */
	add2(c, "-uuid", plan->uuid);
	add(c, "-nodefaults");
	add(c, "-no-user-config");
	add(c, "-no-reboot");
	add2(c, "-display", "none");
	add2(c, "-sandbox",
	     "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny");
	add_machine(c, plan);
	add_disks(c, plan);
	add_ports(c);
	if (plan->network)
		add_network(c, plan->id);
	add_leases(c, plan);
	if (plan->restore)
		add2(c, "-incoming", "defer");
	return finish(c, ret, err);
}

/* Nothing may map to the host: no gateway, no forwarded port in either direction. */
static void add_pasta(struct command *c)
{
	static const char *const off[] = { "-t", "-u", "-T", "-U" };

	add(c, "pasta");
	add(c, "--foreground");
	add(c, "--quiet");
	add(c, "--config-net");
	add(c, "--no-map-gw");
	for (size_t i = 0; i < sizeof(off) / sizeof(off[0]); i++)
		add2(c, off[i], "none");
	add2(c, "--dns-forward", VM_GUEST_DNS); /* asks the host's resolver, and only that */
	add(c, "--");
	/* Debian's AppArmor profile of pasta lets it execute what is in /usr/bin, and no more. */
	add(c, "env");
}

int vm_command_network(const struct vm_plan *plan, char ***ret, struct err *err)
{
	struct command command = { 0 };
	struct command *c = &command;

	if (!plan->network) {
		*ret = NULL;
		return 0;
	}
	add_pasta(c);
	add2(c, plan->supervisor, "guard-network");
	add(c, plan->host_addresses);
	if (plan->download_bps > 0 || plan->upload_bps > 0) {
		char upload[24];

		snprintf(upload, sizeof(upload), "%" PRIu64, plan->upload_bps);
		add(c, plan->supervisor);
		ADDF(c, "shape-network", "%" PRIu64, plan->download_bps);
		add(c, upload);
	}
	add(c, "passt");
	add(c, "--foreground");
	add(c, "--quiet");
	add(c, "--no-map-gw");
	add2(c, "--address", VM_GUEST_ADDRESS);
	add2(c, "--netmask", VM_GUEST_NETMASK);
	add2(c, "--gateway", VM_GUEST_GATEWAY);
	ADDF(c, "--fd", "%d", VM_FD_NETWORK);
	return finish(c, ret, err);
}

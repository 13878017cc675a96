/* SPDX-License-Identifier: Apache-2.0 */
#include "kvm_probe.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/scoped.h"

#define CODE_ADDRESS 0x1000
#define CODE_SIZE    0x1000
#define HLT	     0xf4
#define PATIENCE_S   2

static void interrupt(int signal_number)
{
	(void)signal_number; /* that it comes ends the ioctl */
}

#if defined(__x86_64__)
static int prepare(int vcpu)
{
	struct kvm_regs regs = { .rip = CODE_ADDRESS, .rflags = 2 };
	struct kvm_sregs sregs;

	if (ioctl(vcpu, KVM_GET_SREGS, &sregs) < 0)
		return -errno;
	sregs.cs.base = 0;
	sregs.cs.selector = 0;
	if (ioctl(vcpu, KVM_SET_SREGS, &sregs) < 0 || ioctl(vcpu, KVM_SET_REGS, &regs) < 0)
		return -errno;
	return 0;
}
#else
static int prepare(int vcpu)
{
	(void)vcpu;
	return -EOPNOTSUPP;
}
#endif

static int run(int vcpu, struct kvm_run *state)
{
	const struct sigaction action = { .sa_handler = interrupt }; /* no SA_RESTART */
	struct sigaction old;
	int r;

	if (sigaction(SIGALRM, &action, &old) < 0)
		return -errno;
	alarm(PATIENCE_S);
	r = ioctl(vcpu, KVM_RUN, 0) < 0 ? -errno : 0;
	alarm(0);
	(void)sigaction(SIGALRM, &old, NULL);
	if (r == -EINTR)
		return -ETIMEDOUT;
	return r == 0 && state->exit_reason != KVM_EXIT_HLT ? -EPROTO : r;
}

static int run_code(int kvm, int vm, int vcpu)
{
	int size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	void *state =
		size < 0 ? MAP_FAILED
			 : mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
	void *code =
		mmap(NULL, CODE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int r = state == MAP_FAILED || code == MAP_FAILED ? -errno : 0;

	if (r == 0) {
		struct kvm_userspace_memory_region region = {
			.guest_phys_addr = CODE_ADDRESS,
			.memory_size = CODE_SIZE,
			.userspace_addr = (uint64_t)(uintptr_t)code,
		};

		memset(code, HLT, CODE_SIZE);
		r = ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region) < 0 ? -errno : prepare(vcpu);
	}
	if (r == 0)
		r = run(vcpu, state);
	if (code != MAP_FAILED)
		munmap(code, CODE_SIZE);
	if (state != MAP_FAILED)
		munmap(state, (size_t)size);
	return r;
}

int kvm_probe(const char **ret_step)
{
	scoped_fd int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	scoped_fd int vm = -1, vcpu = -1;

	*ret_step = "open /dev/kvm";
	if (kvm < 0)
		return -errno;
	*ret_step = "make a virtual machine";
	vm = ioctl(kvm, KVM_CREATE_VM, 0);
	if (vm < 0)
		return -errno;
	*ret_step = "make a virtual CPU";
	vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
	if (vcpu < 0)
		return -errno;
	*ret_step = "run a virtual CPU";
	return run_code(kvm, vm, vcpu);
}

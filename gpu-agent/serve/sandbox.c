/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox.h"

#include <errno.h>
#include <linux/netlink.h>
#include <sched.h>
#include <seccomp.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "common/scoped.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Arguments that the kernel reads as 32 bits may carry anything in the others. */
#define BITS(argument, mask, value)                                                                \
	SCMP_CMP(argument, SCMP_CMP_MASKED_EQ, (scmp_datum_t)(mask), (scmp_datum_t)(value))
#define IS(argument, value) BITS(argument, UINT32_MAX, value)
#define IS_NULL(argument)   SCMP_CMP(argument, SCMP_CMP_EQ, 0)

SCOPED_DEFINE(scmp_filter_ctx, seccomp_release);

/* A call that is allowed with some arguments. */
struct limited {
	int call;
	unsigned count;
	struct scmp_arg_cmp when[2];
};

/* clang-format off */

/* What glibc, gRPC's core, OpenSSL, SQLite and our own code need to serve. */
static const int allowed[] = {
	/* memory and threads */
	SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise),
	SCMP_SYS(set_robust_list), SCMP_SYS(rseq), SCMP_SYS(futex), SCMP_SYS(membarrier),
	SCMP_SYS(exit), SCMP_SYS(exit_group), SCMP_SYS(sched_yield),
	SCMP_SYS(sched_getaffinity), SCMP_SYS(sched_getparam), SCMP_SYS(sched_getscheduler),
	SCMP_SYS(getcpu), SCMP_SYS(set_tid_address),

	/* time and signals */
	SCMP_SYS(clock_gettime), SCMP_SYS(clock_getres), SCMP_SYS(clock_nanosleep),
	SCMP_SYS(nanosleep), SCMP_SYS(gettimeofday), SCMP_SYS(time), SCMP_SYS(times),
	SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigreturn),
	SCMP_SYS(sigaltstack), SCMP_SYS(signalfd4), SCMP_SYS(restart_syscall),

	/* sockets and waiting */
	SCMP_SYS(socketpair), SCMP_SYS(bind), SCMP_SYS(listen), SCMP_SYS(connect),
	SCMP_SYS(accept), SCMP_SYS(accept4), SCMP_SYS(shutdown), SCMP_SYS(getsockname),
	SCMP_SYS(getpeername), SCMP_SYS(getsockopt), SCMP_SYS(setsockopt), SCMP_SYS(sendto),
	SCMP_SYS(recvfrom), SCMP_SYS(sendmsg), SCMP_SYS(recvmsg), SCMP_SYS(poll),
	SCMP_SYS(ppoll), SCMP_SYS(select), SCMP_SYS(pselect6), SCMP_SYS(epoll_create1),
	SCMP_SYS(epoll_ctl), SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait), SCMP_SYS(eventfd2),
	SCMP_SYS(pipe2), SCMP_SYS(timerfd_create), SCMP_SYS(timerfd_settime),

	/* the database, the certificates, the log */
	SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(readv), SCMP_SYS(writev), SCMP_SYS(pread64),
	SCMP_SYS(pwrite64), SCMP_SYS(lseek), SCMP_SYS(open), SCMP_SYS(openat), SCMP_SYS(close),
	SCMP_SYS(dup), SCMP_SYS(dup3), SCMP_SYS(fcntl), SCMP_SYS(flock), SCMP_SYS(fstat),
	SCMP_SYS(stat), SCMP_SYS(lstat), SCMP_SYS(newfstatat), SCMP_SYS(statx),
	SCMP_SYS(fstatfs), SCMP_SYS(access), SCMP_SYS(faccessat), SCMP_SYS(faccessat2),
	SCMP_SYS(readlink), SCMP_SYS(readlinkat), SCMP_SYS(getdents64), SCMP_SYS(getcwd),
	SCMP_SYS(fsync), SCMP_SYS(fdatasync), SCMP_SYS(ftruncate), SCMP_SYS(fallocate),
	SCMP_SYS(unlink), SCMP_SYS(unlinkat), SCMP_SYS(rename), SCMP_SYS(fchmod), SCMP_SYS(chmod),
	SCMP_SYS(fchmodat), SCMP_SYS(umask),

	/* who and where it is */
	SCMP_SYS(getpid), SCMP_SYS(getppid), SCMP_SYS(gettid), SCMP_SYS(getuid),
	SCMP_SYS(geteuid), SCMP_SYS(getgid), SCMP_SYS(getegid), SCMP_SYS(uname),
	SCMP_SYS(sysinfo), SCMP_SYS(getrusage), SCMP_SYS(getrandom),
};

/* One row of each call that fits is enough. */
static const struct limited limited[] = {
	/* threads, but no processes; clone3 hides its arguments (see sandbox_enter()) */
	{ SCMP_SYS(clone), 1, { BITS(0, CLONE_THREAD, CLONE_THREAD) } },

	/* no memory that can be written and executed, nor one after the other */
	{ SCMP_SYS(mmap), 1, { BITS(2, PROT_WRITE | PROT_EXEC, 0) } },
	{ SCMP_SYS(mmap), 1, { BITS(2, PROT_WRITE | PROT_EXEC, PROT_WRITE) } },
	{ SCMP_SYS(mmap), 1, { BITS(2, PROT_WRITE | PROT_EXEC, PROT_EXEC) } },
	{ SCMP_SYS(mprotect), 1, { BITS(2, PROT_EXEC, 0) } },

	/* callers and the monitor; changes of devices, as the kernel tells them */
	{ SCMP_SYS(socket), 1, { IS(0, AF_UNIX) } },
	{ SCMP_SYS(socket), 1, { IS(0, AF_INET) } },
	{ SCMP_SYS(socket), 1, { IS(0, AF_INET6) } },
	{ SCMP_SYS(socket), 2, { IS(0, AF_NETLINK), IS(2, NETLINK_KOBJECT_UEVENT) } },

	/* non-blocking sockets, how much there is to read, whether stderr is a terminal */
	{ SCMP_SYS(ioctl), 1, { IS(1, FIONBIO) } },
	{ SCMP_SYS(ioctl), 1, { IS(1, FIONREAD) } },
	{ SCMP_SYS(ioctl), 1, { IS(1, TCGETS) } },

	/* names of threads; limits can be read but not set */
	{ SCMP_SYS(prctl), 1, { IS(0, PR_SET_NAME) } },
	{ SCMP_SYS(prlimit64), 1, { IS_NULL(2) } },
};

static const int deadly[] = {
	/* another program, another process */
	SCMP_SYS(execve), SCMP_SYS(execveat), SCMP_SYS(fork), SCMP_SYS(vfork),
	SCMP_SYS(ptrace), SCMP_SYS(process_vm_readv), SCMP_SYS(process_vm_writev),
	SCMP_SYS(pidfd_getfd),

	/* another user */
	SCMP_SYS(setuid), SCMP_SYS(setgid), SCMP_SYS(setreuid), SCMP_SYS(setregid),
	SCMP_SYS(setresuid), SCMP_SYS(setresgid), SCMP_SYS(setgroups), SCMP_SYS(setfsuid),
	SCMP_SYS(setfsgid), SCMP_SYS(capset),

	/* other files */
	SCMP_SYS(mount), SCMP_SYS(umount2), SCMP_SYS(pivot_root), SCMP_SYS(chroot),
	SCMP_SYS(setns), SCMP_SYS(unshare), SCMP_SYS(open_tree), SCMP_SYS(move_mount),
	SCMP_SYS(fsopen), SCMP_SYS(fsconfig), SCMP_SYS(fsmount), SCMP_SYS(open_by_handle_at),
	SCMP_SYS(mknod), SCMP_SYS(mknodat),

	/* the kernel */
	SCMP_SYS(init_module), SCMP_SYS(finit_module), SCMP_SYS(delete_module),
	SCMP_SYS(kexec_load), SCMP_SYS(kexec_file_load), SCMP_SYS(bpf),
	SCMP_SYS(perf_event_open), SCMP_SYS(userfaultfd), SCMP_SYS(reboot),
};
/* clang-format on */

static int add_calls(scmp_filter_ctx filter, uint32_t action, const int *calls, size_t count)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < count; i++)
		r = seccomp_rule_add(filter, action, calls[i], 0);
	return r;
}

static int add_limited(scmp_filter_ctx filter)
{
	/* abort() sends a signal to its own process. */
	const struct scmp_arg_cmp self = IS(0, getpid());
	int r = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, &self);

	for (size_t i = 0; r == 0 && i < COUNT(limited); i++)
		r = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, limited[i].call,
					   limited[i].count, limited[i].when);
	return r;
}

static int fill(scmp_filter_ctx filter)
{
	int r = add_calls(filter, SCMP_ACT_ALLOW, allowed, COUNT(allowed));

	r = r ? r : add_limited(filter);
	/* glibc takes clone() instead. */
	r = r ? r : seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	r = r ? r : add_calls(filter, SCMP_ACT_KILL_PROCESS, deadly, COUNT(deadly));
	r = r ? r : seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	return r ? r : seccomp_attr_set(filter, SCMP_FLTATR_API_SYSRAWRC, 1);
}

int sandbox_enter(struct err *err)
{
	scoped(seccomp_release) scmp_filter_ctx filter = NULL;
	int r;

	if (!SANDBOX_FILTERS) {
		log_warning("built with a sanitizer: system calls are not filtered");
		return 0;
	}
	filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	if (!filter)
		return err_sys(err, ENOMEM, "cannot make a filter of system calls");
	r = fill(filter);
	r = r ? r : seccomp_load(filter);
	/* libseccomp asks seccomp() what the kernel knows: a filter outside that refuses the
	 * question looks like a kernel that knows nothing, which is EINVAL. */
	if (r)
		return err_sys(err, r,
			       "cannot filter system calls; if the kernel cannot, and no filter "
			       "outside refuses seccomp(), set seccomp to no");
	return 0;
}

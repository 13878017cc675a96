# SPDX-License-Identifier: Apache-2.0
"""
tracer.py PID worker ORDINAL N | tracer.py PID thread NAME N

Kills at the entry of the N-th system call, as strace --inject=all:signal=KILL:when=N would, of

  worker  the ORDINAL-th process that PID forks and that does not only look (gpu-agent's monitor)
  thread  PID, in any one thread that it starts and calls NAME (gpu-agent-serve)

With N = 0 nobody is killed. Prints "ready" once everybody is attached and, when its standard
input ends, one JSON line: {"killed": the system call's name or null, "calls": how many the
worker, or the busiest such thread, has made}.

strace itself cannot do this: it does not know which child of the monitor will get which operation,
or which thread will get which name.
"""

import ctypes
import json
import os
import re
import select
import signal
import sys

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long
(CONT, DETACH, SYSCALL, SEIZE, INTERRUPT, GET_SYSCALL_INFO) = (7, 17, 24, 0x4206, 0x4207, 0x420e)
TRACESYSGOOD, TRACEFORK, TRACEVFORK, TRACECLONE = 1, 2, 4, 8
EVENT_STOP = 128
ENTRY, EXIT = 1, 2
WALL = 0x40000000
LOOKS = (1, 12)  # enum op_kind: OP_SCAN, OP_FIND_GPU_HOLDERS
REQUEST_MIN = 8  # version and kind of struct op_request


class SyscallInfo(ctypes.Structure):
    _fields_ = [("op", ctypes.c_uint8), ("pad", ctypes.c_uint8 * 3), ("arch", ctypes.c_uint32),
                ("ip", ctypes.c_uint64), ("sp", ctypes.c_uint64), ("nr", ctypes.c_uint64),
                ("args", ctypes.c_uint64 * 6)]

    @property
    def result(self):
        return ctypes.c_int64(self.nr).value


def call_names():
    """System call names by number, from the header that a compiler needs."""
    for folder in (f"{os.uname().machine}-linux-gnu/asm", "asm", "asm-generic"):
        for name in ("unistd_64.h", "unistd.h"):
            try:
                with open(f"/usr/include/{folder}/{name}") as file:
                    found = re.findall(r"#define __NR\w*?_(\w+) (\d+)", file.read())
            except OSError:
                continue
            if found:
                return {int(number): text for text, number in found}
    return {}


def ptrace(request, tid, address=0, data=0):
    if libc.ptrace(request, tid, address, data) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


class Task:
    """A traced process or thread."""

    def __init__(self, first_name=None):
        self.first_name = first_name  # None: it was there before us
        self.calls = 0
        self.kind = None              # of the operation, once it is known
        self.request_at = None        # address of what it receives now


class Tracer:
    def __init__(self, pid, count):
        self.pid, self.count = pid, count
        self.tasks = {}
        self.killed = None
        self.names = call_names()

    def attach(self, tid, options):
        ptrace(SEIZE, tid, 0, options | TRACESYSGOOD)
        self.tasks[tid] = Task()
        ptrace(INTERRUPT, tid)

    def attach_all(self):
        raise NotImplementedError

    def is_watched(self, tid):
        """Whether its calls are counted."""
        raise NotImplementedError

    def is_victim(self, tid):
        """Whether it may be killed."""
        raise NotImplementedError

    def name_of(self, tid):
        try:
            with open(f"/proc/{self.pid}/task/{tid}/comm") as comm:
                return comm.read().strip()
        except OSError:
            return ""  # a process of its own

    def watch_entry(self, task, info):
        pass

    def watch_exit(self, tid, task, info):
        pass

    def entered(self, tid, task, info):
        task.calls += 1
        self.watch_entry(task, info)
        if self.count and not self.killed and task.calls == self.count and self.is_victim(tid):
            self.killed = self.names.get(info.nr, str(info.nr))
            os.kill(self.victim(tid), signal.SIGKILL)

    def victim(self, tid):
        return tid

    def stopped(self, tid, status):
        """What the task is to be resumed with."""
        task = self.tasks.get(tid) or self.tasks.setdefault(tid, Task(self.name_of(tid)))
        signal_number, event = os.WSTOPSIG(status), status >> 16
        if signal_number == (signal.SIGTRAP | 0x80):
            info = SyscallInfo()
            ptrace(GET_SYSCALL_INFO, tid, ctypes.sizeof(info), ctypes.addressof(info))
            if info.op == ENTRY:
                self.entered(tid, task, info)
            elif info.op == EXIT:
                self.watch_exit(tid, task, info)
            return 0
        return 0 if event or signal_number == signal.SIGTRAP else signal_number

    def step(self):
        """Handles one event, if there is one."""
        try:
            tid, status = os.waitpid(-1, WALL | os.WNOHANG)
        except ChildProcessError:
            return False
        if tid == 0:
            return False
        if not os.WIFSTOPPED(status):
            self.ended(tid)
            return True
        try:
            passed_on = self.stopped(tid, status)
            ptrace(SYSCALL if self.is_watched(tid) else CONT, tid, 0, passed_on)
        except ProcessLookupError:
            pass  # killed meanwhile
        return True

    def ended(self, tid):
        pass

    def run(self):
        """Until standard input ends."""
        waker, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self.attach_all()
        print("ready", flush=True)
        while True:
            while self.step():
                pass
            readable, _, _ = select.select([sys.stdin, waker], [], [])
            if waker in readable:
                os.read(waker, 4096)
            if sys.stdin in readable:
                return


class WorkerTracer(Tracer):
    def __init__(self, pid, ordinal, count):
        super().__init__(pid, count)
        self.ordinal = ordinal
        self.order = []  # workers that are no scans, or not known to be one yet

    def attach_all(self):
        self.attach(self.pid, TRACEFORK | TRACEVFORK | TRACECLONE)

    def is_watched(self, tid):
        return tid != self.pid and self.tasks[tid].kind not in LOOKS

    def is_victim(self, tid):
        return tid in self.order and self.order.index(tid) + 1 == self.ordinal

    def entered(self, tid, task, info):
        if not task.calls:
            self.order.append(tid)
        super().entered(tid, task, info)

    def watch_entry(self, task, info):
        is_receive = self.names.get(info.nr) in ("recvfrom", "recv")
        task.request_at = info.args[1] if is_receive and task.kind is None else None

    def watch_exit(self, tid, task, info):
        if task.request_at is None or info.result < REQUEST_MIN:
            return
        with open(f"/proc/{tid}/mem", "rb") as memory:
            memory.seek(task.request_at)
            task.kind = int.from_bytes(memory.read(REQUEST_MIN)[4:], sys.byteorder)
        if task.kind in LOOKS:
            self.order.remove(tid)

    def calls(self):
        return (self.tasks[self.order[self.ordinal - 1]].calls
                if len(self.order) >= self.ordinal else 0)


class ThreadTracer(Tracer):
    def __init__(self, pid, name, count):
        super().__init__(pid, count)
        self.name = name

    def attach_all(self):
        for tid in os.listdir(f"/proc/{self.pid}/task"):
            try:
                self.attach(int(tid), TRACECLONE)
            except ProcessLookupError:
                pass  # it has just ended

    def is_watched(self, tid):
        """New ones, until they have another name."""
        first_name = self.tasks[tid].first_name
        return first_name is not None and self.name_of(tid) in (first_name, self.name)

    def is_victim(self, tid):
        return True

    def victim(self, tid):
        return self.pid

    def calls(self):
        return max((task.calls for task in self.tasks.values()), default=0)


def main():
    pid, what, which, count = sys.argv[1:]
    if what == "worker":
        tracer = WorkerTracer(int(pid), int(which), int(count))
    else:
        tracer = ThreadTracer(int(pid), which, int(count))
    tracer.run()
    print(json.dumps({"killed": tracer.killed, "calls": tracer.calls()}), flush=True)


main()

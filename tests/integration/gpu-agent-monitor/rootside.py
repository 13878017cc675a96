# SPDX-License-Identifier: Apache-2.0
"""A simulated host, a gpu-agent monitor on it, and the structs of gpu-agent/ops.h."""

import atexit
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid

VERSION = 3
START_WORKER, GIVE_UP_WORKER = 1, 2
WORKER_STARTED, TOO_MANY_STUCK, TOO_MANY_WORKERS, FAILED = 1, 2, 3, 4
(SCAN, CREATE, REMOVE, GRANT, REVOKE, HOLDERS, SET_TYPE, CLEAR_TYPE, BIND, RESTORE, RESET,
 GPU_HOLDERS, CHECK) = range(1, 14)
SCOPE_ALL, SCOPE_ONLY, SCOPE_EXCEPT = range(3)
PCI, MDEV_TYPE, MDEV, HOLDER, VENDOR_VF, VENDOR_TYPE, MEMBER, BINDING, FINDING, \
    SCANNING = range(1, 11)
(OK, REFUSED, NOT_FOUND, IN_USE, EXISTS, KERNEL, UNVERIFIED, INVALID, OP_FAILED,
 UNSUPPORTED) = range(10)
(NO_REASON, POLICY, BOOT_DISPLAY, NO_IOMMU_GROUP, GROUP, VFS, NVSWITCH, FOREIGN, UNKNOWN, JOURNAL,
 HELD) = range(11)
MOVES, HARMLESS, IN_THE_WAY = 1, 2, 3
UNKNOWN_NUMBER = -0x80000000
STUCK_MAX, WORKERS_MAX = 8, 32
NO_GROUP = 0xFFFFFFFF
GID = 300000
u8, u16, u32, u64, i32 = (ctypes.c_uint8, ctypes.c_uint16, ctypes.c_uint32, ctypes.c_uint64,
                          ctypes.c_int32)


class Addr(ctypes.Structure):
    _fields_ = [("domain", u32), ("bus", u8), ("slot", u8), ("function", u8)]

    @classmethod
    def parse(cls, text):
        domain, bus, rest = text.split(":")
        slot, function = rest.split(".")
        return cls(int(domain, 16), int(bus, 16), int(slot, 16), int(function))

    def __str__(self):
        return f"{self.domain:04x}:{self.bus:02x}:{self.slot:02x}.{self.function}"


class MonitorRequest(ctypes.Structure):
    _fields_ = [("version", u32), ("kind", u32), ("worker_id", u64)]


class MonitorReply(ctypes.Structure):
    _fields_ = [("version", u32), ("kind", u32), ("worker_id", u64), ("error", i32),
                ("stuck_workers", u32), ("stuck", u64 * WORKERS_MAX)]


class OpRequest(ctypes.Structure):
    _fields_ = [("version", u32), ("kind", u32), ("uuid", ctypes.c_char * 37),
                ("type", ctypes.c_char * 64), ("parent", Addr), ("gid", u32),
                ("vendor_type", u32), ("scope", u32), ("gpu_count", u32), ("gpus", Addr * 32)]


class OpResult(ctypes.Structure):
    _fields_ = [("version", u32), ("status", u32), ("error", i32), ("records", u32),
                ("message", ctypes.c_char * 256), ("reason", u32)]


class Pci(ctypes.Structure):
    _fields_ = [("address", Addr), ("physfn", Addr), ("is_virtual", u8), ("is_mdev_parent", u8),
                ("is_boot_display", u8), ("has_vendor_vfio", u8), ("incomplete", u8),
                ("vendor", u16), ("device", u16), ("subsystem_vendor", u16),
                ("subsystem_device", u16), ("class_code", u32), ("numa_node", i32),
                ("sriov_total", i32), ("sriov_enabled", i32), ("iommu_group", u32),
                ("driver", ctypes.c_char * 32), ("name", ctypes.c_char * 64),
                ("has_vfio_dev", u8), ("is_barred", u8), ("bind_refusal", u8),
                ("reset_methods", ctypes.c_char * 32)]


class MdevType(ctypes.Structure):
    _fields_ = [("parent", Addr), ("type", ctypes.c_char * 64), ("name", ctypes.c_char * 64),
                ("framebuffer_mb", i32), ("max_instance", i32), ("available", i32)]


class Mdev(ctypes.Structure):
    _fields_ = [("uuid", ctypes.c_char * 37), ("type", ctypes.c_char * 64), ("parent", Addr),
                ("iommu_group", u32), ("in_journal", u8), ("half_removed", u8)]


class Holder(ctypes.Structure):
    _fields_ = [("pid", i32), ("uid", u32), ("certain", u8), ("command", ctypes.c_char * 64),
                ("gpu", Addr)]


class VendorVf(ctypes.Structure):
    _fields_ = [("address", Addr), ("current_type", i32), ("list_known", u8), ("in_journal", u8),
                ("uuid", ctypes.c_char * 37)]


class VendorType(ctypes.Structure):
    _fields_ = [("address", Addr), ("id", u32), ("name", ctypes.c_char * 64)]


class GroupMember(ctypes.Structure):
    _fields_ = [("gpu", Addr), ("address", Addr), ("iommu_group", u32), ("class_code", u32),
                ("vendor", u16), ("device", u16), ("role", u32), ("driver", ctypes.c_char * 32)]


class Binding(ctypes.Structure):
    _fields_ = [("uuid", ctypes.c_char * 37), ("address", Addr), ("iommu_group", u32),
                ("is_bound", u8), ("has_reset", u8), ("function_count", u32),
                ("driver", ctypes.c_char * 32)]


class Finding(ctypes.Structure):
    _fields_ = [("level", u32), ("check", ctypes.c_char * 32), ("subject", ctypes.c_char * 32),
                ("message", ctypes.c_char * 192), ("fix", ctypes.c_char * 192)]


class RecordBody(ctypes.Union):
    _fields_ = [("pci", Pci), ("mdev_type", MdevType), ("mdev", Mdev), ("holder", Holder),
                ("vendor_vf", VendorVf), ("vendor_type", VendorType), ("member", GroupMember),
                ("binding", Binding), ("finding", Finding)]


class Record(ctypes.Structure):
    _fields_ = [("version", u32), ("kind", u32), ("body", RecordBody)]


# ---- saying what was found -----------------------------------------------------------

failures = 0


def ok(condition, sentence):
    global failures
    print(("ok - " if condition else "not ok - ") + sentence, flush=True)
    failures += not condition


def is_(got, wanted, sentence):
    ok(got == wanted, sentence + ("" if got == wanted else f" (got {got!r}, not {wanted!r})"))


def finish():
    sys.exit(1 if failures else 0)


def wait_for(condition, seconds=10):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return bool(condition())


def stat_fields(pid):
    """State and parent, or None."""
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rsplit(")", 1)[1].split()
    except OSError:
        return None


def is_alive(pid):
    """Alive, or at least not dead: a zombie is dead."""
    fields = stat_fields(pid)
    return fields is not None and fields[0] not in "ZX"


def parent_of(pid):
    fields = stat_fields(pid)
    return int(fields[1]) if fields else None


# ---- the simulated host --------------------------------------------------------------

class Host:
    def __init__(self, build, spec):
        self.root = tempfile.mkdtemp(prefix="rootside.")
        os.chmod(self.root, 0o755)
        self.mount = self.root + "/host"
        os.mkdir(self.mount)
        self.process = subprocess.Popen(
            [build + "/deploy/simhost/hypeman-simhost", "--mount", self.mount, "--spec", spec],
            stdout=subprocess.PIPE, text=True)
        atexit.register(self.close)
        if self.process.stdout.readline().strip() != "ready":
            raise RuntimeError("hypeman-simhost did not start")

    def path(self, relative):
        return self.mount + "/" + relative

    def control(self, command):
        with open(self.path("control"), "w") as f:
            f.write(command + "\n")

    def parents(self):
        """The virtual functions, physical function by physical function."""
        return [Addr.parse(a) for a in sorted(os.listdir(self.path("sys/class/mdev_bus")))]

    def types(self, parent):
        base = self.path(f"sys/bus/pci/devices/{parent}/mdev_supported_types")
        names = {}
        for entry in os.listdir(base):
            with open(f"{base}/{entry}/name") as f:
                names[f.read().strip().rsplit(" ", 1)[-1]] = entry
        return names

    def has(self, mdev_uuid):
        return os.path.exists(self.path("sys/bus/mdev/devices/" + mdev_uuid))

    def create_foreign(self, parent, mdev_type, name=None):
        name = name or str(uuid.uuid4())
        with open(self.path(f"sys/bus/pci/devices/{parent}/mdev_supported_types/{mdev_type}"
                            "/create"), "w") as f:
            f.write(name)
        return name

    def remove_foreign(self, mdev_uuid):
        with open(self.path(f"sys/bus/mdev/devices/{mdev_uuid}/remove"), "w") as f:
            f.write("1")

    def read(self, relative):
        with open(self.path(relative)) as f:
            return f.read().rstrip("\n")

    def driver(self, address):
        try:
            return os.path.basename(os.readlink(self.path(f"sys/bus/pci/devices/{address}/driver")))
        except FileNotFoundError:
            return ""

    def override(self, address):
        text = self.read(f"sys/bus/pci/devices/{address}/driver_override")
        return "" if text == "(null)" else text

    def vendor_type(self, address):
        return int(self.read(f"sys/bus/pci/devices/{address}/nvidia/current_vgpu_type"))

    def function_node(self, address):
        link = os.readlink(self.path(f"sys/bus/pci/devices/{address}/iommu_group"))
        return self.path("dev/vfio/" + os.path.basename(link))

    def node(self, mdev_uuid):
        link = os.readlink(self.path(f"sys/bus/mdev/devices/{mdev_uuid}/iommu_group"))
        return self.path("dev/vfio/" + os.path.basename(link))

    def close(self):
        if self.process.poll() is None:
            try:
                self.control("clear")
            except OSError:
                pass
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                subprocess.run(["umount", "-l", self.mount], check=False)
        shutil.rmtree(self.root, ignore_errors=True)


def open_elsewhere(path):
    """A process that has the file open, until it is killed."""
    program = "import sys; f = open(sys.argv[1], 'r+'); print('open', flush=True); sys.stdin.read()"
    process = subprocess.Popen([sys.executable, "-c", program, path], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True)
    atexit.register(process.kill)
    if process.stdout.readline() != "open\n":
        raise RuntimeError(f"{path} cannot be opened")
    return process


def end(process):
    process.kill()
    process.wait()
    process.stdin.close()
    process.stdout.close()


# ---- the agent -----------------------------------------------------------------------

class Agent:
    """A monitor whose serve is a stand-in; `socket` is what serve would have as descriptor 3."""

    def __init__(self, build, host, *flags):
        self.dir = tempfile.mkdtemp(prefix="agent.", dir=host.root)
        os.chmod(self.dir, 0o755)
        shutil.copy(os.path.dirname(os.path.abspath(__file__)) + "/serve_stand_in.py", self.dir)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        os.mkdir(self.dir + "/run")
        os.chmod(self.dir + "/run", 0o755)
        self.listener.bind(self.dir + "/run/sock.test")
        os.chmod(self.dir + "/run/sock.test", 0o666)
        self.listener.listen()
        self.listener.settimeout(30)
        self.host = host
        self.command = [
            build + "/gpu-agent/gpu-agent", "--config", "/dev/null",
            "--socket", self.dir + "/run/sock", "--state-dir", self.dir + "/state",
            "--journal-dir", self.dir + "/journal", "--sysfs-root", host.path("sys"),
            "--dev-root", host.path("dev"), "--serve-user", "61234:61234",
            "--serve-program", self.dir + "/serve_stand_in.py",
            "--grant-gids", f"{GID}-{GID + 9}", *flags]
        self.log = open(self.dir + "/log", "w+")
        atexit.register(self.kill)
        self.start()

    def start(self):
        self.process = subprocess.Popen(self.command, stderr=self.log)
        self.accept()

    def accept(self):
        """Takes the socket of the serve that has just been started."""
        self.connection, _ = self.listener.accept()
        text, fds, _, _ = socket.recv_fds(self.connection, 32, 1)
        self.serve_pid = int(text)
        self.socket = socket.socket(fileno=fds[0])
        self.socket.settimeout(20)

    def log_text(self):
        with open(self.dir + "/log") as f:
            return f.read()

    def children(self):
        """Those not reaped yet too. /proc/PID/task/PID/children misses some while others end."""
        return [int(p) for p in os.listdir("/proc") if p.isdigit() and
                parent_of(p) == self.process.pid]

    def workers(self):
        return [p for p in self.children() if p != self.serve_pid]

    def wait_for_workers(self):
        """Until all have ended, and what they left has been looked at."""
        def are_gone():
            return wait_for(lambda: not self.workers())

        if not are_gone():
            return False
        self.start_worker()[1].close()  # answered after the monitor is done with the dead
        return are_gone()

    def ask(self, kind, worker_id=0, packet=None):
        self.socket.send(packet if packet is not None else
                         bytes(MonitorRequest(VERSION, kind, worker_id)))
        if packet is None and kind == GIVE_UP_WORKER:
            return None, None
        data, fds, _, _ = socket.recv_fds(self.socket, 4096, 2)
        reply = MonitorReply.from_buffer_copy(data)
        return reply, socket.socket(fileno=fds[0]) if fds else None

    def start_worker(self):
        reply, worker = self.ask(START_WORKER)
        if worker is None:
            raise RuntimeError(f"no worker: {reply.kind}")
        worker.settimeout(20)
        return reply.worker_id, worker

    def give_up(self, worker_id):
        self.ask(GIVE_UP_WORKER, worker_id)

    @staticmethod
    def collect(worker):
        records = []
        while True:
            data = worker.recv(4096)
            if len(data) == ctypes.sizeof(OpResult):
                result = OpResult.from_buffer_copy(data)
                print("#", result.status, result.message.decode())
                return result, records
            if len(data) != ctypes.sizeof(Record):
                raise RuntimeError(f"the worker ended with {len(data)} bytes")
            records.append(Record.from_buffer_copy(data))

    @staticmethod
    def request(kind, name="", parent=None, mdev_type="", gid=0, vendor_type=0, scope=SCOPE_ALL,
                gpus=()):
        return bytes(OpRequest(VERSION, kind, name.encode(), mdev_type.encode(), parent or Addr(),
                               gid, vendor_type, scope, len(gpus), (Addr * 32)(*gpus)))

    def run(self, *args, **fields):
        _, worker = self.start_worker()
        with worker:
            worker.send(self.request(*args, **fields))
            return self.collect(worker)

    def send_only(self, *args, **fields):
        """An operation that will not answer. The worker's id and socket."""
        worker_id, worker = self.start_worker()
        worker.send(self.request(*args, **fields))
        return worker_id, worker

    def create(self, parent, mdev_type):
        name = str(uuid.uuid4())
        result, records = self.run(CREATE, name, parent, mdev_type)
        if result.status != OK:
            raise RuntimeError(result.message.decode())
        return name, records[0].body.mdev

    def scan_mdevs(self):
        result, records = self.run(SCAN)
        if result.status != OK or result.records != len(records):
            raise RuntimeError(result.message.decode())
        return {r.body.mdev.uuid.decode(): r.body.mdev for r in records if r.kind == MDEV}

    def scan(self, **fields):
        result, records = self.run(SCAN, **fields)
        if result.status != OK or result.records != len(records):
            raise RuntimeError(result.message.decode())
        return records

    def kill(self):
        self.listener.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()

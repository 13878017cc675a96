# SPDX-License-Identifier: Apache-2.0
"""A small simulated host with every framework, foreign things of every kind, and the invariants
that must hold on it whenever recovery has run."""

import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
import uuid

import grpc

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../integration/gpu-agent-serve"))
from agent import FIRST_GID, Host, kill, reason_of, refusal, wait_until, write_boards

PEERS = ["tester:0:reader+registrar+allocator"]
FUNCTIONS = 4  # virtual ones of a GPU; and so many 12Q fit any of the GPUs
SETTLE_S = 40
NEVER_S, OFTEN_S = 3600, 2
KEEPER_GID, TARGET_GID = FIRST_GID + 1, FIRST_GID + 2
DRIVER = "bus/pci/devices/{}/driver"

BOARDS = ("a40", "l40s", "rtxa6000")
SPEC = ("a40:1@0000:41:00.0,l40s:1:vendor@0000:61:00.0,rtxa6000:1@0000:71:00.0," +
        ",".join(f"l40s:1:passthrough@0000:{bus}:00.0" for bus in (81, 82, 83)))
FOREIGN_VF, FOREIGN_BUDGET, FOREIGN_TYPED = "0000:41:00.7", "0000:71:00.0", "0000:61:00.7"
FOREIGN_BOUND = "0000:83:00.0"
MDEV_TYPES = {FOREIGN_VF: "nvidia-563", FOREIGN_BUDGET: "nvidia-530"}
VENDOR_TYPE = 1153
TYPED = [f"0000:61:00.{function}" for function in range(4, 8)]
WHOLE = [f"0000:{bus}:00.0" for bus in (81, 82, 83)]
BINDABLE = [f"0000:{bus}:00.{function}" for bus in (81, 82, 83) for function in (0, 1)]
TARGETS = {"mdev": "A40-12Q", "vendor": "L40S-12Q", "budget": "RTXA6000-12Q",
           "passthrough": "target"}
KEEPERS = dict(TARGETS, passthrough="keeper")
DEVICES = {"target": "0000:81:00.0", "keeper": "0000:82:00.0"}
ROOM = FUNCTIONS - 2  # beside the foreign one and the keeper
FAULTS = ("create-hang", "create-hang-before", "remove-hang", "remove-hang-before", "type-hang",
          "type-hang-before", "probe-hang", "probe-hang-before", "override-hang-before",
          "unbind-hang", "unbind-hang-before")


class Tracer:
    """tracer.py on a running agent."""

    def __init__(self, pid, what, which, number):
        self.process = subprocess.Popen(
            [sys.executable, "-S", "-E", os.path.join(HERE, "tracer.py"), str(pid), what,
             str(which), str(number)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline() != "ready\n":
            raise RuntimeError(f"cannot trace {pid}")

    def end(self):
        text, _ = self.process.communicate()
        return json.loads(text)


class CrashHost(Host):
    """
    Foreign things and one allocation of each framework live through everything. Unless it looks
    often, the agent looks at the host only when it has a reason: recovery must not need more.
    """

    def __init__(self, build, looks_often):
        super().__init__(build, SPEC, rescan_seconds=OFTEN_S if looks_often else NEVER_S,
                         boards=write_boards(tempfile.mkdtemp(prefix="boards-"), BOARDS,
                                             ("-12Q", "-24Q"), FUNCTIONS))
        self.user = None
        self.restarts = 0  # of serve, by this monitor
        self.control(f"unbind {FOREIGN_BOUND}")
        self.control(f"bind {FOREIGN_BOUND} vfio-pci")
        self.control(f"type {FOREIGN_TYPED} {VENDOR_TYPE}")
        self.foreign_mdevs = {self.create_foreign(parent, mdev_type)
                              for parent, mdev_type in MDEV_TYPES.items()}
        self.foreign = self.foreign_state()
        self.start()
        for name, address in DEVICES.items():
            self.user.call("RegisterDevice", self.user.pb.RegisterDeviceRequest(
                device=self.user.pb.DeviceSpec(pci_address=address, name=name)))
        self.keepers = {self.create(framework, KEEPERS, KEEPER_GID).id for framework in KEEPERS}

    # ---- the agent

    def start(self):
        self.start_agent(peers=PEERS)
        self.restarts = 0
        self.connect()

    def connect(self):
        if self.user:
            self.user.close()
        self.user = self.client()

    def restart(self):
        """kill -9 of everything, unless that has happened already."""
        if self.agent:
            self.kill_agent()
        self.start()

    def await_serve(self):
        """The monitor starts a serve that was killed; it waits longer each time."""
        self.restarts += 1
        self.wait_ready()
        self.connect()

    def create(self, framework, names, gid=TARGET_GID, request_id=None, client=None, timeout=20):
        client = client or self.user
        request = client.pb.CreateAllocationRequest(
            request_id=request_id or str(uuid.uuid4()), owner="crash", grant_gid=gid)
        if framework == "passthrough":
            request.device.device = names[framework]
        else:
            request.vgpu.profile = names[framework]
        return client.call("CreateAllocation", request, timeout).allocation

    # ---- what is there

    def sys(self, *path):
        return os.path.join(self.mount, "sys", *path)

    def read(self, *path):
        with open(self.sys(*path)) as file:
            return file.read().strip()

    def link(self, *path):
        try:
            return os.path.basename(os.readlink(self.sys(*path)))
        except FileNotFoundError:
            return ""

    def node_state(self, *device):
        status = os.stat(os.path.join(self.mount, "dev/vfio", self.link(*device, "iommu_group")))
        return status.st_uid, status.st_gid, status.st_mode & 0o7777

    def foreign_state(self):
        mdevs = []
        for name in sorted(self.foreign_mdevs & self.mdevs()):
            device = os.path.realpath(self.sys("bus/mdev/devices", name))
            mdevs.append((name, device, self.link(device, "mdev_type"), self.node_state(device)))
        functions = [(address, self.link(DRIVER.format(address)),
                      self.read("bus/pci/devices", address, "driver_override"),
                      self.node_state("bus/pci/devices", address))
                     for address in (FOREIGN_TYPED, FOREIGN_BOUND)]
        return mdevs, functions, self.read("bus/pci/devices", FOREIGN_TYPED,
                                           "nvidia/current_vgpu_type")

    def devices(self):
        """What somebody made and is not foreign."""
        types = {address: self.read("bus/pci/devices", address, "nvidia/current_vgpu_type")
                 for address in TYPED if address != FOREIGN_TYPED}
        own = self.mdevs() - self.foreign_mdevs
        own |= {address for address, number in types.items() if number != "0"}
        return own | {address for address in BINDABLE if address != FOREIGN_BOUND and
                      self.link(DRIVER.format(address)) == "vfio-pci"}

    @staticmethod
    def devices_of(allocation):
        """Of which devices() the record is."""
        if allocation.device_id:
            return set(allocation.pci_functions)
        return {allocation.mdev_uuid or allocation.pci_address}

    def stray_overrides(self):
        return [address for address in BINDABLE
                if self.link(DRIVER.format(address)) != "vfio-pci" and
                self.read("bus/pci/devices", address, "driver_override") not in ("", "(null)")]

    def granted(self):
        """The nodes that are not root's alone."""
        folder = os.path.join(self.mount, "dev/vfio")
        found = {}
        for name in os.listdir(folder):
            status = os.stat(os.path.join(folder, name))
            if name != "vfio" and (status.st_gid or status.st_mode & 0o077):
                found[name] = (status.st_gid, status.st_mode & 0o7777)
        return found

    # ---- invariants

    def violations(self):
        """Sentences; none is well."""
        try:
            return self.compare(self.user.allocations())
        except grpc.RpcError as error:
            return [f"no answer: {error.details()}"]
        except FileNotFoundError as error:
            return [f"the host changes: {error}"]

    def compare(self, allocations):
        wrong = []
        recorded = set().union(*(self.devices_of(a) for a in allocations))
        slots = [a.pci_address for a in allocations if a.pci_address != FOREIGN_BUDGET]
        nodes = {os.path.basename(a.device_node):
                 (KEEPER_GID if a.id in self.keepers else TARGET_GID, 0o660) for a in allocations}
        for sentence, got, expected in (
                ("devices are not those on record", self.devices(), recorded),
                ("nodes are not granted as recorded", self.granted(), nodes),
                ("an override was left behind", self.stray_overrides(), []),
                ("a foreign thing has changed", self.foreign_state(), self.foreign),
                ("an allocation is lost", self.keepers - {a.id for a in allocations}, set()),
                ("an allocation is not ready", [a.id for a in allocations if a.state !=
                                                self.user.pb.Allocation.STATE_READY], []),
                ("a slot is given twice", len(slots), len(set(slots)))):
            if got != expected:
                wrong.append(f"{sentence}: {got}, expected {expected}")
        return wrong

    def settle(self):
        """Waits for recovery."""
        wait_until(lambda: not self.violations(), SETTLE_S)
        return self.violations()

    def check_capacity(self, framework):
        """As many creates as promised succeed, and no more."""
        if framework == "passthrough":
            return self.check_device()
        wrong, made = [], []
        promised = self.user.profiles()[TARGETS[framework]]
        if promised != ROOM:
            wrong.append(f"{promised} {TARGETS[framework]} are available, expected {ROOM}")
        for _ in range(promised):
            try:
                made.append(self.create(framework, TARGETS))
            except grpc.RpcError as error:
                wrong.append(f"create {len(made) + 1} of {promised} fails: {error.details()}")
        error = refusal(self.create, framework, TARGETS)
        if not error or reason_of(error) != "insufficient_capacity":
            wrong.append(f"create {promised + 1} of {promised}: {error}")
        for allocation in made:
            self.user.delete(allocation.id)
        return wrong

    def check_device(self):
        devices = [d.available for d in self.user.host().gpu.devices]
        expected = [address == DEVICES["target"] for address in WHOLE]
        if devices != expected:
            return [f"available are {devices}, expected {expected}"]
        error = refusal(lambda: self.user.delete(self.create("passthrough", TARGETS).id))
        return [f"the device is available, but: {error.details()}"] if error else []


class Point:
    """One kill: of which operation, and where."""

    def __init__(self, host, framework, operation):
        self.host, self.framework, self.operation = host, framework, operation
        self.request_id = str(uuid.uuid4())
        self.made = None
        if operation == "delete":
            self.made = host.create(framework, TARGETS, request_id=self.request_id)

    def act(self):
        """Whether the caller was told that it was done."""
        try:
            if self.operation == "create":
                self.made = self.host.create(self.framework, TARGETS, request_id=self.request_id)
            else:
                self.host.user.delete(self.made.id)
            return True
        except grpc.RpcError:
            return False

    def verify(self, acknowledged):
        """What was promised is so, and what was not can be asked for again."""
        host = self.host
        live = {a.id for a in host.user.allocations()} - host.keepers
        try:
            if self.operation == "create":
                again = host.create(self.framework, TARGETS, request_id=self.request_id)
                if acknowledged and (live != {self.made.id} or again.id != self.made.id):
                    return [f"{self.made.id} was acknowledged, but {live} are there"]
                if live and live != {again.id}:
                    return [f"the request has {again.id}, but {live} are there"]
                self.made = again
            elif acknowledged and live:
                return [f"{live} are there after an acknowledged delete"]
            host.user.delete(self.made.id)
        except grpc.RpcError as error:
            return [f"asked again: {error.details()}"]
        return host.violations()


def explore(host, framework, operation, what, which, number, variant):
    """One run: {"killed": name of the call or None, "calls": made, "wrong": sentences}."""
    point = Point(host, framework, operation)
    pid = host.agent.pid if what == "worker" else host.serve_pid()
    host.user.host()
    tracer = Tracer(pid, what, which, number)  # 0: nobody is killed, calls are counted
    acknowledged = point.act()
    outcome = tracer.end()
    outcome["wrong"] = recover(host, what, outcome["killed"], variant)
    try:
        outcome["wrong"] += point.verify(acknowledged) or host.check_capacity(framework)
    except grpc.RpcError as error:
        outcome["wrong"].append(f"{error.code()}: {error.details()}")
    return outcome


def recover(host, what, killed, variant):
    """After every other kill all is killed at once; else what lives recovers first."""
    wrong = []
    if not killed:
        return wrong
    if what == "thread" and variant % 2 and not host.restarts:
        host.await_serve()
        return host.settle()
    if what == "worker" and variant % 4 == 3:
        wrong = host.settle()
    host.restart()
    return wrong + host.settle()


# ---- random kills ------------------------------------------------------------------------

class Storm:
    """Creates and deletes of every framework, and what its callers were told."""

    def __init__(self, host, rng):
        self.host = host
        self.stop = threading.Event()
        self.acknowledged = set()
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.run, args=(random.Random(rng.random()),))
                        for _ in range(3)]
        for thread in self.threads:
            thread.start()

    def run(self, rng):
        client = self.host.client()
        while not self.stop.is_set():
            try:
                made = self.host.create(rng.choice(list(TARGETS)), TARGETS, client=client,
                                        timeout=5)
                with self.lock:
                    self.acknowledged.add(made.id)
                if rng.random() < 0.6:
                    with self.lock:
                        self.acknowledged.discard(made.id)
                    client.delete(made.id)
            except grpc.RpcError:
                time.sleep(0.01)
        client.close()

    def end(self):
        self.stop.set()
        for thread in self.threads:
            thread.join()


def random_kill(host, seed):
    """One kill of serve or monitor in a storm, some while a worker is stuck in a write."""
    rng = random.Random(seed)
    fault = rng.choice(FAULTS) if rng.random() < 0.4 else None
    victim = rng.choice(("serve", "monitor"))
    stuck = False
    storm = Storm(host, rng)
    time.sleep(rng.uniform(0.02, 0.3))
    if fault:
        host.control(f"fault {fault} *")
        stuck = wait_until(lambda: is_stuck(host), 1)
        time.sleep(rng.uniform(0, 0.1))
    kill(host, victim)
    storm.stop.set()
    if rng.random() < 0.8:
        host.control("clear")
    if victim == "monitor":
        host.start()
    else:
        host.await_serve()
    host.control("clear")
    storm.end()
    wrong = host.settle()
    if fault:  # what was kept back may have come after that look, and waits for the next scan
        time.sleep(OFTEN_S + 0.5)
        wrong += host.settle()
    lost = storm.acknowledged - {a.id for a in host.user.allocations()}
    if lost:
        wrong.append(f"acknowledged, but lost: {sorted(lost)}")
    return {"killed": victim, "stuck": bool(stuck), "fault": fault,
            "wrong": wrong + clean_up(host, rng.choice(list(TARGETS)))}


def is_stuck(host):
    """Whether a worker sleeps for longer than a healthy write takes."""
    first = set(host.worker_pids())
    time.sleep(0.15)
    return bool(first & set(host.worker_pids()))


def clean_up(host, framework):
    try:
        for allocation in host.user.allocations():
            if allocation.id not in host.keepers:
                host.user.delete(allocation.id)
        wrong = host.check_capacity(framework)
    except grpc.RpcError as error:
        return [f"{error.code()}: {error.details()}"]
    if host.restarts > 1:
        host.restart()
    return wrong + host.violations()

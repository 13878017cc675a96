# SPDX-License-Identifier: Apache-2.0
"""gpu-agent on a simulated host, and a client for it, for the tests in this folder."""

import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import uuid

import grpc

REPO = os.path.abspath(os.path.join(os.path.dirname(__file__), "../../.."))
SERVE_UID = 64101
READER_UID = 64102
OTHER_UID = 64103
STRANGER_UID = 64104
ADMIN_UID = 64105
FIRST_GID, LAST_GID = 200000, 265535
PEERS = [
    "tester:0:reader+allocator",
    f"watcher:{READER_UID}:reader",
    f"other:{OTHER_UID}:reader+allocator",
    f"boss:{ADMIN_UID}:admin",
]
PROTOS = [
    "hypeman/gpu/v1/gpu_service.proto",
    "grpc/health/v1/health.proto",
    "google/rpc/status.proto",
    "google/rpc/error_details.proto",
]
SERVICE = "hypeman.gpu.v1.GpuService"
DEADLINE_S = 20

# Whoever ends a test that takes too long leaves nothing of it behind.
signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))


class Report:
    """TAP-like lines, and whether all was well."""

    def __init__(self):
        self.failures = 0

    def check(self, sentence, condition, detail=""):
        if condition:
            print(f"ok - {sentence}", flush=True)
        else:
            self.failures += 1
            print(f"not ok - {sentence}" + (f": {detail}" if detail != "" else ""), flush=True)
        return condition

    def equal(self, sentence, got, expected):
        return self.check(sentence, got == expected, f"got {got!r}, expected {expected!r}")

    def end(self):
        sys.exit(1 if self.failures else 0)


def wait_until(condition, seconds=15):
    """The condition's first true value, or its last one."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value or time.monotonic() > end:
            return value
        time.sleep(0.05)


def answer_time(client, times=100):
    """Median seconds of GetHost: beside other tests a single answer may take any time."""
    taken = []
    for _ in range(times):
        begun = time.monotonic()
        client.host()
        taken.append(time.monotonic() - begun)
    return statistics.median(taken)


def write_boards(folder, boards, endings, functions=None):
    """Copies of board files with only those types, by the end of their names, and as many virtual
    functions: a scan of them is short."""
    for board in boards:
        with open(os.path.join(REPO, f"deploy/simhost/boards/{board}.board")) as source, \
                open(os.path.join(folder, f"{board}.board"), "w") as copy:
            for line in source:
                if functions and line.startswith("vfs"):
                    line = f"vfs {functions}\n"
                if not line.startswith("type") or \
                        any(f'{ending}"' in line for ending in endings):
                    copy.write(line)
    return folder


class Client:
    """Calls by method name. Errors are grpc.RpcError; see reason_of()."""

    def __init__(self, socket, stubs):
        if stubs not in sys.path:
            sys.path.insert(0, stubs)
        from hypeman.gpu.v1 import gpu_service_pb2

        self.pb = gpu_service_pb2
        self.channel = grpc.insecure_channel(
            f"unix:{socket}",
            options=[("grpc.use_local_subchannel_pool", 1),
                     ("grpc.initial_reconnect_backoff_ms", 100),
                     ("grpc.max_reconnect_backoff_ms", 200)])

    def call(self, method, request=None, timeout=DEADLINE_S):
        request_type = getattr(self.pb, method + "Request")
        response_type = getattr(self.pb, method + "Response")
        stub = self.channel.unary_unary(
            f"/{SERVICE}/{method}",
            request_serializer=request_type.SerializeToString,
            response_deserializer=response_type.FromString)
        return stub(request or request_type(), timeout=timeout, wait_for_ready=False)

    def host(self):
        return self.call("GetHost")

    def profiles(self):
        return {p.name: p.available for p in self.host().gpu.profiles}

    def create(self, profile, request_id=None, owner="vm", gid=FIRST_GID, timeout=DEADLINE_S,
               **wish):
        request = self.pb.CreateAllocationRequest(
            request_id=request_id or str(uuid.uuid4()), owner=owner, grant_gid=gid,
            vgpu=self.pb.VgpuRequest(profile=profile, **wish))
        return self.call("CreateAllocation", request, timeout).allocation

    def allocate_device(self, device, request_id=None, owner="vm", gid=FIRST_GID, timeout=30):
        """A whole device, by the id or name that it was registered with."""
        return self.call("CreateAllocation", self.pb.CreateAllocationRequest(
            request_id=request_id or str(uuid.uuid4()), owner=owner, grant_gid=gid,
            device=self.pb.DeviceRequest(device=device)), timeout).allocation

    def delete(self, allocation_id):
        self.call("DeleteAllocation",
                  self.pb.DeleteAllocationRequest(allocation_id=allocation_id))

    def list(self, page_size=0, page_token=""):
        return self.call("ListAllocations", self.pb.ListAllocationsRequest(
            page_size=page_size, page_token=page_token))

    def allocations(self):
        return list(self.list().allocations)

    def sync(self, revision, allocation_ids=(), knows_nothing=False):
        return self.call("SyncAllocations", self.pb.SyncAllocationsRequest(
            revision=revision, allocation_ids=allocation_ids, knows_nothing=knows_nothing))

    def watch(self, timeout=None):
        """An iterator of GetHostResponse with cancel()."""
        stub = self.channel.unary_stream(
            f"/{SERVICE}/WatchHost",
            request_serializer=self.pb.WatchHostRequest.SerializeToString,
            response_deserializer=lambda data: self.pb.WatchHostResponse.FromString(data).host)
        return stub(self.pb.WatchHostRequest(), timeout=timeout)

    def close(self):
        self.channel.close()


def details_of(error):
    """The messages in the error's google.rpc.Status, by type name."""
    from google.protobuf import any_pb2  # noqa: F401, the type of details
    from google.rpc import error_details_pb2, status_pb2

    found = {}
    for key, value in error.trailing_metadata() or ():
        if key != "grpc-status-details-bin":
            continue
        for detail in status_pb2.Status.FromString(value).details:
            name = detail.type_url.rsplit(".", 1)[-1]
            message = getattr(error_details_pb2, name)()
            detail.Unpack(message)
            found[name] = message
    return found


def reason_of(error):
    info = details_of(error).get("ErrorInfo")
    return info.reason if info else None


def refusal(function, *arguments, **named):
    """The error of a call that must fail, or None."""
    try:
        function(*arguments, **named)
    except grpc.RpcError as error:
        return error
    return None


class Host:
    """A simulated host with a gpu-agent on it, all in one temporary folder.

    uevents: the agent hears of changes, as it does from a kernel; else only rescans show them.
    boards: a folder of board files in place of those that are delivered.
    tree: a folder with sys and dev in place of a simulated host; "/" is this machine.
    """

    def __init__(self, build, spec="l40s:2", rescan_seconds=1, uevents=False, boards=None,
                 tree=None):
        self.build = build
        self.boards = boards
        self.rescan_seconds = rescan_seconds
        self.uevents = uevents
        self.folder = tempfile.mkdtemp(prefix="gpu-serve-")
        os.chmod(self.folder, 0o755)
        self.mount = tree or self.path("host")
        self.simulates = not tree
        self.socket = self.path("run/sock")
        self.simhost = self.agent = None
        self.log = open(self.path("log"), "wb")
        for name in ("run", "state"):
            os.mkdir(self.path(name))
            os.chown(self.path(name), SERVE_UID, SERVE_UID)
        os.mkdir(self.path("journal"), 0o700)
        if self.simulates:
            os.mkdir(self.mount)
        os.chmod(self.path("run"), 0o755)
        os.mkdir(self.path("bin"))
        os.mkdir(self.path("stubs"))
        # The build folder may lie where other users cannot go.
        for program in ("gpu-agent", "gpu-agent-serve"):
            shutil.copy(os.path.join(build, "gpu-agent", program), self.path("bin"))
        subprocess.run(["protoc", f"-I{REPO}/proto", f"--python_out={self.path('stubs')}",
                        *PROTOS], check=True)
        self._extend_google_package()
        if self.simulates:
            self.start_simhost(spec)

    def path(self, name):
        return os.path.join(self.folder, name)

    def _extend_google_package(self):
        # google.protobuf is installed elsewhere: make google/ one package of both places.
        import google
        google.__path__.append(self.path("stubs/google"))

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.stop_agent()
        if self.simhost:
            self.simhost.terminate()
            self.simhost.wait(20)
        self.log.close()
        if kind or os.environ.get("HYPEMAN_TEST_LOG"):
            with open(self.path("log"), errors="replace") as log:
                for line in log.readlines()[-60:]:
                    print("# " + line.rstrip())
        if self.simulates:
            subprocess.run(["umount", "-l", self.mount], stderr=subprocess.DEVNULL, check=False)
        shutil.rmtree(self.folder, ignore_errors=True)

    # ---- processes

    def start_simhost(self, spec):
        program = os.path.join(self.build, "deploy/simhost/hypeman-simhost")
        command = [program, "--mount", self.mount, "--spec", spec]
        if self.uevents:
            command += ["--uevent-socket", self.path("run/uevents")]
        if self.boards:
            command += ["--boards", self.boards]
        self.simhost = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.log)
        line = self.simhost.stdout.readline()
        if line.strip() != b"ready":
            raise RuntimeError(f"simhost said {line!r}")

    def start_agent(self, vendors=(), peers=PEERS, extra=()):
        command = [self.path("bin/gpu-agent"), "--socket", self.socket,
                   "--state-dir", self.path("state"), "--journal-dir", self.path("journal"),
                   "--sysfs-root", os.path.join(self.mount, "sys"),
                   "--dev-root", os.path.join(self.mount, "dev"),
                   "--serve-user", f"{SERVE_UID}:{SERVE_UID}",
                   "--grant-gids", f"{FIRST_GID}-{LAST_GID}",
                   "--rescan-seconds", str(self.rescan_seconds)]
        command += extra
        if self.uevents:
            command += ["--uevent-socket", self.path("run/uevents")]
        for peer in peers:
            command += ["--peer", peer]
        for vendor in vendors:
            command += ["--device-vendor", vendor]
        self.agent = subprocess.Popen(command, stderr=self.log)
        self.wait_ready()

    def wait_ready(self, seconds=30):
        def ready():
            client = Client(self.socket, self.path("stubs"))
            try:
                client.call("GetHost", timeout=2)
                return True
            except grpc.RpcError:
                return False
            finally:
                client.close()

        if not wait_until(ready, seconds):
            raise RuntimeError("gpu-agent does not become ready")

    def stop_agent(self):
        if not self.agent:
            return
        self.agent.terminate()
        try:
            self.agent.wait(40)
        except subprocess.TimeoutExpired:
            self.kill_agent()
        self.agent = None

    def kill_agent(self):
        """kill -9 of the monitor; serve and workers follow by themselves."""
        serve = self.serve_pid()
        self.agent.send_signal(signal.SIGKILL)
        self.agent.wait()
        self.agent = None
        if serve:
            wait_until(lambda: not os.path.exists(f"/proc/{serve}"), 20)

    def children(self, pid):
        try:
            with open(f"/proc/{pid}/task/{pid}/children") as file:
                return [int(child) for child in file.read().split()]
        except OSError:
            return []

    def serve_pid(self):
        for pid in self.children(self.agent.pid):
            try:
                if os.readlink(f"/proc/{pid}/exe").endswith("/gpu-agent-serve"):
                    return pid
            except OSError:
                pass
        return None

    def worker_pids(self):
        return [pid for pid in self.children(self.agent.pid) if pid != self.serve_pid()]

    def client(self):
        return Client(self.socket, self.path("stubs"))

    def call_as(self, uid, method, **fields):
        """One call by another user: {"reply": text} or {"code", "reason", "message"}."""
        # A copy: the tree may lie where that user cannot go.
        script = shutil.copy(__file__, self.path("bin"))
        done = subprocess.run(
            [sys.executable, script, self.socket, self.path("stubs"), method,
             json.dumps(fields)],
            user=uid, group=uid, extra_groups=[], capture_output=True, text=True, check=False,
            cwd="/", timeout=60)
        if done.returncode:
            raise RuntimeError(done.stderr)
        return json.loads(done.stdout)

    # ---- the simulated kernel, behind the agent's back

    def control(self, text):
        with open(os.path.join(self.mount, "control"), "w") as control:
            control.write(text + "\n")

    def mdevs(self):
        return set(os.listdir(os.path.join(self.mount, "sys/bus/mdev/devices")))

    def type_dir(self, vf, type_id="nvidia-1147"):
        return os.path.join(self.mount, "sys/class/mdev_bus", vf, "mdev_supported_types", type_id)

    def create_foreign(self, vf, type_id="nvidia-1147"):
        name = str(uuid.uuid4())
        with open(os.path.join(self.type_dir(vf, type_id), "create"), "w") as create:
            create.write(name)
        return name

    def available_instances(self, vf, type_id="nvidia-1147"):
        with open(os.path.join(self.type_dir(vf, type_id), "available_instances")) as file:
            return int(file.read())


def no_leak(host, client, foreign=()):
    """Every device is a record or foreign, and every record is a device. '' or what is wrong."""
    devices = host.mdevs() - set(foreign)
    allocations = client.allocations()
    records = {a.mdev_uuid for a in allocations}
    unready = [a.id for a in allocations if a.state != client.pb.Allocation.STATE_READY]
    if devices == records and not unready:
        return ""
    return (f"devices without record {sorted(devices - records)}, "
            f"records without device {sorted(records - devices)}, not ready {unready}")


def settle(host, client, foreign=(), seconds=30):
    """Waits for recovery; '' or what is still wrong."""
    def is_settled():
        try:
            return no_leak(host, client, foreign) == ""
        except grpc.RpcError:
            return False

    wait_until(is_settled, seconds)
    try:
        return no_leak(host, client, foreign)
    except grpc.RpcError as error:
        return str(error)


def kill(host, victim):
    """By kind: one worker, serve, or the monitor, which takes the others with it."""
    if victim == "monitor":
        host.kill_agent()
        return True
    pids = host.worker_pids() if victim == "worker" else [host.serve_pid()]
    pids = [pid for pid in pids if pid]
    if not pids:
        return False
    try:
        os.kill(random.choice(pids), signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def main(socket, stubs, method, fields):
    """The other side of Host.call_as()."""
    sys.path.insert(0, stubs)
    import google
    google.__path__.append(os.path.join(stubs, "google"))
    client = Client(socket, stubs)
    from google.protobuf import json_format
    request = json_format.ParseDict(json.loads(fields), getattr(client.pb, method + "Request")())
    try:
        reply = client.call(method, request)
        print(json.dumps({"reply": json_format.MessageToDict(reply)}))
    except grpc.RpcError as error:
        print(json.dumps({"code": error.code().name, "reason": reason_of(error),
                          "message": error.details()}))


if __name__ == "__main__":
    main(*sys.argv[1:])

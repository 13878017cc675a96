# SPDX-License-Identifier: Apache-2.0
"""instance-svc with everything around it, for one test: a user with subordinate ids, a
registry with an image, a gpu-agent stand-in, the guest's kernel, and a gRPC client."""

import atexit
import glob
import hashlib
import io
import json
import os
import pwd
import queue
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
import traceback

import grpc

sys.path.append(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from ports import free_port

SOURCE = os.path.abspath(os.path.join(os.path.dirname(__file__), "../../.."))
BUILD = os.path.abspath(sys.argv[1])
PROTOS = ["hypeman/instance/v1/instance_service.proto", "hypeman/gpu/v1/gpu_service.proto",
          "hypeman/image/v1/image_service.proto", "hypeman/volume/v1/volume_service.proto"]
BOOT_S = 120

failed = 0


def check(good, sentence, shown=""):
    global failed
    print(("ok - " if good else "not ok - ") + sentence, flush=True)
    if not good:
        failed += 1
        print("\n".join("# " + line for line in str(shown).splitlines()), flush=True)
    return good


def wait_for(condition, seconds=20):
    """The first true value of condition(), or its last one."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value or time.monotonic() > end:
            return value
        time.sleep(0.05)


def retried(*argv):
    """The files of users are locked while another test changes them."""
    for _ in range(60):
        if subprocess.run(argv, stderr=subprocess.DEVNULL, check=False).returncode == 0:
            return
        time.sleep(0.5)
    subprocess.run(argv, check=True)


def load_protos(folder):
    subprocess.run(["protoc", "-I", SOURCE + "/proto", "-I", "/usr/include",
                    "--python_out", folder] + PROTOS, check=True)
    sys.path.insert(0, folder)
    from hypeman.gpu.v1 import gpu_service_pb2 as gpu
    from hypeman.image.v1 import image_service_pb2 as image
    from hypeman.instance.v1 import instance_service_pb2 as instance
    from hypeman.volume.v1 import volume_service_pb2 as volume
    return instance, gpu, image, volume


def refused(code, text, sentence, call):
    """The call fails with this code, and its message has the text."""
    try:
        check(False, sentence, call())
    except grpc.RpcError as error:
        check(error.code() == code and text in error.details(), sentence,
              (error.code(), error.details()))


class Client:
    """Methods of a service by name; errors are grpc.RpcError."""

    def __init__(self, messages, service, path):
        self.messages = messages
        self.service = service
        self.descriptor = messages.DESCRIPTOR.services_by_name[service.split(".")[-1]]
        self.channel = grpc.insecure_channel("unix:" + path)
        self.waits = True  # for a service that is not there (yet)

    def call(self, method, deadline=60, **fields):
        kind = self.descriptor.methods_by_name[method]
        request = getattr(self.messages, kind.input_type.name)(**fields)
        answer = getattr(self.messages, kind.output_type.name)
        streams = method in ("StreamLogs", "WatchEvents")
        make = self.channel.unary_stream if streams else self.channel.unary_unary
        result = make(f"/{self.service}/{method}", type(request).SerializeToString,
                      answer.FromString)(request, timeout=deadline, wait_for_ready=self.waits)
        return result


class Command:
    """One call of Exec: what is sent comes from any thread, what is received is kept."""

    def __init__(self, client, messages, instance, command, **start):
        self.m = messages
        self.requests = queue.Queue()
        self.stdout, self.stderr, self.exit = [], [], None
        self.send(start=messages.ExecStart(id=instance, command=command, **start))
        method = client.channel.stream_stream(
            f"/{client.service}/Exec", messages.ExecRequest.SerializeToString,
            messages.ExecResponse.FromString)
        self.call = method(iter(self.requests.get, None), timeout=300, wait_for_ready=True)

    def send(self, **fields):
        self.requests.put(self.m.ExecRequest(**fields))

    def end(self):
        """The caller says nothing more."""
        self.requests.put(None)

    def read(self, until=None):
        """Everything to its end, or until the output has `until`, which it may have already."""
        while not (until and until in self.output()):
            response = next(self.call, None)
            if response is None:
                break
            kind = response.WhichOneof("kind")
            if kind == "exit":
                self.exit = response.exit
            else:
                getattr(self, kind).append(getattr(response, kind))
        return self

    def output(self):
        return b"".join(self.stdout)

    def errors(self):
        return b"".join(self.stderr)

    def shown(self):
        return f"stdout {self.output()!r}\nstderr {self.errors()!r}\n{self.exit}"


class Agent:
    """A gpu-agent with slots of one profile and registered devices, in this process."""

    DEVICES = {"gpu-0": ("22222222-2222-4222-8222-000000000000", "0000:82:00.0"),
               "gpu-1": ("22222222-2222-4222-8222-000000000001", "0000:83:00.0")}

    def __init__(self, messages, path):
        self.m = messages
        self.path = path
        self.live = {}
        self.deleted = []
        self.made = 0
        self.slots = 4
        self.refusals = 0       # so many deletions answer "in use"
        self.before_answer = None
        self.start()

    def start(self):
        from concurrent import futures
        self.server = grpc.server(futures.ThreadPoolExecutor(8))
        handlers = {
            "CreateAllocation": self.handler(self.create, "CreateAllocation"),
            "DeleteAllocation": self.handler(self.delete, "DeleteAllocation"),
            "ListAllocations": self.handler(self.list, "ListAllocations"),
            "ListDevices": self.handler(self.list_devices, "ListDevices"),
            "GetHost": self.handler(self.get_host, "GetHost"),
        }
        self.server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(
            "hypeman.gpu.v1.GpuService", handlers),))
        self.server.add_insecure_port("unix:" + self.path)
        self.server.start()
        os.chmod(self.path, 0o666)

    def stop(self):
        self.server.stop(0).wait()

    def handler(self, function, method):
        return grpc.unary_unary_rpc_method_handler(
            function, getattr(self.m, method + "Request").FromString,
            getattr(self.m, method + "Response").SerializeToString)

    def create(self, request, context):
        for allocation in self.live.values():
            if allocation.request_id == request.request_id:
                return self.m.CreateAllocationResponse(allocation=allocation)
        if request.HasField("device"):
            what = self.take_device(request.device.device, context)
        else:
            what = self.take_slot(request.vgpu.profile, context)
        uuid = "00000000-0000-4000-8000-%012d" % self.made
        self.made += 1
        self.live[uuid] = self.m.Allocation(
            id=uuid, mdev_uuid=uuid if "profile" in what else "", request_id=request.request_id,
            owner=request.owner, state=self.m.Allocation.STATE_READY, simulated=True,
            device_node="/tmp/none/vfio/7", sysfs_path="/tmp/none/bus/mdev/devices/" + uuid,
            **what)
        if self.before_answer:
            self.before_answer()
        return self.m.CreateAllocationResponse(allocation=self.live[uuid])

    def take_slot(self, profile, context):
        if profile != "L40S-1Q":
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "profile is unknown")
        if sum(a.profile != "" for a in self.live.values()) >= self.slots:
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "no slot is free")
        return {"profile": "L40S-1Q", "framebuffer_mb": 1024, "pci_address": "0000:41:00.4",
                "gpu_pci_address": "0000:41:00.0"}

    def take_device(self, wanted, context):
        for name, (uuid, address) in self.DEVICES.items():
            if wanted not in (name, uuid):
                continue
            if self.holder(uuid):
                context.abort(grpc.StatusCode.FAILED_PRECONDITION, f"device {name} is attached")
            return {"device_id": uuid, "pci_address": address, "gpu_pci_address": address,
                    "pci_functions": [address, address[:-1] + "1"]}
        return context.abort(grpc.StatusCode.NOT_FOUND, f"no device '{wanted}'")

    def holder(self, device_id):
        return next((a.owner for a in self.live.values() if a.device_id == device_id), None)

    def list_devices(self, request, context):
        return self.m.ListDevicesResponse(devices=[
            self.m.Device(id=uuid, name=name, pci_address=address, attached_to=self.holder(uuid))
            for name, (uuid, address) in self.DEVICES.items()])

    def get_host(self, request, context):
        return self.m.GetHostResponse(simulated=True, physical_gpus=[
            self.m.PhysicalGpu(pci_address=address, name="NVIDIA L40S")
            for _, address in self.DEVICES.values()])

    def delete(self, request, context):
        if self.refusals > 0:
            self.refusals -= 1
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, "somebody holds it")
        if request.allocation_id in self.live:
            self.deleted.append(self.live.pop(request.allocation_id).id)
        return self.m.DeleteAllocationResponse()

    def list(self, request, context):
        return self.m.ListAllocationsResponse(allocations=list(self.live.values()))


class Registry:
    """docker-registry with images of busybox."""

    def __init__(self, work):
        self.port = free_port()
        self.work = work
        root = os.path.join(work, "registry")
        os.makedirs(root)
        config = os.path.join(work, "registry.yml")
        with open(config, "w") as file:
            file.write("version: 0.1\nlog: {level: error}\n"
                       "storage: {filesystem: {rootdirectory: %s}}\n"
                       "http: {addr: 127.0.0.1:%d}\n" % (root, self.port))
        self.conf = os.path.join(work, "registries.conf")
        with open(self.conf, "w") as file:
            file.write('[[registry]]\nlocation = "127.0.0.1:%d"\ninsecure = true\n' % self.port)
        self.process = subprocess.Popen(["docker-registry", "serve", config],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(lambda: self.answers())

    def answers(self):
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", self.port)) == 0

    def reference(self, name):
        return f"127.0.0.1:{self.port}/{name}"

    def push(self, name, command, env=(), payload=0, tree=None):
        """An image with busybox and, in it, the command; payload: bytes that take time; tree:
        a folder with more files."""
        layout = tempfile.mkdtemp(dir=self.work)
        blobs = os.path.join(layout, "blobs/sha256")
        os.makedirs(blobs)

        def blob(data):
            digest = hashlib.sha256(data).hexdigest()
            with open(os.path.join(blobs, digest), "wb") as file:
                file.write(data)
            return {"digest": "sha256:" + digest, "size": len(data)}

        layer = self.layer(payload, tree)
        config = {"architecture": "amd64", "os": "linux",
                  "config": {"Entrypoint": ["/bin/sh", "-c"], "Cmd": [command],
                             "Env": ["PATH=/bin"] + list(env)},
                  "rootfs": {"type": "layers",
                             "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest()]}}
        kind = "application/vnd.oci.image."
        manifest = {"schemaVersion": 2, "mediaType": kind + "manifest.v1+json",
                    "config": {"mediaType": kind + "config.v1+json",
                               **blob(json.dumps(config).encode())},
                    "layers": [{"mediaType": kind + "layer.v1.tar", **blob(layer)}]}
        index = {"schemaVersion": 2,
                 "manifests": [{"mediaType": kind + "manifest.v1+json",
                                **blob(json.dumps(manifest).encode()),
                                "annotations": {"org.opencontainers.image.ref.name": "x"}}]}
        for file_name, value in (("index.json", index),
                                 ("oci-layout", {"imageLayoutVersion": "1.0.0"})):
            with open(os.path.join(layout, file_name), "w") as file:
                json.dump(value, file)
        subprocess.run(["skopeo", "copy", "--quiet", "--insecure-policy", "--dest-tls-verify=false",
                        f"oci:{layout}:x", "docker://" + self.reference(name)], check=True)
        return self.reference(name)

    @staticmethod
    def layer(payload, tree):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as tar:
            for folder in ("bin", "etc", "proc", "sys", "dev", "tmp"):
                entry = tarfile.TarInfo(folder)
                entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                tar.addfile(entry)
            tar.add("/bin/busybox", "bin/busybox")
            applets = subprocess.run(["/bin/busybox", "--list"], capture_output=True, text=True,
                                     check=True).stdout.split()
            for applet in applets:
                if applet == "busybox":
                    continue
                entry = tarfile.TarInfo("bin/" + applet)
                entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
                tar.addfile(entry)
            for more in sorted(os.listdir(tree)) if tree else ():
                tar.add(os.path.join(tree, more), more)
            if payload:
                entry = tarfile.TarInfo("payload")
                entry.size = payload
                tar.addfile(entry, io.BytesIO(os.urandom(payload)))
        return out.getvalue()

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Service:
    """instance-svc as a user of its own, in a mount namespace where it may open tun."""

    def __init__(self, **settings):
        self.work = tempfile.mkdtemp(prefix="hm-instance-")
        os.chmod(self.work, 0o755)
        atexit.register(self.clean_up)
        self.process = None
        self.boot_id = ""  # of the host, as instance-svc sees it from its next start; empty: the real one
        self.user = "hmtest%d" % os.getpid()
        self.first_id = 2000000000 + (os.getpid() % 1000) * 131072
        self.make_user()
        self.instance, self.gpu, self.image, self.volume = load_protos(self.folder("protos"))
        self.registry = Registry(self.work)
        self.agent = Agent(self.gpu, self.work + "/agent.sock")
        self.state = self.folder("state", owner=True)
        self.limit_state(settings.pop("state_bytes", 0))
        self.run = self.folder("run", owner=True)
        self.roles = settings.pop("roles", "reader+operator+proxy")
        self.settings = settings
        self.log = self.work + "/log"
        self.programs = self.copy_programs()
        self.guest = self.find_guest()
        self.start()

    def folder(self, name, owner=False):
        path = os.path.join(self.work, name)
        os.makedirs(path)
        if owner:
            shutil.chown(path, self.user, self.user)
        return path

    def limit_state(self, size):
        """The state lies on a file system of its own; 0: it does not."""
        if size:
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=0755", "none",
                            self.state], check=True)
            shutil.chown(self.state, self.user, self.user)

    def make_user(self):
        ids = f"{self.first_id}-{self.first_id + 131071}"
        retried("useradd", "--system", "--no-create-home", "--home-dir", self.work, "--shell",
                "/usr/sbin/nologin", "--user-group", self.user)
        retried("usermod", "--add-subuids", ids, "--add-subgids", ids, self.user)
        self.uid = pwd.getpwnam(self.user).pw_uid

    def copy_programs(self):
        """Where a VM's own user may reach them, wherever the build is."""
        programs = self.folder("bin")
        for name in ("instance-svc", "instance-supervisor", "guest/image-kernel",
                     "guest/build-guest", "guest/guest-init"):
            shutil.copy(os.path.join(BUILD, "instance-svc", name), programs)
        return programs

    def find_guest(self):
        store = os.environ.get("HYPEMAN_GUEST_DIR", os.path.join(BUILD, "guest-kernel"))
        subprocess.run([SOURCE + "/deploy/fetch-guest-kernel", "--init",
                        BUILD + "/instance-svc/guest/guest-init", store],
                       check=True, stdout=subprocess.DEVNULL)
        guest = self.folder("guest")
        for name in "vmlinux", "initramfs.cpio":
            shutil.copy(os.path.join(store, name), guest)
        return guest

    def start(self):
        sock = self.run + "/sock"
        command = [self.programs + "/instance-svc", "--socket", sock, "--state-dir", self.state,
                   "--run-dir", self.run, "--gpu-agent-socket", self.agent.path,
                   "--peer", "test:0:" + self.roles, "--kernel", self.guest + "/vmlinux",
                   "--initramfs", self.guest + "/initramfs.cpio", "--accel", "tcg",
                   "--registries-conf", self.registry.conf]
        for name, value in self.settings.items():
            for one in value if isinstance(value, list) else [value]:
                command += ["--" + name.replace("_", "-"), str(one)]
        setup = ('mount -t tmpfs none "$0" && mknod "$0/tun" c 10 200 && chmod 666 "$0/tun" && '
                 'mount --bind "$0/tun" /dev/net/tun && if [[ $BOOT_ID ]]; then '
                 'echo "$BOOT_ID" >"$0/boot_id" && chmod 644 "$0/boot_id" && '
                 'mount --bind "$0/boot_id" /proc/sys/kernel/random/boot_id; fi && exec setpriv --reuid "$1" --regid "$1" '
                 '--init-groups -- "${@:2}"')
        devices = os.path.join(self.work, "devices")
        os.makedirs(devices, exist_ok=True)
        environment = {"PATH": f"{self.programs}:{os.environ['PATH']}", "HOME": self.work, "BOOT_ID": self.boot_id,
                       **{k: v for k, v in os.environ.items() if "SAN_OPTIONS" in k}}
        with open(self.log, "a") as log:
            self.process = subprocess.Popen(
                ["unshare", "--mount", "--propagation", "private", "bash", "-c", setup, devices,
                 self.user] + command, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                env=environment, start_new_session=True)
        if not wait_for(lambda: self.is_up() or self.process.poll() is not None, 60) or \
                self.process.poll() is not None:
            raise RuntimeError("instance-svc does not start: " + open(self.log).read())
        self.client = Client(self.instance, "hypeman.instance.v1.InstanceService", sock)
        self.images = Client(self.image, "hypeman.image.v1.ImageService", sock)
        self.volumes = Client(self.volume, "hypeman.volume.v1.VolumeService", sock)

    def is_up(self):
        with socket.socket(socket.AF_UNIX) as s:
            return s.connect_ex(self.run + "/sock") == 0

    def kill(self, how=signal.SIGKILL):
        self.process.send_signal(how)
        self.process.wait()

    def stop(self):
        self.kill(signal.SIGTERM)

    # ---- the service's methods ----

    def spec(self, name, image, **fields):
        fields.setdefault("size", "256MB")
        fields.setdefault("overlay_size", "256MB")
        fields.setdefault("vcpus", 1)
        if isinstance(fields.get("gpu"), str):
            fields["gpu"] = self.instance.GpuSpec(profile=fields["gpu"])
        if isinstance(fields.get("network"), bool):
            fields["network"] = self.instance.NetworkSpec(enabled=fields["network"])
        return self.instance.InstanceSpec(name=name, image=image, **fields)

    def create(self, name, image, **fields):
        return self.client.call("CreateInstance",
                                instance=self.spec(name, image, **fields)).instance

    def command(self, name, *command, **start):
        return Command(self.client, self.instance, name, command, **start)

    def run_command(self, name, *command, stdin=b"", **start):
        running = self.command(name, *command, **start)
        if stdin:
            running.send(stdin=stdin)
        running.send(stdin_end=True)
        running.end()
        return running.read()

    def has_agent(self, name):
        """The guest runs commands by now."""
        try:
            return self.run_command(name, "true").exit is not None
        except grpc.RpcError:
            return False

    def get(self, name):
        return self.client.call("GetInstance", id=name).instance

    def list(self):
        return self.client.call("ListInstances").instances

    def delete(self, name):
        self.client.call("DeleteInstance", id=name)

    def stop_instance(self, name, timeout="30s"):
        return self.client.call("StopInstance", id=name, timeout=timeout).instance

    def start_instance(self, name, **options):
        return self.client.call("StartInstance", id=name,
                                options=self.instance.StartOptions(**options)).instance

    def logs(self, name, source="APP", tail=1000):
        value = self.instance.LogSource.Value("LOG_SOURCE_" + source)
        return [r.line for r in self.client.call("StreamLogs", id=name, source=value, tail=tail)]

    def state_of(self, name):
        return self.instance.InstanceState.Name(self.get(name).state)[len("INSTANCE_STATE_"):]

    def wait_state(self, name, *states, seconds=BOOT_S):
        wait_for(lambda: self.state_of(name) in states, seconds)
        return self.state_of(name)

    def wait_line(self, name, text, seconds=BOOT_S):
        return wait_for(lambda: any(text in line for line in self.logs(name)), seconds)

    # ---- what is left ----

    def vm_processes(self):
        """Command lines of processes that run as us or as one of our subordinate users."""
        found = {}
        for folder in glob.glob("/proc/[0-9]*"):
            try:
                uid = os.stat(folder).st_uid
                line = open(folder + "/cmdline").read().split("\0")
                state = open(folder + "/stat").read().rsplit(")", 1)[1].split()[0]
            except OSError:
                continue
            ours = uid == self.uid or self.first_id <= uid < self.first_id + 131072
            if ours and state != "Z" and not line[0].endswith("/instance-svc"):
                found[int(os.path.basename(folder))] = (uid, line)
        return found

    def find_process(self, name):
        return [(pid, uid, line) for pid, (uid, line) in self.vm_processes().items()
                if os.path.basename(line[0]) == name]

    def instance_folders(self):
        return os.listdir(self.state + "/instances")

    def clean_up(self):
        if self.process and self.process.poll() is None:
            self.kill()
        for pid in self.vm_processes():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        wait_for(lambda: not self.vm_processes(), 10)
        if hasattr(self, "agent"):
            self.agent.stop()
        if hasattr(self, "registry"):
            self.registry.stop()
        if os.path.exists(self.log) and "Sanitizer" in open(self.log).read():
            print("not ok - the sanitizers find nothing in instance-svc")
            print("\n".join("# " + line for line in open(self.log).read().splitlines()))
            os._exit(1)
        if failed and os.path.exists(self.log):
            print("\n".join("# " + line for line in open(self.log).read().splitlines()[-60:]))
        if any(entry.pw_name == self.user for entry in pwd.getpwall()):
            retried("userdel", "--force", self.user)
        if os.path.ismount(self.state):
            subprocess.run(["umount", self.state], check=False)
        shutil.rmtree(self.work, ignore_errors=True)


def main(test, **settings):
    """Runs test(service) and ends with the right status, cleaned up also when it is stopped."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        test(Service(**settings))
    except Exception:
        check(False, "the test ran to its end", traceback.format_exc())
    sys.exit(1 if failed else 0)

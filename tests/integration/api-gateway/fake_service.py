#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A stand-in for gpu-agent or instance-svc, on a Unix socket, with grpcio.

usage: fake_service.py gpu|instance SOCKET BUILD_DIR CONTROL_DIR

It reads the protocol from the build's descriptor sets. Files in CONTROL_DIR steer it:
`no-gpu` (the host has none), `gpu-used` (so many slots are), and it keeps the number of open
log streams in `streams`.

An instance's image steers what becomes of its creation: "refuse:WORD:CODE" fails with
that ErrorInfo, "sleep:SECONDS" takes its time. Its name steers its log: "quiet-..." has
no lines when followed, "broken-..." fails after the first, "endless-..." never pauses. Its state is what the last
request made of it; WaitInstance waits for another request to change it.

Exec knows the commands of Instances.run().
"""

import concurrent.futures
import os
import sys
import threading
import time
import uuid

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory

POOL = descriptor_pool.DescriptorPool()


def load(build, name):
    files = descriptor_pb2.FileDescriptorSet()
    with open(f"{build}/proto/gen/{name}_descriptor_set.pb", "rb") as f:
        files.ParseFromString(f.read())
    for file in files.file:
        try:
            POOL.Add(file)
        except TypeError:
            pass  # google/protobuf files are in both sets


def message(name):
    return message_factory.MessageFactory(POOL).GetPrototype(POOL.FindMessageTypeByName(name))


def refuse(context, word, code, text, violations=()):
    status = message("google.rpc.Status")(code=code, message=text)
    info = message("google.rpc.ErrorInfo")(reason=word, domain="hypeman")
    info.metadata["field"] = "instance.gpu.profile"
    status.details.add(type_url="type.googleapis.com/google.rpc.ErrorInfo",
                       value=info.SerializeToString())
    if violations:
        failure = message("google.rpc.PreconditionFailure")()
        for kind, subject, description in violations:
            failure.violations.add(type=kind, subject=subject, description=description)
        status.details.add(type_url="type.googleapis.com/google.rpc.PreconditionFailure",
                           value=failure.SerializeToString())
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    for known in grpc.StatusCode:
        if known.value[0] == code:
            context.abort(known, text)


class Gpu:
    service = "hypeman.gpu.v1.GpuService"

    def __init__(self, control):
        self.control = control
        self.devices = {}

    def GetHost(self, request, context):
        answer = message("hypeman.gpu.v1.GetHostResponse")(generation=2**63)
        if not os.path.exists(f"{self.control}/no-gpu"):
            gpu = answer.gpu
            gpu.mode = 1
            gpu.total_slots = 64
            gpu.used_slots = self.used()
            gpu.profiles.add(name="L40S-1Q", framebuffer_mb=1024, available=59)
            gpu.profiles.add(name="L40S-2Q", framebuffer_mb=2048, available=30)
            card = answer.physical_gpus.add(pci_address="0000:41:00.0", name="NVIDIA L40S",
                                            framework=1, total_slots=32, used_slots=5)
            for slot, state in enumerate((1, 2, 2, 3)):
                card.conditions.add(pci_address=f"0000:41:00.{slot + 4}", state=state)
        return answer

    def used(self):
        try:
            return int(open(f"{self.control}/gpu-used").read())
        except (FileNotFoundError, ValueError):
            return 5

    def WatchHost(self, request, context):
        shown = None
        while context.is_active():
            host = self.GetHost(None, context)
            if host.SerializeToString() != shown:
                yield message("hypeman.gpu.v1.WatchHostResponse")(host=host)
                shown = host.SerializeToString()
            time.sleep(0.05)

    def find(self, wanted, context):
        for device in self.devices.values():
            if wanted in (device.id, device.name):
                return device
        refuse(context, "device_not_found", 5, f"no device '{wanted}'")

    def RegisterDevice(self, request, context):
        spec = request.device
        if spec.pci_address == "0000:00:00.0":
            refuse(context, "pci_device_not_found", 5, f"no PCI device {spec.pci_address}")
        answer = message("hypeman.gpu.v1.RegisterDeviceResponse")()
        made = answer.device
        made.id, made.name, made.type = str(uuid.uuid4()), spec.name, 1
        made.pci_address, made.vendor_id, made.device_id = spec.pci_address, "10de", "26b9"
        made.iommu_group = 7
        made.created_at.GetCurrentTime()
        self.devices[made.id] = made
        return answer

    def GetDevice(self, request, context):
        return message("hypeman.gpu.v1.GetDeviceResponse")(device=self.find(request.id, context))

    def ListDevices(self, request, context):
        return message("hypeman.gpu.v1.ListDevicesResponse")(devices=self.devices.values())

    def ListAvailableDevices(self, request, context):
        answer = message("hypeman.gpu.v1.ListAvailableDevicesResponse")()
        answer.devices.add(pci_address="0000:82:00.0", vendor_id="10de", device_id="26b9",
                           vendor_name="NVIDIA Corporation", device_name="NVIDIA L40S",
                           iommu_group=7)
        answer.devices.add(pci_address="0000:83:00.0", current_driver="nvidia")
        return answer

    def UnregisterDevice(self, request, context):
        del self.devices[self.find(request.id, context).id]
        return message("hypeman.gpu.v1.UnregisterDeviceResponse")()


class Images:
    service = "hypeman.image.v1.ImageService"

    def __init__(self):
        self.images = {}

    def find(self, name, context):
        if name not in self.images:
            refuse(context, "not_found", 5, f"no image '{name}'")
        return self.images[name]

    def CreateImage(self, request, context):
        name = request.image.name
        made = message("hypeman.image.v1.Image")(name=name, status=1, queue_position=1)
        made.created_at.GetCurrentTime()
        self.images[name] = made
        return message("hypeman.image.v1.CreateImageResponse")(image=made)

    def GetImage(self, request, context):
        return message("hypeman.image.v1.GetImageResponse")(
            image=self.find(request.name, context))

    def ListImages(self, request, context):
        return message("hypeman.image.v1.ListImagesResponse")(images=self.images.values())

    def DeleteImage(self, request, context):
        del self.images[self.find(request.name, context).name]
        return message("hypeman.image.v1.DeleteImageResponse")()


class Volumes:
    service = "hypeman.volume.v1.VolumeService"

    def __init__(self):
        self.volumes = {}
        self.requests = Requests()

    def find(self, wanted, context):
        for volume in self.volumes.values():
            if wanted in (volume.id, volume.name):
                return volume
        refuse(context, "not_found", 5, f"no volume '{wanted}'")

    def CreateVolume(self, request, context):
        known = self.requests.find(request, context)
        if known:
            return known
        spec = request.volume
        made = message("hypeman.volume.v1.Volume")(id=spec.id or uuid.uuid4().hex[:24],
                                                   name=spec.name, size_gb=spec.size_gb)
        made.created_at.GetCurrentTime()
        self.volumes[made.id] = made
        return self.requests.keep(
            request, message("hypeman.volume.v1.CreateVolumeResponse")(volume=made))

    def GetVolume(self, request, context):
        return message("hypeman.volume.v1.GetVolumeResponse")(
            volume=self.find(request.id, context))

    def ListVolumes(self, request, context):
        return message("hypeman.volume.v1.ListVolumesResponse")(volumes=self.volumes.values())

    def DeleteVolume(self, request, context):
        del self.volumes[self.find(request.id, context).id]
        return message("hypeman.volume.v1.DeleteVolumeResponse")()


class Requests:
    """Answers by request_id."""

    def __init__(self):
        self.known = {}

    def find(self, request, context):
        if not request.request_id:
            return None
        body, answer = self.known.get(request.request_id, (None, None))
        if body and body != request.SerializeToString():
            refuse(context, "request_id_reused", 6, "the request_id was used for another request")
        return answer

    def keep(self, request, answer):
        self.known[request.request_id] = (request.SerializeToString(), answer)
        return answer


class Instances:
    service = "hypeman.instance.v1.InstanceService"

    def __init__(self, control):
        self.control = control
        self.lock = threading.Lock()
        self.instances = {}
        self.requests = Requests()
        self.streams = 0
        self.start = f"{time.time_ns() // 1000000:013}"
        self.events = []

    def find(self, wanted, context):
        for instance in self.instances.values():
            if wanted in (instance.id, instance.name):
                return instance
        refuse(context, "instance_not_found", 5, f"no instance '{wanted}'")

    def CreateInstance(self, request, context):
        known = self.requests.find(request, context)
        if known:
            return known
        spec = request.instance
        words = spec.image.split(":")
        if words[0] == "refuse":
            refuse(context, words[1], int(words[2]), f"refused: \"{spec.name}\"",
                   [("size_locked", "0000:41:00.0", "only 1024 MiB profiles fit")])
        if words[0] == "sleep":
            time.sleep(float(words[1]))
        answer = message("hypeman.instance.v1.CreateInstanceResponse")()
        made = answer.instance
        made.id = uuid.uuid4().hex[:24]
        made.name, made.image, made.state = spec.name, spec.image, 2
        made.created_at.GetCurrentTime()
        made.size, made.overlay_size = spec.size or "1GB", spec.overlay_size or "10GB"
        made.vcpus = spec.vcpus if spec.WhichOneof("vcpus_opt") else 2
        made.env.update(spec.env)
        made.network.enabled = True
        made.hypervisor = "qemu"
        made.principal = request.principal
        if spec.HasField("gpu"):
            made.gpu.profile = spec.gpu.profile
            made.gpu.mdev_uuid = str(uuid.uuid4())
            made.gpu.framebuffer_mb = 1024
        with self.lock:
            self.instances[made.id] = made
            self.publish("instance.created", made)
        return self.requests.keep(request, answer)

    def publish(self, kind, instance):
        event = message("hypeman.instance.v1.Event")(
            id=f"{self.start}-{len(self.events) + 1:06}", type=kind, instance_id=instance.id,
            instance_name=instance.name, state=instance.state)
        event.time.GetCurrentTime()
        self.events.append(event)

    def WatchEvents(self, request, context):
        """As the real one, but that it forgets nothing until it ends."""
        answer = message("hypeman.instance.v1.WatchEventsResponse")
        start, _, number = request.after.partition("-")
        next_one = len(self.events)
        lost = False
        if request.after:
            if not start.isdigit() or not number.isdigit():
                refuse(context, "invalid_argument", 3, "after is no id")
            next_one = int(number)
            if start != self.start:
                next_one, lost = 0, True
        yield answer()
        if lost:
            yield answer(event={"id": f"{self.start}-{0:06}", "type": "events.lost"})
        self.count(1)
        try:
            while context.is_active():
                for event in self.events[next_one:]:
                    yield answer(event=event)
                    next_one += 1
                time.sleep(0.02)
        finally:
            self.count(-1)

    def become(self, request, context, state, *wanted):
        """Answers the instance in a new state, or refuses it in another than those wanted."""
        with self.lock:
            instance = self.find(request.id, context)
            if instance.state not in wanted:
                refuse(context, "wrong_state", 9, f"{instance.name} is in state {instance.state}")
            instance.state = state
            self.publish("instance.state", instance)
            return instance

    def StopInstance(self, request, context):
        return message("hypeman.instance.v1.StopInstanceResponse")(
            instance=self.become(request, context, 6, 2, 3, 6))

    def StartInstance(self, request, context):
        instance = self.become(request, context, 2, 6)
        instance.exit_message = " ".join([*request.options.entrypoint, *request.options.cmd])
        return message("hypeman.instance.v1.StartInstanceResponse")(instance=instance)

    def StandbyInstance(self, request, context):
        return message("hypeman.instance.v1.StandbyInstanceResponse")(
            instance=self.become(request, context, 7, 2, 3))

    def RestoreInstance(self, request, context):
        return message("hypeman.instance.v1.RestoreInstanceResponse")(
            instance=self.become(request, context, 3, 7))

    def WaitInstance(self, request, context):
        instance = self.find(request.id, context)
        if not request.state:
            refuse(context, "invalid_argument", 3, "state is missing")
        end = time.time() + float((request.timeout or "60s").rstrip("s"))
        self.count(1)
        try:
            while instance.state != request.state and context.is_active() and time.time() < end:
                time.sleep(0.02)
        finally:
            self.count(-1)
        return message("hypeman.instance.v1.WaitInstanceResponse")(
            state=instance.state, timed_out=instance.state != request.state)

    def GetInstanceStats(self, request, context):
        instance = self.find(request.id, context)
        return message("hypeman.instance.v1.GetInstanceStatsResponse")(
            stats={"instance_id": instance.id, "instance_name": instance.name,
                   "allocated_vcpus": 2, "cpu_seconds": 1.5, "memory_rss_bytes": 2**33})

    def StatPath(self, request, context):
        self.find(request.id, context)
        answer = message("hypeman.instance.v1.StatPathResponse")()
        answer.info.exists = request.path == "/etc/a b"
        if answer.info.exists:
            answer.info.is_symlink = not request.follow_links
            answer.info.is_file = request.follow_links
            answer.info.mode = 0o644
        else:
            answer.info.error = "No such file or directory"
        return answer

    def Exec(self, requests, context):
        start = next(requests).start
        self.find(start.id, context)
        self.count(1)
        try:
            yield from self.run(start, requests, context)
        finally:
            self.count(-1)

    def run(self, start, requests, context):
        answer = message("hypeman.instance.v1.ExecResponse")
        name, *arguments = start.command or [""]
        if name == "show":  # how it was started
            yield answer(stdout=json_format.MessageToJson(
                start, preserving_proto_field_name=True).encode())
        elif name == "cat":
            for request in requests:
                if request.WhichOneof("kind") == "resize":
                    yield answer(stderr=b"%dx%d" % (request.resize.rows, request.resize.cols))
                elif request.stdin_end:
                    break
                else:
                    yield answer(stdout=request.stdin)
        elif name == "count":  # input, and the largest piece of it
            sizes = []
            for request in requests:
                if request.stdin_end:
                    break
                sizes.append(len(request.stdin))
            yield answer(stdout=b"%d %d" % (sum(sizes), max(sizes)))
        elif name == "sleep":  # reads nothing
            while context.is_active():
                time.sleep(0.05)
        elif name == "flood":  # as much as is taken
            number = 0
            while context.is_active():
                number += 1
                with open(f"{self.control}/flood", "w") as f:
                    f.write(str(number))
                yield answer(stdout=b"%-32768d" % number)
        elif name == "refuse":
            refuse(context, arguments[0], int(arguments[1]), "refused: " + arguments[0])
        if name != "vanish":
            yield answer(exit={"exit_code": 3 if name == "fail" else 0,
                               "error": "no such file" if name == "fail" else ""})

    def AttachVolume(self, request, context):
        instance = self.find(request.id, context)
        instance.volumes.add(volume_id=request.volume_id,
                             mount_path=request.attachment.mount_path,
                             readonly=request.attachment.readonly)
        return message("hypeman.instance.v1.AttachVolumeResponse")(instance=instance)

    def DetachVolume(self, request, context):
        instance = self.find(request.id, context)
        kept = [v for v in instance.volumes if v.volume_id != request.volume_id]
        del instance.volumes[:]
        instance.volumes.extend(kept)
        return message("hypeman.instance.v1.DetachVolumeResponse")(instance=instance)

    def GetInstance(self, request, context):
        with self.lock:
            return message("hypeman.instance.v1.GetInstanceResponse")(
                instance=self.find(request.id, context))

    def ListInstances(self, request, context):
        """Pages of two, so that a short list has several."""
        with self.lock:
            found = [i for i in self.instances.values()
                     if request.state in (0, i.state)]
        first = int(request.page_token or 0)
        answer = message("hypeman.instance.v1.ListInstancesResponse")(
            instances=found[first:first + 2])
        if first + 2 < len(found):
            answer.next_page_token = str(first + 2)
        return answer

    def DeleteInstance(self, request, context):
        with self.lock:
            del self.instances[self.find(request.id, context).id]
        return message("hypeman.instance.v1.DeleteInstanceResponse")()

    def count(self, change):
        with self.lock:
            self.streams += change
            with open(f"{self.control}/streams.new", "w") as f:
                f.write(str(self.streams))
            os.rename(f"{self.control}/streams.new", f"{self.control}/streams")

    def StreamLogs(self, request, context):
        line = message("hypeman.instance.v1.StreamLogsResponse")
        with self.lock:
            name = self.find(request.id, context).name
        source = ("app", "app", "vmm", "hypeman")[request.source]
        tail = request.tail if request.WhichOneof("tail_opt") else 100
        self.count(1)
        try:
            if not name.startswith("quiet-"):
                for i in range(3 - min(3, tail), 3):
                    yield line(line=f"{source} line {i} \"quoted\" \\ \u20ac \t end")
            if name.startswith("broken-"):
                refuse(context, "device_not_responding", 14, "the log is gone")
            number = 0
            while request.follow and context.is_active():
                if not name.startswith("quiet-"):
                    pad = "x" * 8000 if name.startswith("endless-") else ""
                    yield line(line=f"tick {number}{pad}")
                number += 1
                time.sleep(0 if name.startswith("endless-") else 0.1)
        finally:
            self.count(-1)

    def GetResources(self, request, context):
        answer = message("hypeman.instance.v1.GetResourcesResponse")()
        answer.cpu.type, answer.cpu.capacity, answer.cpu.oversub_ratio = "cpu", 16, 1.5
        answer.memory.type, answer.memory.capacity = "memory", 2**40
        answer.disk.type = "disk"
        answer.network.type = "network"
        answer.disk_breakdown.images_bytes = 7
        with self.lock:
            for instance in self.instances.values():
                answer.allocations.add(instance_id=instance.id, cpu=instance.vcpus)
        return answer


class Health:
    service = "grpc.health.v1.Health"

    def Check(self, request, context):
        return message("grpc.health.v1.HealthCheckResponse")(status=1)


def handlers(servicer):
    service = POOL.FindServiceByName(servicer.service)
    methods = {}
    for method in service.methods:
        if not hasattr(servicer, method.name):
            continue
        request, answer = message(method.input_type.full_name), message(method.output_type.full_name)
        make = {"StreamLogs": grpc.unary_stream_rpc_method_handler,
                "WatchEvents": grpc.unary_stream_rpc_method_handler,
                "WatchHost": grpc.unary_stream_rpc_method_handler,
                "Exec": grpc.stream_stream_rpc_method_handler}.get(
                    method.name, grpc.unary_unary_rpc_method_handler)
        methods[method.name] = make(getattr(servicer, method.name),
                                    request_deserializer=request.FromString,
                                    response_serializer=answer.SerializeToString)
    return grpc.method_handlers_generic_handler(servicer.service, methods)


def main():
    kind, socket, build, control = sys.argv[1:]
    for name in ("gpu_proto", "instance_proto", "rpc_proto"):
        load(build, name)
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(max_workers=64))
    servicers = [Gpu(control)] if kind == "gpu" else [Instances(control), Images(), Volumes()]
    server.add_generic_rpc_handlers([handlers(s) for s in (*servicers, Health())])
    server.add_insecure_port(f"unix:{socket}")
    server.start()
    print("ready", flush=True)
    server.wait_for_termination()


main()

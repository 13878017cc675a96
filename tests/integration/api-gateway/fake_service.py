#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A stand-in for gpu-agent or instance-svc, on a Unix socket, with grpcio.

usage: fake_service.py gpu|instance SOCKET BUILD_DIR CONTROL_DIR

It reads the protocol from the build's descriptor sets. Files in CONTROL_DIR steer it:
`no-gpu` (the host has none), and it keeps the number of open log streams in `streams`.

An instance's image steers what becomes of its creation: "refuse:WORD:CODE" fails with
that ErrorInfo, "sleep:SECONDS" takes its time. Its name steers its log: "quiet-..." has
no lines when followed, "broken-..." fails after the first, "endless-..." never pauses.
"""

import concurrent.futures
import os
import sys
import threading
import time
import uuid

import grpc
from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, message_factory

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

    def GetHost(self, request, context):
        answer = message("hypeman.gpu.v1.GetHostResponse")(generation=2**63)
        if not os.path.exists(f"{self.control}/no-gpu"):
            gpu = answer.gpu
            gpu.mode = 1
            gpu.total_slots = 64
            gpu.used_slots = 5
            gpu.profiles.add(name="L40S-1Q", framebuffer_mb=1024, available=59)
            gpu.profiles.add(name="L40S-2Q", framebuffer_mb=2048, available=30)
        return answer


class Instances:
    service = "hypeman.instance.v1.InstanceService"

    def __init__(self, control):
        self.control = control
        self.lock = threading.Lock()
        self.instances = {}
        self.streams = 0

    def find(self, wanted, context):
        for instance in self.instances.values():
            if wanted in (instance.id, instance.name):
                return instance
        refuse(context, "instance_not_found", 5, f"no instance '{wanted}'")

    def CreateInstance(self, request, context):
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
        if spec.HasField("gpu"):
            made.gpu.profile = spec.gpu.profile
            made.gpu.mdev_uuid = str(uuid.uuid4())
            made.gpu.framebuffer_mb = 1024
        with self.lock:
            self.instances[made.id] = made
        return answer

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
        streamed = method.name in ("StreamLogs", "Watch")
        make = (grpc.unary_stream_rpc_method_handler if streamed
                else grpc.unary_unary_rpc_method_handler)
        methods[method.name] = make(getattr(servicer, method.name),
                                    request_deserializer=request.FromString,
                                    response_serializer=answer.SerializeToString)
    return grpc.method_handlers_generic_handler(servicer.service, methods)


def main():
    kind, socket, build, control = sys.argv[1:]
    for name in ("gpu_proto", "instance_proto", "rpc_proto"):
        load(build, name)
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(max_workers=64))
    servicer = Gpu(control) if kind == "gpu" else Instances(control)
    server.add_generic_rpc_handlers((handlers(servicer), handlers(Health())))
    server.add_insecure_port(f"unix:{socket}")
    server.start()
    print("ready", flush=True)
    server.wait_for_termination()


main()

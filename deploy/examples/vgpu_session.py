#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Watches a host, takes a vGPU, holds it, releases it. See README.md beside it."""

import argparse
import os
import sys
import threading
import time
import uuid

import google
import grpc

SERVICE = "/hypeman.gpu.v1.GpuService/"
ATTEMPTS = 5


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stubs", required=True, help="what protoc --python_out made")
    parser.add_argument("--socket", help="gpu-agent's Unix socket")
    parser.add_argument("--address", help="or its TLS address, HOST:PORT")
    parser.add_argument("--ca", help="who may vouch for the agent, PEM")
    parser.add_argument("--cert", help="our certificate, PEM")
    parser.add_argument("--key", help="its key, PEM")
    parser.add_argument("--profile", help="vGPU to take, L40S-1Q")
    parser.add_argument("--gid", type=int, help="group that may open its node")
    parser.add_argument("--hold", type=float, default=5, help="seconds")
    arguments = parser.parse_args()
    if bool(arguments.socket) == bool(arguments.address):
        parser.error("one of --socket and --address is needed")
    if arguments.address and not (arguments.ca and arguments.cert and arguments.key):
        parser.error("--address needs --ca, --cert and --key")
    if arguments.profile and arguments.gid is None:
        parser.error("--profile needs --gid")
    return arguments


def read(path):
    with open(path, "rb") as file:
        return file.read()


def connect(arguments):
    if arguments.socket:
        return grpc.insecure_channel(f"unix:{arguments.socket}")
    return grpc.secure_channel(arguments.address, grpc.ssl_channel_credentials(
        read(arguments.ca), read(arguments.key), read(arguments.cert)))


class Agent:
    """The methods this program needs, without generated service code."""

    def __init__(self, channel, pb):
        self.channel, self.pb = channel, pb

    def call(self, method, request, timeout=20):
        return self.channel.unary_unary(
            SERVICE + method, request_serializer=type(request).SerializeToString,
            response_deserializer=getattr(self.pb, method + "Response").FromString,
        )(request, timeout=timeout)

    def watch(self):
        return self.channel.unary_stream(
            SERVICE + "WatchHost",
            request_serializer=self.pb.WatchHostRequest.SerializeToString,
            response_deserializer=self.pb.WatchHostResponse.FromString,
        )(self.pb.WatchHostRequest())


def reason_of(error):
    """The ErrorInfo's reason, "insufficient_capacity"; '' when there is none."""
    from google.rpc import error_details_pb2, status_pb2

    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            for detail in status_pb2.Status.FromString(value).details:
                info = error_details_pb2.ErrorInfo()
                if detail.Unpack(info):
                    return info.reason
    return ""


def print_changes(agent, profile):
    """Prints a line for each state, until the connection ends."""
    try:
        for message in agent.watch():
            gpu = message.host.gpu
            left = [p.available for p in gpu.profiles if p.name == profile]
            print(f"generation {message.host.generation}: {gpu.used_slots} of {gpu.total_slots} "
                  f"slots used" + (f", {left[0]} more {profile}" if left else ""), flush=True)
    except grpc.RpcError as error:
        if error.code() != grpc.StatusCode.CANCELLED:
            print(f"the watch has ended: {error.details()}", file=sys.stderr)


def forget_earlier_runs(agent):
    """This program remembers nothing from one run to the next, and says so."""
    listed = agent.call("ListAllocations", agent.pb.ListAllocationsRequest())
    answer = agent.call("SyncAllocations", agent.pb.SyncAllocationsRequest(
        revision=listed.revision, knows_nothing=True))
    for name in answer.released_ids:
        print(f"released {name}, which an earlier run left", flush=True)


def new_request(pb, profile, gid):
    return pb.CreateAllocationRequest(
        request_id=str(uuid.uuid4()), owner=f"{os.path.basename(sys.argv[0])} {os.getpid()}",
        grant_gid=gid, vgpu=pb.VgpuRequest(profile=profile))


def is_unanswered(error):
    """Whether the call has worked is not known: the same request_id tells."""
    return error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)


def allocate(agent, request):
    """The allocation, or the last attempt's grpc.RpcError."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return agent.call("CreateAllocation", request).allocation
        except grpc.RpcError as error:
            if not is_unanswered(error) or attempt == ATTEMPTS:
                raise
            time.sleep(attempt)


def load_stubs(folder):
    sys.path.insert(0, folder)
    google.__path__.append(os.path.join(folder, "google"))
    from hypeman.gpu.v1 import gpu_service_pb2

    return gpu_service_pb2


def main():
    arguments = parse_arguments()
    pb = load_stubs(arguments.stubs)
    with connect(arguments) as channel:
        agent = Agent(channel, pb)
        if not arguments.profile:
            print(agent.call("GetHost", pb.GetHostRequest()))
            return
        threading.Thread(target=print_changes, args=(agent, arguments.profile),
                         daemon=True).start()
        forget_earlier_runs(agent)
        try:
            allocation = allocate(agent, new_request(pb, arguments.profile, arguments.gid))
        except grpc.RpcError as error:
            sys.exit(f"no {arguments.profile}: {error.details()} ({reason_of(error)})")
        print(f"got {allocation.id}: {allocation.device_node} on {allocation.gpu_pci_address}, "
              f"for QEMU sysfsdev={allocation.sysfs_path}", flush=True)
        time.sleep(arguments.hold)
        agent.call("DeleteAllocation", pb.DeleteAllocationRequest(allocation_id=allocation.id))
        print("released it", flush=True)
        time.sleep(0.5)  # for the watch's last line


if __name__ == "__main__":
    main()

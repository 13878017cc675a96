#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Spreads vGPUs over several hosts by mutual TLS. See README.md beside it."""

import argparse
import sys
import threading
import time

import grpc

sys.dont_write_bytecode = True
from vgpu_session import Agent, allocate, is_unanswered, load_stubs, new_request, read, reason_of

RECONNECT_S = 1


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stubs", required=True, help="what protoc --python_out made")
    parser.add_argument("--agent", required=True, action="append", help="HOST:PORT, repeated")
    parser.add_argument("--ca", required=True, help="who may vouch for the agents, PEM")
    parser.add_argument("--cert", required=True, help="our certificate, PEM")
    parser.add_argument("--key", required=True, help="its key, PEM")
    parser.add_argument("--profile", default="L40S-1Q", help="vGPU to take")
    parser.add_argument("--count", type=int, default=4, help="how many")
    parser.add_argument("--gid", type=int, required=True, help="group that may open the nodes")
    parser.add_argument("--hold", type=float, default=2, help="seconds")
    return parser.parse_args()


class Host:
    """One agent. Its watch is also how it is known to be there."""

    def __init__(self, address, credentials, pb):
        self.address = address
        # A host without power says nothing: ask it from time to time.
        self.channel = grpc.secure_channel(address, credentials, [
            ("grpc.keepalive_time_ms", 10000), ("grpc.keepalive_timeout_ms", 5000),
            ("grpc.http2.max_pings_without_data", 0)])
        self.agent = Agent(self.channel, pb)
        self.state = None    # the latest GetHostResponse; None: not connected
        self.problem = "no answer yet"  # why it is not
        self.held = {}       # id -> allocation that we use
        self.unanswered = [] # creates of which we do not know what became
        self.changed = threading.Condition()
        threading.Thread(target=self.follow, daemon=True).start()

    def room(self, profile):
        """How many more creates would succeed; 0 for a host that is away."""
        if self.state is None:
            return 0
        return sum(p.available for p in self.state.gpu.profiles if p.name == profile)

    def follow(self):
        while True:
            try:
                messages = self.agent.watch()
                for message in messages:
                    if self.state is None:
                        self.settle()
                    self.note(message.host)
            except grpc.RpcError as error:
                if error.code() == grpc.StatusCode.CANCELLED:
                    return
                self.problem = error.details()
                if self.state is not None:
                    print(f"{self.address} is away: {self.problem}", flush=True)
            self.note(None)
            time.sleep(RECONNECT_S)

    def note(self, state):
        with self.changed:
            self.state = state
            self.changed.notify_all()

    def settle(self):
        """
        Claims what we use there, and the agent releases the rest: what an earlier run left,
        and what unanswered calls have made. Those are asked again first, so that they are
        over. Nobody else calls this host meanwhile, since `state` is None until it is done.
        """
        pb = self.agent.pb
        while self.unanswered:
            try:
                self.agent.call("CreateAllocation", self.unanswered[-1])
            except grpc.RpcError as error:
                if is_unanswered(error):
                    raise
            self.unanswered.pop()
        listed = self.agent.call("ListAllocations", pb.ListAllocationsRequest())
        answer = self.agent.call("SyncAllocations", pb.SyncAllocationsRequest(
            revision=listed.revision, allocation_ids=self.held, knows_nothing=not self.held))
        for name in answer.released_ids:
            print(f"{self.address} had {name}, which nobody uses: released", flush=True)
        for name in answer.missing_ids:
            print(f"{self.address} has lost {name}", flush=True)
            self.held.pop(name)

    def take(self, request):
        try:
            allocation = allocate(self.agent, request)
        except grpc.RpcError as error:
            if is_unanswered(error):
                self.unanswered.append(request)
                self.note(None)  # no room, until settle() has asked
            raise
        self.held[allocation.id] = allocation
        return allocation

    def release(self, name):
        self.agent.call("DeleteAllocation",
                        self.agent.pb.DeleteAllocationRequest(allocation_id=name))
        self.held.pop(name)


def place(hosts, pb, profile, gid):
    """A vGPU on the host with the most room. What is shown may be old: the create decides."""
    refusals = []
    candidates = sorted(hosts, key=lambda host: -host.room(profile))
    for host in candidates:
        try:
            return host, host.take(new_request(pb, profile, gid))
        except grpc.RpcError as error:
            refusals.append(f"{host.address}: {error.details()} ({reason_of(error)})")
            if reason_of(error) != "insufficient_capacity" and not is_unanswered(error):
                break  # another host would say the same
    sys.exit(f"no {profile} anywhere:\n  " + "\n  ".join(refusals))


def main():
    arguments = parse_arguments()
    pb = load_stubs(arguments.stubs)
    credentials = grpc.ssl_channel_credentials(read(arguments.ca), read(arguments.key),
                                               read(arguments.cert))
    hosts = [Host(address, credentials, pb) for address in arguments.agent]
    for host in hosts:
        with host.changed:
            there = host.changed.wait_for(lambda: host.state is not None, timeout=20)
        print(f"{host.address}: {host.room(arguments.profile)} {arguments.profile} can be had"
              if there else f"{host.address} is away: {host.problem}", flush=True)
    try:
        for number in range(1, arguments.count + 1):
            host, allocation = place(hosts, pb, arguments.profile, arguments.gid)
            print(f"{number}: {allocation.device_node} on {host.address}, GPU "
                  f"{allocation.gpu_pci_address}, {allocation.id}", flush=True)
        time.sleep(arguments.hold)
    finally:
        for host in hosts:
            count = len(host.held)
            for name in list(host.held):
                host.release(name)
            print(f"{host.address}: {count} released", flush=True)
            host.channel.close()


if __name__ == "__main__":
    main()

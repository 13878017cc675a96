# SPDX-License-Identifier: Apache-2.0
"""kill -9 of instance-svc at random moments of an operation; after each restart everything is
compared with everything: records, processes, disks, sockets, and the agent's allocations."""

import collections
import os
import random
import statistics
import threading
import time

import grpc
from svc import check, wait_for

SETTLED = ("RUNNING", "STOPPED")
SETTLE_S = 120


class Moments:
    """One instance with a vGPU that is made, stopped, started and deleted for ever."""

    def __init__(self, svc, image, seed):
        self.svc = svc
        self.image = image
        self.random = random.Random(seed)
        self.number = 0
        self.typical = collections.defaultdict(lambda: 1.0)  # seconds that an operation takes
        self.recoveries = []
        self.killed_in = collections.Counter()
        self.wrong = []

    def state(self):
        """Of the one instance there is; None: there is none."""
        found = self.svc.list()
        return self.svc.instance.InstanceState.Name(found[0].state)[len("INSTANCE_STATE_"):] \
            if found else None

    def choose(self):
        return {None: ["create"], "RUNNING": ["stop", "stop", "delete"],
                "STOPPED": ["start", "start", "delete"]}[self.state()]

    def operate(self, operation):
        name = f"victim-{self.number}"
        if operation == "create":
            self.number += 1
            self.svc.create(f"victim-{self.number}", self.image, gpu="L40S-1Q", network=False,
                            size="128MB")
            return
        {"stop": lambda: self.svc.stop_instance(name, "200ms"),
         "start": lambda: self.svc.start_instance(name),
         "delete": lambda: self.svc.delete(name)}[operation]()

    def run_and_kill(self, operation):
        """The operation, and the end of the service somewhere in it."""
        began = time.monotonic()
        self.svc.client.waits = False  # that of the service which is killed; the next has its own

        def run():
            try:
                self.operate(operation)
                if operation in ("create", "start"):
                    wait_for(lambda: self.state() in SETTLED, 10)
                self.typical[operation] = 0.8 * self.typical[operation] + \
                    0.2 * min(3.0, time.monotonic() - began)
            except grpc.RpcError:
                self.killed_in[operation] += 1
        thread = threading.Thread(target=run)
        thread.start()
        time.sleep(self.random.uniform(0, self.typical[operation]))
        self.svc.kill()
        thread.join()
        began = time.monotonic()
        self.svc.start()
        wait_for(lambda: self.state() in SETTLED + (None,) and not self.difference(), SETTLE_S)
        self.recoveries.append(time.monotonic() - began)

    def difference(self):
        """What does not fit together; empty: all does."""
        svc = self.svc
        instances = {i.id: i for i in svc.list()}
        running = [i for i in instances.values()
                   if i.state == svc.instance.INSTANCE_STATE_RUNNING]
        vms = sorted(line[line.index("-name") + 1]
                     for _, _, line in svc.find_process("qemu-system-x86_64"))
        sockets = {name.split(".")[0] for name in os.listdir(svc.run + "/vm")}
        found = []
        if vms != sorted(i.name for i in running):
            found.append(("VMs", vms, [i.name for i in running]))
        if not running and svc.vm_processes():
            found.append(("processes", svc.vm_processes()))
        if set(svc.agent.live) != {i.gpu.mdev_uuid for i in running}:
            found.append(("vGPUs", list(svc.agent.live), running))
        if set(svc.instance_folders()) != set(instances):
            found.append(("folders", svc.instance_folders(), list(instances)))
        if not sockets <= set(instances):
            found.append(("sockets", sockets, list(instances)))
        return found

    def lasting_difference(self):
        """What is found twice: a deletion may just go on behind the restart."""
        end = time.monotonic() + 30
        while True:
            first = self.difference()
            time.sleep(0.5)
            second = self.difference()
            if not first and not second or time.monotonic() > end:
                return second

    def campaign(self, count):
        for i in range(count):
            operation = self.random.choice(self.choose())
            self.run_and_kill(operation)
            wrong = self.lasting_difference()
            if wrong or self.state() not in SETTLED + (None,):
                self.wrong.append((i, operation, self.state(), wrong))
                check(False, f"moment {i}, {operation}: all fits together", self.wrong[-1])
                break
        if self.state():
            self.svc.delete(f"victim-{self.number}")
        recoveries = sorted(self.recoveries)
        print(f"# {len(recoveries)} moments, of which the call was cut off in "
              f"{sum(self.killed_in.values())}: {dict(self.killed_in)}; "
              f"restart until all fits: median {statistics.median(recoveries):.2f} s, "
              f"worst {recoveries[-1]:.2f} s; {self.number} instances", flush=True)
        check(not self.wrong, f"after each of {len(recoveries)} kills the records match the "
              "processes, the disks and the vGPUs", self.wrong)
        svc = self.svc
        check(wait_for(lambda: not svc.vm_processes() and not svc.agent.live and
                       not svc.instance_folders() and not os.listdir(svc.run + "/vm"), 30),
              "and nothing is left at the end",
              (svc.vm_processes(), svc.agent.live, svc.instance_folders()))

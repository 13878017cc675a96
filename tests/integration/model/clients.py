# SPDX-License-Identifier: Apache-2.0
"""The processes of the model test: those that write, each its own registers, and those that read
all of them."""

import json
import random
import time

from answers import PATHS, PROFILE, Http, Look
from model import ABSENT, Overrun

LEAD = 0.01  # how far reads may be before writes, and writes before reads
# Shares of reads, in percent.
READS = (("resources", 20), ("instance", 30), ("instance by id", 10), ("instances", 10),
         ("volume", 12), ("volumes", 5), ("device", 6), ("devices", 4), ("nothing", 3))
# Shares of writes.
WRITES = (("instance", 40), ("volume", 40), ("device", 10), ("refused", 10))


def draw(shares, rng):
    return rng.choices([name for name, _ in shares], [share for _, share in shares])[0]


class Pace:
    """Reads and writes go on side by side to the end."""

    def __init__(self, counters, mine, others, total, others_total):
        self.counters, self.mine, self.others = counters, mine, others
        self.total, self.others_total = total, others_total

    def share(self, processes, total):
        return sum(self.counters.done[i] for i in processes) / total if total else 1

    def wait(self):
        while self.share(self.mine, self.total) > LEAD + self.share(self.others,
                                                                     self.others_total):
            time.sleep(0.002)


class Reader:
    def __init__(self, model, counters, port, empty, seed):
        self.model, self.counters, self.empty = model, counters, empty
        self.http, self.rng = Http(port), random.Random(seed)
        self.kinds, self.shares = [n for n, _ in READS], [s for _, s in READS]

    def run(self, index, count, pace):
        while self.counters.done[index] < count:
            if self.counters.done[index] % 64 == 0:
                pace.wait()
            what = self.rng.choices(self.kinds, self.shares)[0]
            try:
                wrong = self.read(what)
            except Overrun:
                continue  # again: it was not checked
            if wrong:
                self.counters.fail(f"GET {what}: {wrong}")
            self.counters.done[index] += 1

    def read(self, what):
        model = self.model
        if what == "resources":
            look = Look(model, ["instance"])
            wrong = look.resources(*self.http.get("/resources"), self.empty)
            self.counters.count_spread(look.spread)
            return wrong
        if what == "nothing":
            status, body = self.http.get(self.rng.choice(list(PATHS.values())) + "/nobody")
            return "" if status == 404 and b"_not_found" in body else f"{status} {body[:300]}"
        kind = what.split()[0].rstrip("s")
        look = Look(model, [kind])
        if what.endswith("s"):
            return look.all(kind, *self.http.get(PATHS[kind]))
        key = self.rng.choice(model.of_kind[kind])
        views = look.views(key)
        if what.endswith("by id") and views[0] and views[0]["id"]:
            wanted = views[0]["id"]
            return look.one(kind, key, *self.http.get(f"{PATHS[kind]}/{wanted}"), wanted)
        return look.one(kind, key, *self.http.get(f"{PATHS[kind]}/{model.keys[key][1]}"))


class Writer:
    """Owns the registers `keys`, of which the first is an instance that is never made."""

    def __init__(self, model, counters, port, keys, seed):
        self.model, self.counters, self.keys = model, counters, keys
        self.http, self.rng = Http(port), random.Random(seed)
        self.view = {key: None for key in keys}
        self.made = 0

    def run(self, index, count, pace):
        for _ in range(count):
            pace.wait()
            self.write()
            self.counters.done[index] += 1
        for key in self.keys:
            if self.view[key]:
                self.delete(key, self.model.keys[key][0])

    def write(self):
        what = draw(WRITES, self.rng)
        mine = [key for key in self.keys[1:] if self.model.keys[key][0] == what]
        if what == "refused":
            return self.refused()
        if not mine:  # there is one device only
            what = "volume"
            mine = [key for key in self.keys[1:] if self.model.keys[key][0] == what]
        key = self.rng.choice(mine)
        if what == "instance":
            self.change_instance(key)
        elif self.view[key]:
            self.delete(key, what)
        else:
            self.create(key, what)

    def send(self, method, path, body, status):
        """The answer's object; a status that is not expected is a failure of the test."""
        got, answer = self.http.request(method, path, body)
        if got != status:
            self.counters.fail(f"{method} {path} {body}: {got} {answer[:600]}")
            raise SystemExit(1)
        return json.loads(answer) if answer else None

    def path(self, key):
        kind, name = self.model.keys[key]
        return f"{PATHS[kind]}/{name}"

    def body(self, kind, name):
        self.made += 1
        return {"volume": {"name": name, "size_gb": 1},
                "device": {"name": name, "pci_address": "0000:82:00.0"},
                "instance": {"name": name, "image": "demo", "vcpus": 1, "size": "128MB",
                             "overlay_size": "256MB", "network": {"enabled": False},
                             "env": {"MADE": str(self.made)},
                             "gpu": {"profile": PROFILE}}}[kind]

    def settle(self, key, view):
        self.view[key] = view
        self.model.publish(key, [view])

    def create(self, key, kind):
        body = self.body(kind, self.model.keys[key][1])
        self.model.publish(key, [None, {"id": None}])
        made = self.send("POST", PATHS[kind], body, 201)
        self.settle(key, {"id": made["id"]})

    def delete(self, key, kind):
        view = self.view[key]
        ending = [{**view, "state": state, "mdev": None, "slot": slot, "cpus": cpus}
                  for state, slot, cpus in (("Shutdown", 1, 1), ("Stopped", 0, 0))] \
            if kind == "instance" else []
        self.model.publish(key, [view, None, *ending])
        self.send("DELETE", self.path(key), None, 204)
        self.view[key] = None
        self.model.publish(key, ABSENT)

    def change_instance(self, key):
        view = self.view[key]
        if not view:
            self.create_instance(key)
        elif self.rng.random() < 0.4:
            self.delete(key, "instance")
        elif view["state"] == "Running":
            self.stop(key)
        else:
            self.start(key)

    def create_instance(self, key):
        body = self.body("instance", self.model.keys[key][1])
        view = {"id": None, "state": "Initializing", "mdev": None, "slot": 1, "cpus": 1,
                "env": body["env"]}
        self.model.publish(key, [None, view, {**view, "state": "Running"}])
        self.becomes_running(key, view, self.send("POST", "/instances", body, 201))

    def start(self, key):
        view = {**self.view[key], "state": "Initializing", "mdev": None, "slot": 1, "cpus": 1}
        self.model.publish(key, [self.view[key], view, {**view, "state": "Running"}])
        self.becomes_running(key, view, self.send("POST", self.path(key) + "/start", {}, 200))

    def becomes_running(self, key, view, answer):
        """From the answer on it is there with its vGPU, and runs when it was seen to."""
        view = {**view, "id": answer["id"], "mdev": answer["gpu"]["mdev_uuid"]}
        self.model.publish(key, [view, {**view, "state": "Running"}])
        end = time.monotonic() + 120
        while time.monotonic() < end:
            status, body = self.http.get(self.path(key))
            state = json.loads(body).get("state") if status == 200 else status
            if state == "Running":
                return self.settle(key, {**view, "state": "Running"})
            if state != "Initializing":
                break
            time.sleep(0.05)
        self.counters.fail(f"{self.model.keys[key][1]} does not run: {body[:600]}")
        raise SystemExit(1)

    def stop(self, key):
        view = self.view[key]
        stopped = {**view, "state": "Stopped", "mdev": "", "slot": 0, "cpus": 0}
        self.model.publish(key, [view, {**view, "state": "Shutdown", "mdev": None},
                                 {**stopped, "mdev": None}, stopped])
        answer = self.send("POST", self.path(key) + "/stop", None, 200)
        if answer["state"] != "Stopped":
            self.counters.fail(f"POST stop: {answer}")
        self.settle(key, stopped)

    def refused(self):
        """What must change nothing."""
        there = [key for key in self.keys if self.view[key]]
        if there and self.rng.random() < 0.7:
            key = self.rng.choice(there)
            kind, name = self.model.keys[key]
            self.send("POST", PATHS[kind], self.body(kind, name), 409)
        elif self.rng.random() < 0.5:
            self.refuse_instance()
        else:
            self.send("DELETE", "/volumes/nobody-has-this-name", None, 404)

    def refuse_instance(self):
        """It is never seen, but may take its share of the host until gpu-agent has refused."""
        key = self.keys[0]
        body = self.body("instance", self.model.keys[key][1])
        self.model.publish(key, [None, {"id": None, "state": "refused", "mdev": None, "slot": 0,
                                        "cpus": 1, "env": body["env"]}])
        self.send("POST", "/instances", {**body, "gpu": {"profile": "L40S-7Q"}}, 400)
        self.model.publish(key, ABSENT)

# SPDX-License-Identifier: Apache-2.0
"""Answers of the REST API against the model."""

import json
import socket

PATHS = {"instance": "/instances", "volume": "/volumes", "device": "/devices"}
PROFILE = "L40S-1Q"


class Http:
    """A connection that is kept."""

    def __init__(self, port):
        self.port = port
        self.socket = None

    def request(self, method, path, body=None):
        """(status, bytes)"""
        if not self.socket:
            self.socket = socket.create_connection(("127.0.0.1", self.port), timeout=120)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        data = b"" if body is None else json.dumps(body).encode()
        self.socket.sendall(b"%s %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s" % (
            method.encode(), path.encode(), len(data), data))
        return self.receive()

    def get(self, path):
        return self.request("GET", path)

    def receive(self):
        data = self.socket.recv(65536)
        while (end := data.find(b"\r\n\r\n")) < 0:
            data = self.more(data)
        head, body = data[:end], data[end + 4:]
        at = head.find(b"Content-Length: ")
        length = 0 if at < 0 else int(head[at + 16:].split(b"\r\n", 1)[0])
        while len(body) < length:
            body = self.more(body)
        if b"Connection: close" in head:
            self.socket.close()
            self.socket = None
        return int(head[9:12]), body

    def more(self, data):
        piece = self.socket.recv(1 << 20)
        if not piece:
            raise ConnectionError(f"the answer ends after {data[-200:]}")
        return data + piece


def fits(kind, view, answer):
    """Whether an answer's object is this view (not None) of a register."""
    if view["id"] not in (None, answer["id"]):
        return False
    if kind == "volume":
        return answer["size_gb"] == 1 and answer["attachments"] == []
    if kind == "device":
        return answer["pci_address"] == "0000:82:00.0" and answer["attached_to"] is None
    return (answer["state"] == view["state"] and answer["env"] == view["env"] and
            answer["vcpus"] == 1 and answer["size"] == "128MB" and
            answer["image"] == "docker.io/library/demo:latest" and
            answer["gpu"]["profile"] == PROFILE and
            view["mdev"] in (None, answer["gpu"].get("mdev_uuid", "")) and
            "state_error" not in answer)


class Look:
    """One read: what the registers hold from when it is made. `first` holds their versions."""

    def __init__(self, model, kinds):
        self.model = model
        self.first = model.now([key for kind in kinds for key in model.of_kind[kind]])
        self.spread = False  # GET /resources: the vGPUs are on more GPUs than they need

    def views(self, key):
        return self.model.views(key, self.first[key])

    def of(self, kind):
        return [self.views(key) for key in self.model.of_kind[kind]]

    def one(self, kind, key, status, body, wanted=None):
        """GET of one thing by its name, or by the id that is wanted. '' or what is wrong."""
        views = self.views(key)
        if status == 404:
            absent = any(v is None or wanted not in (None, v["id"]) for v in views)
            return "" if absent and b"_not_found" in body else f"404, but there are {views}"
        if status != 200:
            return f"status {status}: {body[:300]}"
        answer = json.loads(body)
        if any(v and fits(kind, v, answer) for v in views):
            return ""
        return f"{answer}, but there are {views}"

    def all(self, kind, status, body):
        """GET of the list."""
        if status != 200:
            return f"status {status}: {body[:300]}"
        listed = {answer["name"]: answer for answer in json.loads(body)}
        if len(listed) != len(json.loads(body)) or set(listed) - set(self.model.by_name[kind]):
            return f"names of {body[:1000]}"
        for name, key in self.model.by_name[kind].items():
            views, answer = self.views(key), listed.get(name)
            if answer is None and None not in views:
                return f"{name} is missing, but there are {views}"
            if answer and not any(v and fits(kind, v, answer) for v in views):
                return f"{answer}, but there are {views}"
        return ""

    def resources(self, status, body, empty):
        """GET /resources; `empty` is the answer when nothing was used."""
        if status != 200:
            return f"status {status}: {body[:300]}"
        answer = json.loads(body)
        views = self.of("instance")
        used, cpus = answer["gpu"]["used_slots"], answer["cpu"]["allocated"]
        for what, value in (("slot", used), ("cpus", cpus)):
            counts = [[v[what] if v else 0 for v in of] for of in views]
            least, most = sum(map(min, counts)), sum(map(max, counts))
            if not least <= value <= most:
                return f"{what} {value}, but it must be from {least} to {most}: {views}"
        expected = list(expected_gpus(empty["gpu"], used))
        if answer["gpu"] not in expected:
            return f"{answer['gpu']} with {used} slots used"
        self.spread = answer["gpu"] != expected[0]
        return self.allocations(answer["allocations"], views)

    def allocations(self, found, views):
        names = {allocation["instance_name"]: allocation for allocation in found}
        for key, of in zip(self.model.of_kind["instance"], views):
            allocation = names.pop(self.model.keys[key][1], None)
            if allocation is None and None not in of:
                return f"no allocation of {self.model.keys[key][1]}, but there are {of}"
            if allocation and not any(
                    v and v["state"] != "refused" and v["id"] in (None, allocation["instance_id"]) and
                    v["cpus"] == allocation["cpu"] and
                    v["mdev"] in (None, allocation.get("gpu", {}).get("mdev_uuid", ""))
                    for v in of):
                return f"{allocation}, but there are {of}"
        return f"allocations of {list(names)}" if names else ""


def expected_gpus(empty, used):
    """All vGPUs are of one size and on one GPU of two, so that the other can take any size; or,
    when the first was slow to answer for a second, on both, so that none can."""
    size = next(p["framebuffer_mb"] for p in empty["profiles"] if p["name"] == PROFILE)
    for untouched in [2 - gpus for gpus in range(1, min(used, 2) + 1)] or [2]:
        yield {**empty, "used_slots": used, "profiles": [
            {**p, "available": p["available"] - used if p["framebuffer_mb"] == size else
             p["available"] // 2 * untouched} for p in empty["profiles"]]}

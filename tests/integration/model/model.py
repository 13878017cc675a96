# SPDX-License-Identifier: Apache-2.0
"""What the system must look like, shared by processes that change it and processes that look.

There is a register for each thing that can be made: an instance, a volume, a device. One process
writes it, and says before each request what may be seen from now on, and after it what must be.
So a register holds views: None (there is none), or a dictionary with

    id      None: not known yet
    state   of an instance
    mdev    its vGPU; "": none; None: one or none
    slot    1 if it holds a slot of a GPU
    cpus    that it holds

A read is right if it shows one of the views that the register held while the read lasted.
"""

import json
import multiprocessing
import os

RING = 64    # versions that are kept
SIZE = 2048  # of one, as JSON

KINDS = ("instance", "volume", "device")
ABSENT = [None]


class Overrun(Exception):
    """The reader slept so long that views were overwritten."""


class Model:
    def __init__(self, names):
        """names: (kind, name) of every register. Shared with processes that are forked later."""
        self.keys = list(names)
        self.of_kind = {kind: [i for i, key in enumerate(self.keys) if key[0] == kind]
                        for kind in KINDS}
        self.by_name = {kind: {self.keys[i][1]: i for i in of}
                        for kind, of in self.of_kind.items()}
        self.version = multiprocessing.RawArray("Q", len(self.keys))
        self.ring = multiprocessing.RawArray("c", len(self.keys) * RING * SIZE)
        self.known = {}  # (key, version): views, of this process
        for key in range(len(self.keys)):
            self.store(key, 0, ABSENT)

    def place(self, key, version):
        return (key * RING + version % RING) * SIZE

    def store(self, key, version, views):
        text = json.dumps(views).encode()
        if len(text) >= SIZE:
            raise ValueError(f"views of {len(text)} bytes")
        at = self.place(key, version)
        self.ring[at:at + len(text) + 1] = text + b"\0"

    def publish(self, key, views):
        """By the register's one writer."""
        version = self.version[key] + 1
        self.store(key, version, views)
        self.version[key] = version

    def load(self, key, version):
        found = self.known.get(key)
        if found and found[0] == version:
            return found[1]
        at = self.place(key, version)
        text = self.ring[at:at + SIZE]
        if self.version[key] - version >= RING - 1:
            raise Overrun
        views = json.loads(text[:text.index(b"\0")])
        self.known[key] = (version, views)
        return views

    def now(self, keys):
        return {key: self.version[key] for key in keys}

    def views(self, key, first):
        """All that the register held since version `first`."""
        last = self.version[key]
        if last == first:
            return self.load(key, last)
        return [view for version in range(first, last + 1) for view in self.load(key, version)]


class Counters:
    """What all processes did, and the first things that were wrong."""

    def __init__(self, processes):
        self.done = multiprocessing.RawArray("Q", processes)
        self.wrong = multiprocessing.Value("Q", 0)
        self.spread = multiprocessing.Value("Q", 0)
        self.said = multiprocessing.SimpleQueue()

    def fail(self, text):
        with self.wrong.get_lock():
            self.wrong.value += 1
            if self.wrong.value <= 20:
                self.said.put(f"{os.getpid()}: {text}"[:1500])

    def count_spread(self, is_spread):
        """An answer with vGPUs on both GPUs."""
        if is_spread:
            with self.spread.get_lock():
                self.spread.value += 1

    def messages(self):
        while not self.said.empty():
            yield self.said.get()

# SPDX-License-Identifier: Apache-2.0
"""The examples of the product document (product.md), and how its samples compare."""

import os
import re

PATH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "product.md")


class Example:
    """A fenced block: its language, text, and the headings it stands under."""

    def __init__(self, line, language, text, headings):
        self.line, self.language, self.text, self.headings = line, language, text, headings

    def under(self, heading):
        return any(heading in h for h in self.headings)

    def __str__(self):
        return f"line {self.line} ({self.headings[-1]})"


def examples():
    """Every block that has a language, in order."""
    found, headings, block = [], [], None
    for number, line in enumerate(open(PATH, encoding="utf-8").read().split("\n"), 1):
        fence = re.match(r"\s*```(\w*)$", line)
        if fence and block is None:
            block = (number, fence.group(1), [], line.index("`"))
        elif fence:
            if block[1]:
                found.append(Example(block[0], block[1], "\n".join(block[2]), list(headings)))
            block = None
        elif block is not None:
            block[2].append(line[block[3]:])
        elif heading := re.match(r"(#+) (.*)", line):
            headings = headings[:len(heading.group(1)) - 1] + [heading.group(2)]
    return found


class Anything:
    """What the document abbreviates as { ... }."""


def value_of(text, decoder):
    """The value of a JSON sample, in which { ... } stands for anything."""
    mark = "\u2026"
    return replace(decoder(text.replace("{ ... }", f'"{mark}"')), mark)


def replace(value, mark):
    if value == mark:
        return Anything
    if isinstance(value, dict):
        return {key: replace(each, mark) for key, each in value.items()}
    return [replace(each, mark) for each in value] if isinstance(value, list) else value


# Members whose text is one of a few; others may have any value of the same type.
WORDS = ("mode",)
# Objects that have these members have no others.
CLOSED = ({"mode", "total_slots", "used_slots"}, {"name", "framebuffer_mb", "available"},
          {"name", "available"})


def differences(sample, answer, where="it"):
    """What the answer lacks of the sample's shape, as sentences."""
    if sample is Anything:
        return []
    if type(sample) is not type(answer):
        return [f"{where} is {answer!r}, not a {type(sample).__name__}"]
    if isinstance(sample, list):
        if not answer:
            return [f"{where} is empty"]
        return [d for i, each in enumerate(answer)
                for d in differences(sample[0], each, f"{where}[{i}]")]
    if not isinstance(sample, dict):
        return []
    found = [f"{where} has no {key}" for key in sample.keys() - answer.keys()]
    if any(members <= sample.keys() <= members | {"profiles", "devices"} for members in CLOSED):
        # A host with vGPUs may have GPUs for passthrough beside them.
        also = {"devices"} if sample.get("mode") == "vgpu" else set()
        found += [f"{where} has {key} too" for key in answer.keys() - sample.keys() - also]
    for key in sample.keys() & answer.keys():
        if key in WORDS and sample[key] != answer[key]:
            found.append(f"{where}.{key} is {answer[key]!r}, not {sample[key]!r}")
        found += differences(sample[key], answer[key], f"{where}.{key}")
    return found

#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Runs where gpu-agent-serve would, and hands its socket to the test: what the test then sends,
the root side sees as coming from serve."""

import os
import socket
import sys

socket_path = next(a.split("=", 1)[1] for a in sys.argv if a.startswith("--socket="))
test = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
test.connect(socket_path + ".test")
socket.send_fds(test, [str(os.getpid()).encode()], [3])
test.recv(1)  # until the test hangs up, or kills this process

# SPDX-License-Identifier: Apache-2.0
"""TCP ports of loopback."""

import random
import socket


def free_port():
    """Below those that the kernel gives to whoever connects."""
    while True:
        with socket.socket() as probe:
            port = random.randrange(20000, 32000)
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port

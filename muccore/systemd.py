# -*- test-case-name: tests.test_systemd -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Telling the service manager how we are (sd_notify(3)).
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import MutableMapping

READY = "READY=1"
STOPPING = "STOPPING=1"


def reloading() -> str:
    """
    The state of one that rereads its configuration; L{READY} ends it.
    """
    return f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}"


def notify(state: str, environment: MutableMapping[str, str] = os.environ) -> bool:
    """
    Send a state to whoever started us with C{Type=notify}.

    @param state: such as L{READY}.
    @return: whether somebody wanted to know.
    """
    address = environment.get("NOTIFY_SOCKET")
    if not address:
        return False
    if address.startswith("@"):
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
            sock.connect(address)
            sock.sendall(state.encode())
    except OSError:
        # A service manager that does not listen is no reason to stop serving.
        return False
    return True

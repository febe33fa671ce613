# -*- test-case-name: tests.test_systemd -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Tests of L{muccore.systemd}.
"""

from __future__ import annotations

import os
import re
import socket
import time

from twisted.trial.unittest import SynchronousTestCase

from muccore.systemd import READY, STOPPING, notify, reloading


class NotifyTests(SynchronousTestCase):
    """
    What the service manager is told.
    """

    def listen(self, address: str) -> socket.socket:
        """
        Be the service manager.
        """
        manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(manager.close)
        manager.bind(address)
        manager.setblocking(False)
        return manager

    def test_path(self) -> None:
        """
        A state is sent to the socket that the environment names.
        """
        # mktemp's paths are too long for a socket's.
        folder = os.getcwd()
        self.addCleanup(os.chdir, folder)
        os.makedirs(path := self.mktemp())
        os.chdir(path)
        manager = self.listen("notify")
        for state in (READY, STOPPING):
            self.assertTrue(notify(state, {"NOTIFY_SOCKET": "notify"}))
            self.assertEqual(manager.recv(1024).decode(), state)

    def test_abstract(self) -> None:
        """
        A name that begins with an at sign is that of an abstract socket.
        """
        name = f"muccore test {os.getpid()}"
        manager = self.listen(f"\0{name}")
        self.assertTrue(notify(READY, {"NOTIFY_SOCKET": f"@{name}"}))
        self.assertEqual(manager.recv(1024), b"READY=1")

    def test_nobody(self) -> None:
        """
        Where nobody wants to know, or nobody is there, nothing happens.
        """
        self.assertFalse(notify(READY, {}))
        for address in ("", "/nowhere/at/all", "x" * 200):
            self.assertFalse(notify(READY, {"NOTIFY_SOCKET": address}))

    def test_states(self) -> None:
        """
        The states are those of sd_notify(3).
        """
        self.assertEqual((READY, STOPPING), ("READY=1", "STOPPING=1"))

    def test_reloading(self) -> None:
        """
        Reloading is told with the monotonic time in microseconds, which the manager compares with its own.
        """
        before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        match = re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=(\d+)", reloading())
        after = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        assert match is not None
        self.assertTrue(before <= int(match[1]) <= after)

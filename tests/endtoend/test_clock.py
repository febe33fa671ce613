# Copyright (c) The muccore authors. See LICENSE for details.
"""A server process whose time of day is set back and forward."""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from tests.configuration import ENVIRONMENT
from tests.endtoend.clients import bodyOf, bounded, enterRoom, openConnection
from tests.endtoend.serverprocess import TIMEOUT, ServerProcess

_SITE = """
import mmap, struct, time
with open({path!r}, "r+b") as file:
    offset = mmap.mmap(file.fileno(), 8)
original = time.time
time.time = lambda: original() + struct.unpack("<d", offset)[0]
"""
"""What a process imports first, whose time of day is then set by a file."""


class SetClockTests(TestCase):
    """Everything goes on, whatever the time of day is set to."""

    timeout = 240

    limits: Mapping[str, str] = {"login_timeout": "3 s"}
    times = (-3600, 86400)

    async def setUp(self) -> None:
        """Start a server with short limits."""
        self.server = ServerProcess(self, c2s=self.limits)
        self.offset = self.server.file("offset")
        self.setBy(0)
        os.mkdir(self.server.file("site"))
        with open(self.server.file("site/sitecustomize.py"), "w", encoding="utf-8") as file:
            file.write(_SITE.format(path=self.offset))
        path = os.pathsep.join([self.server.file("site"), ENVIRONMENT["PYTHONPATH"]])
        self.server.environment = {**ENVIRONMENT, "PYTHONPATH": path}
        await self.server.start()

    def setBy(self, seconds: float) -> None:
        """Set the time of day of the server."""
        mode = "r+b" if os.path.exists(self.offset) else "wb"
        with open(self.offset, mode) as file:
            file.write(struct.pack("<d", seconds))

    async def connected(self) -> list[Deferred[None]]:
        """Connect clients that do nothing; return what fires when they are disconnected."""
        stranger = await openConnection(self, self.server.port)
        return [stranger.closed()]

    async def test_set(self) -> None:
        """Messages are delivered at once, and those who do nothing are disconnected in time."""
        romeo, juliet = await enterRoom(self, self.server.port)
        for seconds in self.times:
            waiting = await self.connected()
            self.setBy(seconds)
            number = 0
            while not all(each.called for each in waiting):
                number += 1
                self.assertLess(number, TIMEOUT / 0.1)
                for speaker in romeo, juliet:
                    text = f"{seconds}: {speaker.full} {number}"
                    speaker.sendToRoom(text)
                    for listener in romeo, juliet:
                        await bounded(listener.until(lambda each, text=text: bodyOf(each) == text))
                await deferLater(reactor, 0.1)  # type: ignore[arg-type]
            await gatherResults(waiting)
        self.assertEqual(self.server.unexpectedLines, [])

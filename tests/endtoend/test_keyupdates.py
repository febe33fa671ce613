# Copyright (c) The muccore authors. See LICENSE for details.
"""Clients that update the keys of TLS without end, which no protocol above TLS gets to see (docs/design/0020)."""

from __future__ import annotations

import json
import sys
from typing import Final

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SkipTest, TestCase

from muccore.xmpp import ns
from tests.configuration import ENCRYPTED
from tests.endtoend.clients import bounded, logIn
from tests.endtoend.keyupdates import SIZE, findLibrary
from tests.endtoend.serverprocess import ServerProcess, run

SECONDS: Final = 3

RATE: Final = 16 * 1024

BURST: Final = 64 * 1024

KERNEL: Final = 1024 * 1024
"""Bytes that buffers of the kernel may take besides."""


class KeyUpdateTests(TestCase):
    """A whole server, one who floods it, and a bystander."""

    timeout = 120

    async def assertSlowed(self, requesting: str) -> None:
        """The flood is read as slowly as anything else from a client; others are answered meanwhile."""
        if findLibrary() is None:
            raise SkipTest("there is no OpenSSL library")
        limits = {"exempt": "", "rate": str(RATE), "burst": str(BURST)}
        server = ServerProcess(self, c2s=ENCRYPTED, limits=limits)
        await server.start()
        bystander = await logIn(self, server.port, "bystander", tls=True)
        arguments = (str(server.directPort), str(SECONDS), requesting)
        ended = Deferred.fromCoroutine(run(sys.executable, "-m", "tests.endtoend.keyupdates", *arguments))
        answers = 0
        while not ended.called:
            answer = await bounded(bystander.request("get", f"<ping xmlns='{ns.PING}'/>", "localhost"))
            self.assertEqual(answer.get("type"), "result")
            answers += 1
        status, output, errors = await ended
        self.assertEqual((status, errors), (0, ""))
        count, lasted = json.loads(output)
        self.assertGreater(count * SIZE, BURST)
        self.assertLess(count * SIZE, BURST + RATE * lasted + KERNEL)
        self.assertGreater(answers, 10)
        self.assertEqual(server.unexpectedLines, [])

    def test_updates(self) -> Deferred[None]:
        """Only the keys of the client are updated."""
        return Deferred.fromCoroutine(self.assertSlowed("no"))

    def test_requests(self) -> Deferred[None]:
        """The server has to update its keys, too, each time."""
        return Deferred.fromCoroutine(self.assertSlowed("yes"))

# Copyright (c) The muccore authors. See LICENSE for details.
"""Audit trails in a database, of rooms that have ended, after C{kill -9}."""

from __future__ import annotations

import signal

from twisted.trial.unittest import TestCase

from muccore.xmpp import ns
from tests.endtoend.clients import ROOM, bounded, logIn
from tests.endtoend.serverprocess import ServerProcess, ctl


class AuditTests(TestCase):
    """C{muccorectl audit} beside a running server."""

    timeout = 120

    async def test_audit(self) -> None:
        """Operators read who has banned and destroyed, while the server runs and after it was killed."""
        server = ServerProcess(self, storage={"affiliations": "sqlite:rooms.db"})
        await server.start()
        romeo = await logIn(self, server.port, "romeo")
        await bounded(romeo.enter("Romeo"))
        await bounded(romeo.configure())
        ban = "<item affiliation='outcast' jid='tybalt@localhost'><reason>Brawl</reason></item>"
        await bounded(romeo.request("set", f"<query xmlns='{ns.MUC_ADMIN}'>{ban}</query>"))
        await bounded(romeo.request("set", f"<query xmlns='{ns.MUC_OWNER}'><destroy/></query>"))
        shown = await ctl(server, "audit", ROOM)
        status, output, errors = shown
        self.assertEqual((status, errors), (0, ""))
        lines = [line.split("\t")[3:] for line in output.splitlines()]
        self.assertEqual(
            lines[:2],
            [
                ["destruction", "romeo@localhost", "-", "-", "-"],
                ["ban", "romeo@localhost", "tybalt@localhost", "Brawl", "from: none, to: outcast"],
            ],
        )
        server.signal("KILL")
        self.assertEqual(await server.ended(), -signal.SIGKILL)
        self.assertEqual(await ctl(server, "audit", ROOM), shown)

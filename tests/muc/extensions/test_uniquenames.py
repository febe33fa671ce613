# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.muc.extensions.uniquenames} (XEP-0307)."""

from __future__ import annotations

from muccore.testing.inmemory import Client
from muccore.xmpp import ns
from muccore.xmpp.jid import parse
from tests.muc.muchelpers import HOST, ROOM, MUCTestCase, join, sendIQ, summaries

REQUEST = f"<unique xmlns='{ns.MUC_UNIQUE}'/>"


class UniqueNameTests(MUCTestCase):
    """Names from the service."""

    def request(self, client: Client) -> str:
        """Request a name."""
        sendIQ(client, "get", REQUEST, to=HOST)
        answer = self.result(client)
        self.assertEqual((answer.name, answer.uri), ("unique", ns.MUC_UNIQUE))
        return answer.text()

    def test_names(self) -> None:
        """Each is another one, which is a localpart as it stands; a room can be created under it."""
        romeo = self.client("romeo")
        names = [self.request(romeo) for _ in range(20)]
        self.assertEqual(len(set(names)), 20)
        for name in names:
            self.assertEqual(parse(f"{name}@{HOST}").local, name)
        join(romeo, "Romeo", to=f"{names[0]}@{HOST}")
        self.assertIn("201", summaries(romeo)[0])

    def test_feature(self) -> None:
        """The service has the feature."""
        sendIQ(self.client("romeo"), "get", f"<query xmlns='{ns.DISCO_INFO}'/>", to=HOST)
        features = [e.get("var") for e in self.result(self.clients[0]).childElements() if e.name == "feature"]
        self.assertIn(ns.MUC_UNIQUE, features)

    def test_notAllowed(self) -> None:
        """Who may not create rooms gets none."""
        self.startServer(creation="nobody")
        romeo = self.client("romeo")
        sendIQ(romeo, "get", REQUEST, to=HOST)
        self.assertReceived(romeo, "error q cancel not-allowed")

    def test_others(self) -> None:
        """Rooms do not make names, and a name cannot be set."""
        romeo = self.client("romeo")
        self.createRoom(romeo)
        sendIQ(romeo, "get", REQUEST, to=ROOM)
        sendIQ(romeo, "set", REQUEST, to=HOST)
        errors = [line.removesuffix(" by=None") for line in summaries(romeo)]
        self.assertEqual(errors, ["error q cancel service-unavailable"] * 2)

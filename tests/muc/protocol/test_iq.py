# Copyright (c) The muccore authors. See LICENSE for details.
"""
Tests for L{muccore.muc.protocol.iq}: what all requests to rooms have in common. IQs between occupants are in
L{tests.muc.protocol.test_iqrelay}.
"""

from __future__ import annotations

from muccore.xmpp import ns
from tests.muc.muchelpers import HOST, ROOM, MUCTestCase, affiliation, form, sendAdmin, sendIQ


class AnswerTests(MUCTestCase):
    """Every request has one answer (RFC 6120 §8.2.3)."""

    def test_results(self) -> None:
        """Results come from the room with the id of the request; those of changes are empty."""
        romeo = self.client("romeo")
        self.createRoom(romeo)
        register = form(ns.MUC_REGISTER, {"muc#register_roomnick": "Romeo"})
        requests = (
            ("get", f"<query xmlns='{ns.DISCO_INFO}'/>", False),
            ("get", f"<query xmlns='{ns.DISCO_ITEMS}'/>", False),
            ("get", f"<query xmlns='{ns.MUC_ADMIN}'><item affiliation='owner'/></query>", False),
            ("set", f"<query xmlns='{ns.MUC_ADMIN}'>{affiliation('x@localhost', 'member')}</query>", True),
            ("get", f"<query xmlns='{ns.MUC_OWNER}'/>", False),
            ("set", f"<query xmlns='{ns.MUC_OWNER}'><x xmlns='jabber:x:data' type='submit'/></query>", True),
            ("get", f"<query xmlns='{ns.REGISTER}'/>", False),
            ("set", f"<query xmlns='{ns.REGISTER}'>{register}</query>", True),
            ("set", f"<query xmlns='{ns.REGISTER}'><remove/></query>", True),
            ("set", f"<query xmlns='{ns.MUC_OWNER}'><destroy/></query>", True),
        )
        for number, (type, payload, empty) in enumerate(requests):
            sendIQ(romeo, type, payload, id=f"id{number}")
            [iq] = [stanza for stanza in romeo.received() if stanza.name == "iq"]
            self.assertEqual(
                (iq.get("type"), iq.get("id"), iq.get("from"), iq.get("to")),
                ("result", f"id{number}", ROOM, "romeo@localhost/a"),
                payload,
            )
            self.assertEqual(list(iq.childElements()) == [], empty, payload)

    def test_errors(self) -> None:
        """An error is C{by} the room and returns the request."""
        romeo, juliet = self.login("romeo", "juliet")
        self.createRoom(romeo)
        sendAdmin(juliet, affiliation("x@localhost", "member"))
        [iq] = juliet.received()
        error, query = iq.child("error"), iq.child("query", ns.MUC_ADMIN)
        assert error is not None and query is not None
        self.assertEqual((iq.get("from"), error.get("by")), (ROOM, ROOM))
        self.assertIsNotNone(query.child("item"))

    def test_unknown(self) -> None:
        """Unknown payloads and wrong directions are C{service-unavailable}, at the service and at a room."""
        romeo = self.client("romeo")
        self.createRoom(romeo)
        for to, by in ((HOST, ""), (ROOM, " by=None")):
            for type, payload in (
                ("get", "<query xmlns='other'/>"),
                ("set", "<query xmlns='other'/>"),
                ("set", f"<query xmlns='{ns.DISCO_INFO}'/>"),
                ("get", f"<other xmlns='{ns.MUC_ADMIN}'/>"),
            ):
                sendIQ(romeo, type, payload, to=to)
                self.assertReceived(romeo, f"error q cancel service-unavailable{by}")

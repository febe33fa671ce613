# Copyright (c) The muccore authors. See LICENSE for details.
"""
Tests for L{muccore.muc.requests}: requests between occupants, and what all requests to rooms have in common. What each
kind does is in the tests of the module that reads it.
"""

from __future__ import annotations

from muccore import ns
from tests.muc.theatre import HOST, NAME, Theatre, admin, affiliation, ask, form, heard, join


class AnswerTests(Theatre):
    """
    Every request gets one answer (RFC 6120 §8.2.3).
    """

    def test_results(self) -> None:
        """
        Results come from the room, to who asked, with his id; those of changes are empty.
        """
        romeo = self.client("romeo")
        self.open(romeo)
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
            ask(romeo, type, payload, id=f"id{number}")
            [iq] = [stanza for stanza in romeo.hears() if stanza.name == "iq"]
            self.assertEqual(
                (iq.get("type"), iq.get("id"), iq.get("from"), iq.get("to")),
                ("result", f"id{number}", NAME, "romeo@localhost/a"),
                payload,
            )
            self.assertEqual(list(iq.childElements()) == [], empty, payload)

    def test_errors(self) -> None:
        """
        An error is C{by} the room and brings the request back.
        """
        romeo, juliet = self.client("romeo"), self.client("juliet")
        self.open(romeo)
        admin(juliet, affiliation("x@localhost", "member"))
        [iq] = juliet.hears()
        error, query = iq.child("error"), iq.child("query", ns.MUC_ADMIN)
        assert error is not None and query is not None
        self.assertEqual((iq.get("from"), error.get("by")), (NAME, NAME))
        self.assertIsNotNone(query.child("item"))

    def test_unknown(self) -> None:
        """
        What nobody understands is refused with C{service-unavailable}: to the service, to a room, in a wrong
        direction.
        """
        romeo = self.client("romeo")
        self.open(romeo)
        for to in (HOST, NAME):
            for type, payload in (
                ("get", "<query xmlns='other'/>"),
                ("set", "<query xmlns='other'/>"),
                ("set", f"<query xmlns='{ns.DISCO_INFO}'/>"),
                ("get", f"<other xmlns='{ns.MUC_ADMIN}'/>"),
            ):
                ask(romeo, type, payload, to=to)
                self.refused(romeo, "cancel service-unavailable")


class Occupied(Theatre):
    """
    A room, its owner and a stranger.
    """

    def setUp(self) -> None:
        """
        The owner is in.
        """
        super().setUp()
        self.romeo, self.stranger = self.client("romeo"), self.client("stranger")
        self.open(self.romeo)


class OccupantTests(Occupied):
    """
    Requests to occupant JIDs (§6.6, §17.4).
    """

    def test_outsider(self) -> None:
        """
        Somebody who is not in gets C{bad-request} for service discovery, C{not-acceptable} for anything else.
        """
        for kind, condition in (
            (ns.DISCO_INFO, "modify bad-request"),
            (ns.DISCO_ITEMS, "modify bad-request"),
            (ns.VERSION, "cancel not-acceptable"),
        ):
            ask(self.stranger, "get", f"<query xmlns='{kind}'/>", to=f"{NAME}/Romeo")
            self.refused(self.stranger, condition)
        ask(self.stranger, "set", "<query xmlns='other'/>", to=f"{NAME}/Romeo")
        self.refused(self.stranger, "cancel not-acceptable")
        self.silent(self.romeo)

    def test_nobody(self) -> None:
        """
        A request to nobody finds nobody.
        """
        ask(self.romeo, "get", f"<query xmlns='{ns.VERSION}'/>", to=f"{NAME}/Nobody")
        self.refused(self.romeo, "cancel item-not-found")

    def test_selfPing(self) -> None:
        """
        XEP-0410: who pings himself through the room learns whether he is in; nobody else hears of it.
        """
        second = self.client("romeo@localhost/b")
        self.admit((second, "Romeo"))
        self.quiet(self.romeo)
        ask(self.romeo, "get", f"<ping xmlns='{ns.PING}'/>", to=f"{NAME}/Romeo")
        self.hear(self.romeo, "result q")
        self.silent(second)
        ask(self.stranger, "get", f"<ping xmlns='{ns.PING}'/>", to=f"{NAME}/Romeo")
        self.refused(self.stranger, "cancel not-acceptable")

    def test_selfPingNoRoom(self) -> None:
        """
        XEP-0410 §3.3: so does one who pings himself in a room that has ended, or is not open yet: C{item-not-found},
        which he gets for any other request, would tell him that he is in.
        """
        join(self.romeo, "Romeo", to=f"locked@{HOST}")
        self.quiet(self.romeo)
        for room in (f"ended@{HOST}", f"locked@{HOST}"):
            ask(self.stranger, "get", f"<ping xmlns='{ns.PING}'/>", to=f"{room}/Stranger")
            self.refused(self.stranger, "cancel not-acceptable")
            ask(self.stranger, "get", f"<query xmlns='{ns.VERSION}'/>", to=f"{room}/Stranger")
            self.refused(self.stranger, "cancel item-not-found")
        self.silent(self.romeo)

    def test_passedOn(self) -> None:
        """
        §17.4: a request between occupants arrives under occupant JIDs with an id of the room's, and so does the
        answer, with the id of the one who asked; neither sees the other's real JID.
        """
        juliet = self.client("juliet")
        self.admit((juliet, "Juliet"))
        self.quiet(self.romeo)
        ask(juliet, "get", f"<query xmlns='{ns.VERSION}'/>", id="mine", to=f"{NAME}/Romeo")
        [request] = self.romeo.hears()
        self.assertEqual((request.get("from"), request.get("to")), (f"{NAME}/Juliet", "romeo@localhost/a"))
        self.assertNotEqual(request.get("id"), "mine")
        self.romeo.sends(
            f"<iq type='result' id='{request.get('id')}' to='{NAME}/Juliet'>"
            f"<query xmlns='{ns.VERSION}'><name>x</name></query></iq>"
        )
        [answer] = juliet.hears()
        self.assertEqual(
            (answer.get("from"), answer.get("to"), answer.get("id"), answer.get("type")),
            (f"{NAME}/Romeo", "juliet@localhost/a", "mine", "result"),
        )
        self.assertNotIn("romeo@localhost", answer.toXml())

    def test_answerToNothing(self) -> None:
        """
        An answer that nobody has asked for goes nowhere.
        """
        juliet = self.client("juliet")
        self.admit((juliet, "Juliet"))
        self.quiet(self.romeo)
        juliet.sends(f"<iq type='result' id='guess' to='{NAME}/Romeo'/>")
        self.silent(self.romeo, juliet)
        self.assertEqual(heard(juliet), [])

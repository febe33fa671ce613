# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.im.userdomain}: RFC 6121 §8.5, clause by clause."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from wokkel.generic import VersionHandler
from zope.interface.verify import verifyObject

from muccore.interfaces import IDomain
from muccore.interfaces.handlers import InvalidHandler
from muccore.routing.handler import ANY, BARE, FULL, HOST, NOT_HANDLED, Handler, answersAnyone, mayDecline
from tests.routing.helpers import Client, Server, canonical, conditions

JULIET = "juliet@localhost/balcony"
TYPES = ("", "normal", "chat", "groupchat", "headline", "shout")


class DeliveryTestCase(SynchronousTestCase):
    """A server on which Juliet sends."""

    def setUp(self) -> None:
        """Connect Juliet."""
        self.server = Server()
        self.juliet = self.server.connect(JULIET)
        self.clients: dict[str, Client] = {}

    def romeo(self, **priorities: int | None) -> None:
        """Connect Romeo with resources and priorities; C{None} for a resource that is not available."""
        for resource, priority in priorities.items():
            self.clients[resource] = self.server.connect(
                f"romeo@localhost/{resource}",
                None if priority is None else f"<presence><priority>{priority}</priority></presence>",
            )
        for client in self.clients.values():
            client.take()

    def send(self, stanza: str) -> str:
        """
        Let Juliet send a stanza; return the resources of Romeo that got it, and the error conditions that came back.
        """
        back = self.juliet.ask(stanza)
        expected = canonical(stanza.replace(" to=", f" from='{JULIET}' to=", 1))
        got = []
        for resource, client in self.clients.items():
            taken = client.take()
            if taken:
                self.assertEqual(taken, expected)
                got.append(resource)
        return " ".join(got + conditions(back))

    def message(self, to: str, type: str) -> str:
        """Let Juliet send a message; see L{send}."""
        attribute = f" type='{type}'" if type else ""
        return self.send(f"<message to='{to}'{attribute}><body>hi</body></message>")

    def messages(self, to: str) -> dict[str, str]:
        """Let Juliet send a message of each type; see L{send}."""
        return {type: self.message(to, type) for type in TYPES}


def fates(normal: str, chat: str, groupchat: str, headline: str) -> dict[str, str]:
    """
    The expected results of L{DeliveryTestCase.messages}. A message without a type, or with an unknown one, is C{normal}
    (RFC 6121 §5.2.2).
    """
    return dict(zip(TYPES, (normal, normal, chat, groupchat, headline, normal), strict=True))


ERROR = "service-unavailable"


class MessageTests(DeliveryTestCase):
    """Messages: the table of RFC 6121 §8.5.4."""

    def test_interface(self) -> None:
        """It provides the interface of domains."""
        self.assertTrue(verifyObject(IDomain, self.server.users))

    def test_table(self) -> None:
        """
        Each row: the resources of C{romeo} with their priorities, and the fate of each type of message to the bare JID,
        to C{orchard}, and to C{garden} where that is not bound. C{None} is a resource that is not available.
        """
        nobody = fates(ERROR, ERROR, ERROR, "")
        orchard = dict.fromkeys(TYPES, "orchard")
        for resources, bare, full, unmatched in (
            # No account or no resource (§8.5.1, §8.5.2.2.1): others cannot tell which.
            ({}, nobody, nobody, nobody),
            # Resources that are not available get what is for their full JID only (§8.5.3.1).
            ({"orchard": None}, nobody, orchard, nobody),
            # So do those with negative priority (§8.5.2.1.1).
            ({"orchard": -1, "attic": -128}, nobody, orchard, nobody),
            # One that is not negative; chat to an unmatched full JID is treated as to the bare JID (§8.5.3.2.1).
            (
                {"orchard": 0, "cellar": -1, "attic": None},
                fates("orchard", "orchard", ERROR, "orchard"),
                orchard,
                fates(ERROR, "orchard", ERROR, ""),
            ),
            # Several: all with the highest priority; a headline goes to all that are not negative (§8.5.2.1.1).
            (
                {"orchard": 5, "vault": 5, "cellar": 4, "attic": -1},
                fates("orchard vault", "orchard vault", ERROR, "orchard vault cellar"),
                orchard,
                fates(ERROR, "orchard vault", ERROR, ""),
            ),
        ):
            for gone in (False, True):
                self.setUp()
                self.romeo(**resources)
                if gone:
                    for client in self.clients.values():
                        client.vanish()
                    self.clients.clear()
                for to, expected in (("", bare), ("/orchard", full), ("/garden", unmatched)):
                    self.assertEqual(self.messages(f"romeo@localhost{to}"), nobody if gone else expected, resources)

    def test_errors(self) -> None:
        """Errors are delivered to a bound session, and dropped otherwise; they are never answered."""
        self.romeo(orchard=0)
        self.assertEqual(self.message("romeo@localhost/orchard", "error"), "orchard")
        for to in ("romeo@localhost", "romeo@localhost/garden", "nobody@localhost", "nobody@localhost/x"):
            self.assertEqual(self.message(to, "error"), "")

    def test_unavailableAgain(self) -> None:
        """A resource that has sent unavailable presence gets no more messages to the bare JID."""
        self.romeo(orchard=0)
        self.clients["orchard"].ask("<presence type='unavailable'/>")
        self.assertEqual(self.message("romeo@localhost", "chat"), ERROR)

    def test_toOneself(self) -> None:
        """A message without C{to} is delivered to the own account's resources (RFC 6120 §10.3.1)."""
        self.juliet.ask("<presence/>")
        self.assertEqual(
            self.juliet.ask("<message type='chat'><body>note</body></message>"),
            canonical(
                f"<message type='chat' from='{JULIET}' to='juliet@localhost'><body>note</body></message>"
            ),
        )

    def test_toTheServer(self) -> None:
        """A message to the server itself without a handler is refused; an error and a headline are dropped."""
        self.assertEqual(self.messages("localhost"), fates(ERROR, ERROR, ERROR, ""))
        self.assertEqual(self.messages("localhost/x"), fates(ERROR, ERROR, ERROR, ""))
        self.assertEqual(self.message("localhost", "error"), "")


class PresenceTests(DeliveryTestCase):
    """Presence."""

    def presence(self, to: str, type: str = "") -> str:
        """Let Juliet send presence; see L{send}."""
        attribute = f" type='{type}'" if type else ""
        return self.send(f"<presence to='{to}'{attribute}/>")

    def test_bare(self) -> None:
        """§8.5.2.1.2: presence to the bare JID is delivered to all available resources, whatever their priority."""
        self.romeo(orchard=0, cellar=-1, attic=None)
        self.assertEqual(self.presence("romeo@localhost"), "orchard cellar")
        self.assertEqual(self.presence("romeo@localhost", "unavailable"), "orchard cellar")

    def test_full(self) -> None:
        """§8.5.3.1: presence to a full JID is delivered to that session."""
        self.romeo(orchard=0, attic=None)
        for type in ("", "unavailable", "error"):
            self.assertEqual(self.presence("romeo@localhost/orchard", type), "orchard")
            self.assertEqual(self.presence("romeo@localhost/attic", type), "attic")

    def test_nobody(self) -> None:
        """§8.5.1, §8.5.2.2.2, §8.5.3.2.2: presence to an address without a session is dropped."""
        self.romeo(attic=None)
        for to in ("romeo@localhost", "romeo@localhost/orchard", "nobody@localhost", "nobody@localhost/x", "localhost"):
            for type in ("", "unavailable", "error"):
                self.assertEqual(self.presence(to, type), "")

    def test_probe(self) -> None:
        """A client's probes, and errors to an account, are dropped."""
        self.romeo(orchard=0)
        for to in ("romeo@localhost", "romeo@localhost/orchard", "nobody@localhost"):
            self.assertEqual(self.presence(to, "probe"), "")
        self.assertEqual(self.presence("romeo@localhost", "error"), "")

    def test_undone(self) -> None:
        """A recipient of directed presence gets unavailable presence at the end."""
        self.romeo(orchard=0)
        self.presence("romeo@localhost/orchard")
        self.juliet.vanish()
        self.assertEqual(
            self.clients["orchard"].take(),
            canonical(f"<presence type='unavailable' from='{JULIET}' to='romeo@localhost/orchard'/>"),
        )


class IQTests(DeliveryTestCase):
    """IQs."""

    def iq(self, to: str, type: str) -> str:
        """Let Juliet send an IQ; see L{send}."""
        return self.send(f"<iq to='{to}' type='{type}' id='1'><query xmlns='jabber:iq:version'/></iq>")

    def test_full(self) -> None:
        """§8.5.3.1: an IQ to a full JID is delivered to that session."""
        self.romeo(orchard=0, attic=None)
        for type in ("get", "set", "result", "error"):
            self.assertEqual(self.iq("romeo@localhost/orchard", type), "orchard")
            self.assertEqual(self.iq("romeo@localhost/attic", type), "attic")

    def test_fullNobody(self) -> None:
        """§8.5.3.2.3: a request to a full JID without a session is refused, a response dropped."""
        for to in ("romeo@localhost/orchard", "nobody@localhost/x"):
            self.assertEqual([self.iq(to, type) for type in ("get", "set", "result", "error")], [ERROR, ERROR, "", ""])

    def test_bare(self) -> None:
        """§8.5.2.1.3: the server answers for the account. Without a handler it refuses, alike for every account."""
        self.romeo(orchard=0)
        for to in ("romeo@localhost", "nobody@localhost", "juliet@localhost", "localhost", "localhost/x"):
            self.assertEqual([self.iq(to, type) for type in ("get", "set", "result", "error")], [ERROR, ERROR, "", ""])

    def test_errorIsWhole(self) -> None:
        """The error comes from the address that was asked (XEP-0199 §6)."""
        [answer] = self.juliet.ask("<iq to='romeo@localhost/x' type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>")
        self.assertIn(f'from="romeo@localhost/x" id="1" to="{JULIET}" type="error"', answer)

    def test_answerFindsItsWay(self) -> None:
        """A request and its response are delivered between two users."""
        self.romeo(orchard=0)
        self.iq("romeo@localhost/orchard", "get")
        self.clients["orchard"].send(f"<iq type='result' id='1' to='{JULIET}'/>")
        self.assertEqual(
            self.juliet.take(), canonical(f"<iq type='result' id='1' to='{JULIET}' from='romeo@localhost/orchard'/>")
        )


class HandlerTests(DeliveryTestCase):
    """Handlers at the accounts' domain."""

    def add(self, key: Any, function: Any = lambda *_: None) -> None:
        """Add a handler with one key."""
        handler = Handler()
        vars(handler)["iqs" if len(key) == 4 else "stanzas"] = {key: function}
        self.server.add("localhost", handler)

    def test_trafficBetweenUsers(self) -> None:
        """A key of what users send each other is refused, and they go on receiving it."""
        self.romeo(orchard=0)
        for key in (
            ("message", "chat", BARE), ("message", ANY, BARE), ("message", ANY, FULL), ("presence", None, BARE),
            ("presence", ANY, FULL), ("iq", "get", FULL), ("iq", "result", FULL), ("get", FULL, "urn:q", "q"),
        ):
            text = str(self.assertRaises(InvalidHandler, self.add, key))
            self.assertRegex(text, r"\A\S+\.Handler handles \(.*(BARE|FULL).*\), which users send each other ")
        self.assertEqual(self.message("romeo@localhost", "chat"), "orchard")

    def test_toTheServer(self) -> None:
        """A handler takes what is for the server itself."""
        got: list[str] = []
        for key in (("message", ANY, HOST), ("presence", ANY, HOST), ("get", HOST, "jabber:iq:version", "query")):
            self.add(key, lambda handler, element, to: got.append(element.name))
        self.juliet.send("<message to='localhost'/>")
        self.juliet.send("<presence to='localhost/x'/>")
        self.juliet.send("<iq to='localhost' type='get' id='1'><query xmlns='jabber:iq:version'/></iq>")
        self.assertEqual(got, ["message", "presence", "iq"])

    def test_owner(self) -> None:
        """
        An IQ to an account reaches its handler if the account itself sends it, or if the handler declares that it
        answers anyone; otherwise it is refused as if there were no handler.
        """
        for decorate, stranger in (
            (lambda function: function, ERROR),
            (mayDecline, ERROR),
            (answersAnyone, ""),
        ):
            for key in (("get", BARE, "jabber:iq:version", "query"), ("iq", "get", BARE)):
                self.setUp()
                self.add(key, decorate(lambda *_: None))
                answers = []
                for to in ("juliet@localhost", "romeo@localhost", "nobody@localhost"):
                    answers += conditions(
                        self.juliet.ask(f"<iq to='{to}' type='get' id='1'><query xmlns='jabber:iq:version'/></iq>")
                    )
                self.assertEqual(answers, ["", stranger, stranger], key)

    def test_ownerDeclined(self) -> None:
        """What a handler declines is answered as if there were no handler."""
        self.add(("iq", "get", BARE), mayDecline(lambda *_: NOT_HANDLED))
        self.assertEqual(
            conditions(self.juliet.ask("<iq type='get' id='1'><query xmlns='jabber:iq:version'/></iq>")), [ERROR]
        )

    def test_stockHandlers(self) -> None:
        """A stock handler answers for the server, and for an account to its owner; it observes nothing else."""
        self.romeo(orchard=0)
        self.server.add("localhost", VersionHandler("stock", "1"))
        query = "<query xmlns='jabber:iq:version'/>"
        for address in ("", "to='localhost'", "to='juliet@localhost'"):
            [answer] = self.juliet.ask(f"<iq {address} type='get' id='1'>{query}</iq>")
            self.assertIn("<name>stock</name>", answer)
        for address in ("romeo@localhost", "nobody@localhost", "romeo@localhost/garden"):
            self.assertEqual(self.send(f"<iq to='{address}' type='get' id='1'>{query}</iq>"), ERROR)
        self.assertEqual(self.send(f"<iq to='romeo@localhost/orchard' type='get' id='1'>{query}</iq>"), "orchard")

# -*- test-case-name: tests.services.test_externalservices -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.services.externalservices}."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from muccore.services.disco import AccountDiscoHandler
from muccore.services.externalservices import (
    SERVICES_LIMIT,
    ExternalService,
    ExternalServicesHandler,
    ExternalServicesSettings,
    password,
)
from muccore.testing.inmemory import InMemoryServer
from muccore.xmpp import ns
from muccore.xmpp.datetimes import stamp

SECRET = "logen"
STUN = ExternalService("stun", "stun.example", 3478, "udp")
TURN = ExternalService("turn", "turn.example", 3478, "udp")
TURNS = ExternalService("turns", "turn.example", 5349, "tcp")
OTHER = ExternalService("ftp", "192.0.2.1")
SETTINGS = ExternalServicesSettings([STUN, TURN, TURNS, OTHER], SECRET, 3600)


class HandlerTests(SynchronousTestCase):
    """Requests of users."""

    def setUp(self) -> None:
        """Start a server with a user."""
        self.server = InMemoryServer()
        self.handler = ExternalServicesHandler(SETTINGS)
        for handler in (AccountDiscoHandler(), self.handler):
            self.server.addHandler(handler)
        self.romeo = self.server.client("romeo@localhost/orchard")

    def ask(self, payload: str, client: Any = None) -> Any:
        """Send a request; return the answer."""
        client = client or self.romeo
        client.sends(f"<iq type='get' id='1' to='localhost'>{payload.replace('XMLNS', ns.EXTERNAL_SERVICES)}</iq>")
        [answer] = client.received()
        return answer

    def services(self, payload: str, client: Any = None) -> list[dict[str, str]]:
        """The attributes of the services in an answer."""
        answer = self.ask(payload, client)
        self.assertEqual(answer["type"], "result", answer.toXml())
        [found] = answer.elements()
        self.assertEqual(found.uri, ns.EXTERNAL_SERVICES)
        return [{str(name): value for name, value in each.attributes.items()} for each in found.elements()]

    def assertRefused(self, answer: Any, condition: str) -> None:
        """Check that an answer is this error."""
        self.assertEqual(answer["type"], "error")
        self.assertIsNotNone(answer.error.child(condition, ns.STANZA_ERRORS), answer.toXml())

    def test_services(self) -> None:
        """§3.1: all services, relays with credentials for a limited time."""
        stun, turn, turns, other = self.services("<services xmlns='XMLNS'/>")
        self.assertEqual(stun, {"type": "stun", "host": "stun.example", "port": "3478", "transport": "udp"})
        self.assertEqual(other, {"type": "ftp", "host": "192.0.2.1"})
        expires = int(self.server.clock.seconds()) + 3600
        self.assertRegex(turn["username"], rf"\A{expires}:[0-9a-f]{{16}}\Z")
        self.assertEqual(turn, {
            "type": "turn", "host": "turn.example", "port": "3478", "transport": "udp", "restricted": "true",
            "username": turn["username"], "password": password(SECRET, turn["username"]), "expires": stamp(expires),
        })  # fmt: skip
        self.assertEqual((turns["port"], turns["password"]), ("5349", turn["password"]))

    def test_password(self) -> None:
        """The passwords are those that coturn computes: C{base64(HMAC-SHA1(secret, username))}."""
        # openssl dgst -sha1 -hmac logen -binary | openssl base64
        self.assertEqual(password("logen", "1433065916:ninefingers"), "d9e+ANbXfEdV1hQItfU0bINZWO4=")

    def test_pseudonyms(self) -> None:
        """User names tell users from each other, whatever client they have, and do not name them."""
        found = []
        for address in ("romeo@localhost/x", "romeo@localhost/y", "juliet@localhost/x"):
            [turn] = self.services("<services xmlns='XMLNS' type='turn'/>", self.server.client(address))
            found.append(turn["username"])
        self.assertEqual(found[0], found[1])
        self.assertNotEqual(found[0], found[2])
        self.assertNotIn("romeo", found[0])
        self.handler.settings = ExternalServicesSettings([TURN], "another", 3600)
        [turn] = self.services("<services xmlns='XMLNS' type='turn'/>")
        self.assertNotEqual(turn["username"], found[0])

    def test_selected(self) -> None:
        """§3.2: those of a type, which the answer repeats."""
        answer = self.ask("<services xmlns='XMLNS' type='stun'/>")
        self.assertEqual(answer.services["type"], "stun")
        self.assertEqual([each["host"] for each in answer.services.elements()], ["stun.example"])
        self.assertEqual(self.services("<services xmlns='XMLNS' type='sip'/>"), [])

    def test_credentials(self) -> None:
        """§3.3: credentials for services by host and type, and by port and transport if the client gives them."""
        for attributes, ports in (
            ("host='turn.example' type='turn'", ["3478"]), ("host='turn.example' type='turns' port='5349'", ["5349"]),
            ("host='turn.example' type='turn' transport='udp'", ["3478"]),
        ):  # fmt: skip
            found = self.services(f"<credentials xmlns='XMLNS'><service {attributes}/></credentials>")
            self.assertEqual([each["port"] for each in found], ports)
            self.assertIn("password", found[0])
        both = "<service host='turn.example' type='turn'/><service host='turn.example' type='turns'/>"
        self.assertEqual(len(self.services(f"<credentials xmlns='XMLNS'>{both * 2}</credentials>")), 2)

    def test_noCredentials(self) -> None:
        """§3.3: for other services there are none; what names none is a bad request."""
        for inside, condition in (
            ("<service host='stun.example' type='stun'/>", "item-not-found"),
            ("<service host='turn.example' type='turn' port='1'/>", "item-not-found"),
            ("<service host='turn.example' type='turn' port=''/>", "item-not-found"),
            ("<service host='other.example' type='turn'/>", "item-not-found"),
            ("<service type='turn'/>", "bad-request"), ("<service host='turn.example'/>", "bad-request"),
            ("", "bad-request"),
            ("<other host='turn.example' type='turn'/>", "bad-request"),
            ("<service host='turn.example' type='turn'/>" * (SERVICES_LIMIT + 1), "bad-request"),
        ):  # fmt: skip
            self.assertRefused(self.ask(f"<credentials xmlns='XMLNS'>{inside}</credentials>"), condition)
        self.handler.settings = ExternalServicesSettings([TURN])
        answer = self.ask("<credentials xmlns='XMLNS'><service host='turn.example' type='turn'/></credentials>")
        self.assertRefused(answer, "item-not-found")
        [turn] = self.services("<services xmlns='XMLNS'/>")
        self.assertNotIn("password", turn)

    def test_forbidden(self) -> None:
        """§2: guests are refused unless they may know, too."""
        guest = self.server.client("6d3f6a5c-93b1-4b6e-8a4f-000000000000@localhost/x")
        self.assertEqual(len(self.services("<services xmlns='XMLNS'/>", guest)), 4)
        self.handler.hasGuests = True
        for payload in ("<services xmlns='XMLNS'/>", "<credentials xmlns='XMLNS'/>"):
            self.assertRefused(self.ask(payload, guest), "forbidden")
        self.handler.settings = ExternalServicesSettings([TURN], SECRET, guests=True)
        self.assertEqual(len(self.services("<services xmlns='XMLNS'/>", guest)), 1)

    def test_disco(self) -> None:
        """§5: the feature is there if a service is."""
        for settings, found in ((SETTINGS, True), (ExternalServicesSettings(), False)):
            self.handler.settings = settings
            answer = self.ask(f"<query xmlns='{ns.DISCO_INFO}'/>")
            self.assertEqual(f"'{ns.EXTERNAL_SERVICES}'" in answer.toXml(), found)
        self.assertRefused(self.ask("<services xmlns='XMLNS'/>"), "service-unavailable")

    def test_secret(self) -> None:
        """The secret is in no C{repr}."""
        self.assertNotIn(SECRET, repr(SETTINGS))

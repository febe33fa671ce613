# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.server.externalcomponents}."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.logger import LogLevel
from twisted.trial.unittest import SynchronousTestCase

from muccore.server.assembly import ServerComponents
from muccore.testing.server import makeSettings
from muccore.xmpp import jid
from tests.configuration import Logged
from tests.routing.helpers import Client, FakeStream, conditions, xml

ONE, TWO, ELSEWHERE = "one.localhost", "two.localhost", "three.example.org"


def settings(*names: str, secret: str = "s") -> Any:
    """A configuration with components."""
    return makeSettings(**{f"component {name}": {"secret": secret} for name in names})


class ExternalComponentsTests(SynchronousTestCase):
    """Components by the configuration, and Romeo."""

    def setUp(self) -> None:
        """Assemble a server with two components."""
        self.components = ServerComponents(settings(ONE, ELSEWHERE), Clock())
        self.successResultOf(self.components.open())
        stream = FakeStream()
        self.romeo = Client(self.components.sessions.bind(jid.parse("romeo@localhost"), "r", stream), stream)

    def connect(self, name: str) -> FakeStream:
        """Let a component connect."""
        stream = FakeStream()
        component: Any = self.components.router.domains[name]
        component.connect(stream)
        return stream

    def offered(self) -> list[str]:
        """The names that may connect."""
        features: Any = self.components.external.streams.features
        return sorted(f"{name} {access.secret}" for name, access in features.components.items())

    def items(self) -> list[str]:
        """The items of the server (XEP-0030)."""
        query = "<query xmlns='http://jabber.org/protocol/disco#items'/>"
        [answer] = self.romeo.ask(f"<iq type='get' id='1' to='localhost'>{query}</iq>")
        found = next(xml(answer).childElements())
        return [item.attributes["jid"] for item in found.childElements()]

    def test_away(self) -> None:
        """A component is known before it connects."""
        self.assertEqual(self.offered(), [f"{ONE} s", f"{ELSEWHERE} s"])
        for name, condition in ((ONE, "remote-server-timeout"), (TWO, "remote-server-not-found")):
            self.assertEqual(conditions(self.romeo.ask(f"<message to='a@{name}'/>")), [condition])

    def test_items(self) -> None:
        """The items of a server are its rooms and the components below its domain that are connected."""
        self.assertEqual(self.items(), ["conference.localhost"])
        self.connect(ONE)
        self.connect(ELSEWHERE)
        self.assertEqual(self.items(), ["conference.localhost", ONE])

    def test_reconfigured(self) -> None:
        """Components come, go and change their secret without a restart."""
        stream = self.connect(ONE)
        self.components.reconfigure(settings(TWO, secret="new"), {})
        self.assertEqual([error and error.condition for error in stream.closed], ["host-gone"])
        self.assertEqual(self.offered(), [f"{TWO} new"])
        for name, condition in ((TWO, "remote-server-timeout"), (ONE, "remote-server-not-found")):
            self.assertEqual(conditions(self.romeo.ask(f"<message to='a@{name}'/>")), [condition])
        self.connect(TWO)

    def test_inUse(self) -> None:
        """The domain of rooms that has been removed from the configuration is served until the next start."""
        logged = Logged(self)
        changed = makeSettings(
            muc={"domain": "rooms.localhost"}, **{"component conference.localhost": {"secret": "s"}}
        )
        self.components.reconfigure(changed, {})
        self.assertEqual(
            logged.lines(LogLevel.warn),
            ["component conference.localhost: the domain is in use until the next start"],
        )
        self.assertEqual(self.offered(), [])

    def test_timeouts(self) -> None:
        """The limits of clients' streams apply, but a component may be silent."""
        streams = self.components.external.streams.settings
        self.assertEqual(streams.idleTimeout, 0)
        self.assertEqual(streams.stanzaSize, self.components.streams.settings.stanzaSize)

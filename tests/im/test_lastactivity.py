# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.im.lastactivity} (XEP-0012)."""

from __future__ import annotations

from twisted.logger import LogLevel

from muccore.im import lastactivity
from muccore.im.lastactivity import INTERVAL, KEY, KIND, LastActivityHandler
from muccore.im.rosters import PlannedChange
from muccore.interfaces import RosterItem
from muccore.testing.inmemory import Client
from muccore.xmpp.errors import conditionOf
from tests.configuration import Logged
from tests.im.userdatahelpers import UserDataTestCase

JULIET = "juliet@localhost"
GET = "<query xmlns='jabber:iq:last'/>"


class LastActivityTestCase(UserDataTestCase):
    """Romeo may see Juliet's presence, Tybalt may not."""

    def setUp(self) -> None:
        """Log in; nobody is available."""
        super().setUp()
        self.start()
        for account in (JULIET, "nobody@localhost"):
            items = {
                "romeo@localhost": RosterItem(subscription="from"),
                "tybalt@localhost": RosterItem(subscription="to"),
            }
            change = self.server.rosters.change(account, lambda _, items=items: PlannedChange(items, lambda: None))
            self.successResultOf(change)
        self.juliet, self.romeo, self.tybalt = self.login("juliet", "romeo", "tybalt")

    def start(self) -> None:
        """Make the handler."""
        self.presence.availableObservers.clear()
        self.presence.goneObservers.clear()
        self.handler = LastActivityHandler(self.store, self.presence)
        self.server.addHandler(self.handler)

    def last(self, client: Client, to: str = JULIET) -> str:
        """Ask; return seconds and text, or the condition of the error."""
        answer = self.ask(client, "get", GET, to)
        condition = conditionOf(answer)
        if condition is not None:
            return condition
        [query] = answer.childElements()
        return f"{query['seconds']} {query.text()}".strip()

    def stored(self) -> int:
        """How often something has been stored since the last call."""
        count = self.store.calls.count("change")
        self.store.calls.clear()
        return count


class RequestTests(LastActivityTestCase):
    """Requests."""

    def test_available(self) -> None:
        """While a resource is available, it is nothing (§3)."""
        self.juliet.sends("<presence><status>here</status></presence>")
        self.juliet.received()
        for client in (self.romeo, self.juliet):
            self.assertEqual(self.last(client), "0")

    def test_forbidden(self) -> None:
        """Others get C{forbidden}, for accounts that do not exist as well, to clients too."""
        for to in (JULIET, "nobody@localhost", self.juliet.address):
            self.assertEqual(self.last(self.tybalt, to), "forbidden")
        self.assertEqual(self.juliet.received(), [])
        self.assertEqual(self.last(self.romeo, "nobody@localhost"), "item-not-found")

    def test_client(self) -> None:
        """Requests to a client arrive from those who may see its presence, or to whom it has directed presence."""
        request = f"<iq type='get' id='1' to='{self.juliet.address}'>{GET}</iq>"
        self.romeo.sends(request)
        self.assertEqual(self.received(self.juliet), ["iq 1 get"])
        for to in (self.tybalt.address, "tybalt@localhost"):
            self.juliet.sends(f"<presence to='{to}'/>")
            self.tybalt.received()
            self.tybalt.sends(request)
            self.assertEqual(self.received(self.juliet), ["iq 1 get"])
            self.juliet.sends(f"<presence type='unavailable' to='{to}'/>")
            self.tybalt.received()
            self.tybalt.sends(request)
            self.assertEqual((self.juliet.received(), self.received(self.tybalt)), ([], ["iq 1 forbidden"]))
        self.tybalt.sends(f"<iq type='get' id='1' to='{self.juliet.address}'><query xmlns='urn:x'/></iq>")
        self.assertEqual(self.received(self.juliet), ["iq 1 get"])


class TimeTests(LastActivityTestCase):
    """The times."""

    def test_gone(self) -> None:
        """
        When the last resource is unavailable, or its session ends, the time and the status are kept, before and after
        they are stored, and over a restart.
        """
        [phone] = self.login("juliet/phone")
        for client in (self.juliet, phone):
            client.sends("<presence/>")
        phone.sends("<presence type='unavailable'><status>first</status></presence>")
        self.assertEqual(self.last(self.romeo), "0")
        self.server.clock.advance(100.5)
        self.juliet.sends("<presence type='unavailable'><status>Good night &lt;</status></presence>")
        self.server.clock.advance(7.2)
        self.assertEqual(self.last(self.romeo), "7 Good night <")
        self.server.clock.advance(INTERVAL)
        self.assertEqual(self.last(self.romeo), "17 Good night <")
        for client in (self.juliet, phone):
            client.dropConnection()
        self.handler.disownHandlerParent(self.server.users)
        self.start()
        self.assertEqual(self.last(self.romeo), "17 Good night <")
        [juliet] = self.login("juliet")
        juliet.sends("<presence/>")
        juliet.dropConnection()
        self.assertEqual(self.last(self.romeo), "0")
        self.server.clock.advance(3600)
        self.assertEqual(self.last(self.romeo), "3600")

    def test_timeOfDay(self) -> None:
        """Times are those of the day, since the epoch of the clock is another one after a restart."""
        times = [1000.9]
        self.patch(self.server.users, "now", lambda: times[0])
        self.juliet.sends("<presence/>")
        self.juliet.sends("<presence type='unavailable'/>")
        for time, expected in ((1060.1, "60"), (900.0, "0")):
            times[0] = time
            self.assertEqual(self.last(self.romeo), expected)

    def test_neverAvailable(self) -> None:
        """A session that was never available changes nothing."""
        self.juliet.sends("<presence type='unavailable'/>")
        self.juliet.sends(f"<presence to='{self.romeo.address}'/>")
        self.juliet.dropConnection()
        self.romeo.received()
        self.server.clock.advance(INTERVAL)
        self.assertEqual((self.stored(), self.last(self.romeo)), (0, "item-not-found"))

    def test_refused(self) -> None:
        """Presence that is refused changes nothing."""
        for presence in ("<priority>1000</priority>", f"<status>{'x' * 20_000}</status>"):
            self.juliet.sends(f"<presence>{presence}</presence>")
            [error] = self.juliet.received()
            self.assertEqual(error["type"], "error")
            self.assertEqual(self.last(self.romeo), "item-not-found")
        self.juliet.dropConnection()
        self.server.clock.advance(INTERVAL)
        self.assertEqual((self.stored(), self.last(self.romeo)), (0, "item-not-found"))

    def test_status(self) -> None:
        """The status is bounded; that of directed presence does not count."""
        self.juliet.sends("<presence/>")
        self.juliet.sends(f"<presence type='unavailable' to='{self.romeo.address}'><status>x</status></presence>")
        self.romeo.received()
        self.assertEqual(self.last(self.romeo), "0")
        self.juliet.sends(f"<presence type='unavailable'><status>{'ä' * 2000}</status></presence>")
        self.assertEqual(self.last(self.romeo), f"0 {'ä' * 1024}")

    def test_boundedWrites(self) -> None:
        """Who comes and goes again and again is stored once in an interval, and many in batches."""
        for _ in range(20):
            self.juliet.sends("<presence/>")
            self.juliet.sends("<presence type='unavailable'/>")
            self.server.clock.advance(0.1)
        self.store.calls.clear()
        self.server.clock.advance(INTERVAL)
        self.assertEqual(self.stored(), 1)
        self.server.clock.advance(10 * INTERVAL)
        self.assertEqual(self.stored(), 0)
        self.patch(lastactivity, "BATCH", 2)
        for client in (self.juliet, self.romeo, self.tybalt):
            client.sends("<presence/>")
            client.dropConnection()
        self.stored()
        for count in (2, 1, 0):
            self.server.clock.advance(INTERVAL)
            self.assertEqual(self.stored(), count)

    def test_meanwhile(self) -> None:
        """Who goes again while the time is being stored is stored again."""
        self.juliet.sends("<presence/>")
        self.juliet.sends("<presence type='unavailable'><status>1</status></presence>")
        self.store.slow = True
        self.server.clock.advance(INTERVAL)
        self.juliet.sends("<presence/>")
        self.juliet.sends("<presence type='unavailable'><status>2</status></presence>")
        self.store.release()
        self.server.clock.advance(INTERVAL)
        self.store.release()
        self.store.slow = False
        content = self.successResultOf(self.store.get(JULIET, KIND, KEY))
        self.assertIn(b'"status": "2"', content)

    def test_failed(self) -> None:
        """If times cannot be stored, that is logged once for all."""
        for client in (self.juliet, self.romeo):
            client.sends("<presence/>")
            client.dropConnection()
        logged = Logged(self)
        self.store.failing = True
        self.server.clock.advance(INTERVAL)
        [line] = logged.lines(LogLevel.error)
        self.assertIn("of 2 users cannot be stored", line)

    def test_shutDown(self) -> None:
        """At the end all times are stored, in batches, and what follows at once."""
        self.patch(lastactivity, "BATCH", 1)
        for client in (self.juliet, self.romeo, self.tybalt):
            client.sends("<presence/>")
        for client in (self.juliet, self.romeo):
            client.dropConnection()
        self.stored()
        self.successResultOf(self.handler.shutDown(False))
        self.assertEqual(self.stored(), 2)
        self.tybalt.dropConnection()
        self.assertEqual(self.stored(), 1)
        self.assertEqual(self.server.clock.getDelayedCalls(), [])
        self.successResultOf(self.handler.shutDown(False))

    def test_restored(self) -> None:
        """A session that was saved as available is available, and one that was not is not."""
        self.juliet.session.priority = 0
        self.assertEqual(self.last(self.romeo), "0")
        for client in (self.juliet, self.romeo):
            client.dropConnection()
        self.server.clock.advance(INTERVAL)
        self.assertEqual(self.successResultOf(self.store.keys(JULIET, KIND)), [KEY])
        self.assertEqual(self.successResultOf(self.store.keys("romeo@localhost", KIND)), [])

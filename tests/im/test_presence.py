# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.im.presence}."""

from __future__ import annotations

from tests.im.imhelpers import IMTestCase
from tests.routing.helpers import canonical, conditions, xml
from tests.session.helpers import ROMEO, SessionTestCase
from tests.turns import turn


class BroadcastTests(SessionTestCase):
    """Presence without C{to} (RFC 6121 §4.2 to §4.5, §4.7)."""

    def presence(self, to: str, sender: str = ROMEO, inside: str = "", type: str = "") -> list[str]:
        """A received presence."""
        type = f" type='{type}'" if type else ""
        return canonical(f"<presence from='{sender}' to='{to}'{type}>{inside}</presence>")

    def test_initial(self) -> None:
        """Initial presence is sent to the resource itself too (§4.2.2)."""
        show = "<show>away</show>"
        self.assertEqual(self.romeo.ask(f"<presence>{show}</presence>"), self.presence(ROMEO, inside=show))
        self.assertEqual(self.romeo.session.priority, 0)
        assert self.romeo.session.presence is not None
        self.assertEqual(self.take(), [])

    def test_tooLarge(self) -> None:
        """Large presence is refused, since it would be kept; the presence before stays."""
        garden = self.connect("romeo@localhost/garden", "<presence/>")
        self.romeo.ask("<presence><show>away</show></presence>")
        for size, expected in ((16_300, ROMEO), (16_400, "policy-violation")):
            garden.take()
            [answer] = self.romeo.ask(f"<presence><priority>1</priority><status>{'x' * size}</status></presence>")
            self.assertIn(expected, answer)
            self.assertEqual(len(garden.take()), int(size == 16_300))
        self.assertEqual(self.romeo.session.priority, 1)

    def test_toOtherResources(self) -> None:
        """Initial and updated presence is sent to the account's available resources only (§4.2.2, §4.4.2)."""
        garden = self.connect("romeo@localhost/garden", "<presence/>")
        silent = self.connect("romeo@localhost/silent")
        juliet = self.connect("juliet@localhost/balcony", "<presence/>")
        for inside in ("", "<priority>5</priority>"):
            self.romeo.send(f"<presence>{inside}</presence>")
            self.assertEqual(garden.take(), self.presence("romeo@localhost/garden", inside=inside))
        self.assertEqual((silent.take(), juliet.take()), ([], []))

    def test_presenceOfOthers(self) -> None:
        """A resource that becomes available gets the presence of the available ones, once."""
        garden = "romeo@localhost/garden"
        self.romeo.send("<presence><status>here</status></presence>")
        client = self.connect(garden)
        self.assertEqual(
            client.ask("<presence/>"),
            self.presence(garden, garden) + self.presence(garden, inside="<status>here</status>"),
        )
        self.assertEqual(client.ask("<presence/>"), self.presence(garden, garden))

    def test_priority(self) -> None:
        """Priorities are from -128 to 127 (§4.7.2.3)."""
        for text, priority in (("-128", -128), ("127", 127), (" +5 ", 5), ("007", 7), ("-0", 0)):
            self.romeo.ask(f"<presence><priority>{text}</priority></presence>")
            self.assertEqual(self.romeo.session.priority, priority)

    def test_badPriority(self) -> None:
        """Other priorities are C{bad-request}, and change nothing."""
        self.romeo.ask("<presence><priority>3</priority></presence>")
        for text in ("-129", "128", "", "high", "1.5", "99999999999", "٣"):
            answer = self.romeo.ask(f"<presence><priority>{text}</priority></presence>")
            self.assertEqual(conditions(answer), ["bad-request"], text)
        answer = self.romeo.ask("<presence><priority>1</priority><priority>2</priority></presence>")
        self.assertEqual(conditions(answer), ["bad-request"])
        self.assertEqual(self.romeo.session.priority, 3)

    def test_unavailable(self) -> None:
        """Unavailable presence is sent to the available resources, the sender included (§4.5.2)."""
        garden = self.connect("romeo@localhost/garden", "<presence/>")
        self.romeo.ask("<presence/>")
        garden.take()
        bye = "<status>bye</status>"
        self.assertEqual(
            self.romeo.ask(f"<presence type='unavailable'>{bye}</presence>"),
            self.presence(ROMEO, inside=bye, type="unavailable"),
        )
        self.assertEqual(
            garden.take(), self.presence("romeo@localhost/garden", inside=bye, type="unavailable")
        )
        self.assertEqual((self.romeo.session.priority, self.romeo.session.presence), (None, None))
        self.assertEqual(garden.ask("<presence/>"), self.presence("romeo@localhost/garden", "romeo@localhost/garden"))

    def test_unavailableTwice(self) -> None:
        """Unavailable presence of an unavailable resource is sent to nobody."""
        garden = self.connect("romeo@localhost/garden", "<presence/>")
        self.assertEqual(self.romeo.ask("<presence type='unavailable'/>"), [])
        self.assertEqual(garden.take(), [])

    def test_unknownType(self) -> None:
        """An unknown type is C{bad-request}, with or without C{to} (RFC 6121 §4.7.1)."""
        self.assertEqual(conditions(self.romeo.ask("<presence type='invisible'/>")), ["bad-request"])
        self.assertEqual(conditions(self.romeo.ask("<presence type='' to='a@b'/>")), ["bad-request"])
        self.assertEqual(self.take(), [])

    def test_probe(self) -> None:
        """A probe is routed, or dropped without C{to}."""
        self.assertEqual(self.romeo.ask("<presence type='probe'/>"), [])
        self.romeo.send("<presence type='probe' to='a@b'/>")
        self.assertRouted(("a@b", f"<presence type='probe' to='a@b' from='{ROMEO}'/>"))

    def test_error(self) -> None:
        """A presence error is routed, and not tracked as directed presence, or dropped without C{to}."""
        self.assertEqual(self.romeo.ask("<presence type='error'/>"), [])
        self.romeo.send("<presence type='error' to='a@b'/>")
        self.assertRouted(("a@b", f"<presence type='error' to='a@b' from='{ROMEO}'/>"))
        self.assertEqual(self.romeo.session.directed, {})


class DirectedTests(SessionTestCase):
    """Directed presence (RFC 6121 §4.6)."""

    def unavailable(self, to: str, inside: str = "") -> tuple[str, str]:
        """The unavailable presence for an address."""
        return to, f"<presence type='unavailable' from='{ROMEO}' to='{to}'>{inside}</presence>"

    def direct(self, *addresses: str) -> None:
        """Direct presence to addresses."""
        for address in addresses:
            self.romeo.send(f"<presence to='{address}'/>")
        self.take()

    def test_routed(self) -> None:
        """It is routed to its address only, and does not make the resource available (§4.6.3)."""
        garden = self.connect("romeo@localhost/garden", "<presence/>")
        self.romeo.send("<presence to='room@conf/nick'/>")
        self.assertRouted(("room@conf/nick", f"<presence to='room@conf/nick' from='{ROMEO}'/>"))
        self.assertEqual((garden.take(), self.romeo.session.priority), ([], None))

    def test_streamLost(self) -> None:
        """When the stream is lost, every address with directed presence gets unavailable presence, once."""
        self.direct("room@conf/nick", "juliet@localhost", "room@conf/nick")
        self.romeo.vanish()
        self.assertRouted(self.unavailable("juliet@localhost"), self.unavailable("room@conf/nick"))
        self.romeo.vanish()
        self.romeo.session.end()
        self.assertEqual(self.take(), [])

    def sessionsEnd(self, addresses: list[str]) -> None:
        """Two sessions end that have directed presence to the same addresses."""
        self.presenceHandler.directedLimit = 1000
        garden = self.connect("romeo@localhost/garden")
        for client in (self.romeo, garden):
            for address in addresses:
                client.send(f"<presence to='{address}'/>")
        self.take()
        self.romeo.vanish()
        garden.vanish()

    def test_many(self) -> None:
        """To many addresses it is sent in slices, of all sessions that end together; each gets it once."""
        addresses = [f"friend{n}@elsewhere" for n in range(300)]
        self.sessionsEnd(addresses)
        turns = [self.take()]
        while self.clock.getDelayedCalls():
            turn(self.clock)
            turns.append(self.take())
        self.assertLessEqual(max(map(len, turns)), 75)
        sent = [(to, *rest) for turn in turns for to, *rest in turn]  # type: ignore[misc]
        self.assertEqual(len(sent), 600)
        own = [to for to, text in sent if "orchard" in text]
        self.assertEqual(own, addresses)

    def test_returnsEarly(self) -> None:
        """Before another session of the same full JID directs presence to a room, that room gets it."""
        self.sessionsEnd([*(f"friend{n}@elsewhere" for n in range(300)), "room@conf/a", "room@conf/b"])
        self.take()
        again = self.connect(ROMEO)
        again.send("<presence to='room@conf/c'/>")
        self.assertEqual([to for to, *_ in self.take()], ["room@conf/a", "room@conf/b", "room@conf/c"])  # type: ignore[misc]
        again.send("<presence to='friend299@elsewhere'/>")
        self.assertEqual(len(self.take()), 2)
        while self.clock.getDelayedCalls():
            turn(self.clock)
        sent = [(to, text) for to, text in self.take() if "orchard" in text]  # type: ignore[misc]
        self.assertEqual(len(sent), 224)
        again.vanish()
        self.assertEqual([to for to, *_ in self.take()], ["room@conf/c", "friend299@elsewhere"])  # type: ignore[misc]

    def test_shutDown(self) -> None:
        """At the end of the server, all that is left is sent at once, and from then on."""
        self.sessionsEnd([f"friend{n}@elsewhere" for n in range(300)])
        self.take()
        self.presenceHandler.shutDown(True)
        self.assertEqual(len(self.take()), 525)
        self.romeo = self.connect(ROMEO)
        self.sessionsEnd([f"friend{n}@elsewhere" for n in range(300)])
        self.assertEqual(len(self.take()), 600)

    def test_unavailable(self) -> None:
        """Unavailable presence is sent to these addresses with its content, which ends their tracking (§4.6.3)."""
        self.direct("room@conf/nick", "juliet@localhost")
        self.romeo.send("<presence type='unavailable'><status>bye</status></presence>")
        bye = "<status>bye</status>"
        self.assertRouted(self.unavailable("room@conf/nick", bye), self.unavailable("juliet@localhost", bye))
        self.romeo.vanish()
        self.assertEqual(self.take(), [])

    def test_costLimit(self) -> None:
        """The content of unavailable presence is dropped if all copies together cost too much."""
        self.presenceHandler.directedLimit = 1000
        for count, inside in (
            (10, "<x/>" * 1960),
            (10, f"<status>{'x' * 256 * 1900}</status>"),
            (500, "<status>bye</status><c xmlns='urn:c'/>" + "<x/>" * 35),
        ):
            friends = [f"friend{n}@elsewhere" for n in range(count)]
            for more in ("", "<x/>" * 200):
                self.direct(*friends)
                self.romeo.send(f"<presence type='unavailable'>{inside}{more}</presence>")
                self.assertRouted(*(self.unavailable(friend, "" if more else inside) for friend in friends))

    def test_directedUnavailable(self) -> None:
        """Directed unavailable presence ends the tracking of an address, in any spelling."""
        self.direct("room@conf/nick", "juliet@localhost")
        self.romeo.send("<presence type='unavailable' to='ROOM@conf/nick'/>")
        self.assertRouted(("room@conf/nick", f"<presence type='unavailable' from='{ROMEO}' to='ROOM@conf/nick'/>"))
        self.romeo.vanish()
        self.assertRouted(self.unavailable("juliet@localhost"))

    def test_unavailableToStrangers(self) -> None:
        """Directed unavailable presence is routed without available presence before it."""
        self.romeo.send("<presence type='unavailable' to='room@conf/nick'/>")
        self.assertRouted(("room@conf/nick", f"<presence type='unavailable' from='{ROMEO}' to='room@conf/nick'/>"))

    def test_conflict(self) -> None:
        """When another session takes over the resource, unavailable presence is sent first."""
        self.direct("room@conf/nick")
        self.connect(ROMEO)
        self.assertEqual(
            self.take(),
            [("closed", "conflict"), ("room@conf/nick", *canonical(self.unavailable("room@conf/nick")[1]))],
        )

    def test_limit(self) -> None:
        """Presence to more addresses than the limit is refused and not routed."""
        self.direct("a@b", "c@d", "e@f")
        answer = self.romeo.ask("<presence to='g@h'/>")
        self.assertEqual((conditions(answer), self.take()), (["resource-constraint"], []))
        self.direct("c@d")
        self.romeo.send("<presence to='a@b' type='unavailable'/>")
        self.assertEqual(self.romeo.ask("<presence to='g@h'/>"), [])

    def test_nickChangesAtTheLimit(self) -> None:
        """At the limit, a new address replaces the oldest one at the same bare JID."""
        self.direct("room@conf/a", "x@y", "room@conf/b")
        self.direct("room@conf/c")
        self.romeo.vanish()
        self.assertRouted(self.unavailable("x@y"), self.unavailable("room@conf/b"), self.unavailable("room@conf/c"))

    def test_nickChangedBack(self) -> None:
        """An address to which presence is directed again is the latest one."""
        self.direct("room@conf/a", "x@y", "room@conf/b", "room@conf/a")
        self.direct("room@conf/c")
        self.romeo.vanish()
        self.assertRouted(self.unavailable("x@y"), self.unavailable("room@conf/a"), self.unavailable("room@conf/c"))

    def test_ownResources(self) -> None:
        """The account's available resources get unavailable presence of one that was available."""
        garden = self.connect("romeo@localhost/garden", "<presence/>")
        silent = self.connect("romeo@localhost/silent")
        self.romeo.ask("<presence/>")
        garden.take()
        silent.vanish()
        self.assertEqual(garden.take(), [])
        self.romeo.vanish()
        self.assertEqual(
            garden.take(),
            canonical(f"<presence type='unavailable' from='{ROMEO}' to='romeo@localhost/garden'/>"),
        )


class RenderingTests(SessionTestCase):
    """Presence that a session keeps."""

    def test_presenceUntouched(self) -> None:
        """It does not change when it is sent to others."""
        self.romeo.ask("<presence><show>dnd</show></presence>")
        presence = self.romeo.session.presence
        assert presence is not None
        before = presence.addressed(b"")
        self.connect("romeo@localhost/garden", "<presence/>")
        self.assertEqual(presence.addressed(b""), before)
        self.assertEqual(canonical(before), canonical(xml(f"<presence from='{ROMEO}'><show>dnd</show></presence>")))


class AgainTests(IMTestCase):
    """A session that ended is followed by one with the same full JID, while its goodbyes are still being said."""

    def test_contact(self) -> None:
        """A contact to whom presence was directed hears of the end first, then that the other one is available."""
        self.presence.directedLimit = 1000
        romeo, juliet = self.connect("romeo"), self.connect("juliet")
        self.befriend(romeo, juliet)
        for address in (*(f"friend{n}@remote.lit" for n in range(300)), "juliet@localhost", "juliet@localhost/a"):
            romeo.send(f"<presence to='{address}'/>")
        romeo.vanish()
        juliet.take()
        self.connect("romeo")
        while self.clock.getDelayedCalls():
            turn(self.clock)
        kinds = [line.split()[0] for line in self.received(juliet) if "from romeo@localhost/a" in line]
        self.assertEqual(kinds, ["unavailable", "unavailable", "available"])

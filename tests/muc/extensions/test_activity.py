# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.muc.extensions.activity} (XEP-0502)."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from muccore.interfaces import StoreError
from muccore.muc.extensions.activity import FIELD, HOURS, Activity
from muccore.testing.doubles import FailingRoomStore
from muccore.testing.inmemory import Client
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from tests.muc.muchelpers import ROOM, RoomTestCase, say, sendGroupchat, sendIQ, setSubject

HOUR = 3600


class ActivityTests(SynchronousTestCase):
    """L{Activity}"""

    @settings(max_examples=60)
    @given(st.integers(0, 2 * HOUR), st.lists(st.integers(0, 30 * HOUR), max_size=30))
    def test_mean(self, start: int, gaps: list[int]) -> None:
        """The rate is the number of messages of the last full hours, 24 at most, divided by these."""
        activity, now, times = Activity.beginning(start), start, []
        for gap in gaps:
            now += gap
            activity.advance(now)
            activity.count += 1
            times.append(now)
            present, first = now // HOUR, start // HOUR + 1
            oldest = max(first, present - HOURS)
            rate = activity.rate()
            if present <= first:
                self.assertIsNone(rate)
            else:
                counted = sum(1 for when in times if oldest <= when // HOUR < present)
                self.assertEqual(rate, counted / (present - oldest))
            self.assertLessEqual(len(activity.past), HOURS)
            self.assertEqual(Activity(**asdict(activity)), activity)

    def test_clockSetBack(self) -> None:
        """If the clock is set back, nothing is lost."""
        activity = Activity.beginning(10 * HOUR)
        for now in (11, 12, 11.5, 12, 13):
            activity.advance(now * HOUR)
            activity.count += 1
        self.assertEqual((activity.hour, activity.past), (13, [3, 1, 0]))


class IndicatorTests(RoomTestCase):
    """A persistent room that everybody can find."""

    fields: dict[str, Any] = {"persistentroom": True}

    def startServer(self, store: Any = None, **options: Any) -> None:
        super().startServer(store, **options)
        # The next hour begins.
        self.server.clock.advance(HOUR - self.server.clock.seconds() % HOUR)

    def later(self, hours: float) -> None:
        """Let time pass."""
        self.server.clock.advance(hours * HOUR)

    def field(self, client: Client | None = None) -> Element | None:
        """The field that somebody outside finds."""
        client = client or self.client("nurse")
        client.received()
        sendIQ(client, "get", f"<query xmlns='{ns.DISCO_INFO}'/>")
        form = self.result(client).child("x", ns.DATA)
        assert form is not None
        return next((each for each in form.childElements() if each.get("var") == FIELD), None)

    def rate(self) -> str | None:
        """The messages per hour that somebody outside finds."""
        field = self.field()
        return None if field is None else field.childText("value")

    def test_rate(self) -> None:
        """§3.1: The mean of the full hours since the room is known; none before the first has ended."""
        say(self.owner, "before")
        self.assertIsNone(self.rate())
        self.later(1)
        self.assertIsNone(self.rate())
        for _ in range(10):
            say(self.owner, "a")
        self.later(1)
        self.assertEqual(self.rate(), "10.00")
        say(self.owner, "a")
        self.assertEqual(self.rate(), "10.00")
        self.later(2)
        self.assertEqual(self.rate(), "3.67")
        self.later(22)
        self.assertEqual(self.rate(), "0.04")
        self.later(1)
        self.assertEqual(self.rate(), "0.00")

    def test_field(self) -> None:
        """§3.1: It has the label of the text."""
        self.rate()
        self.later(2)
        field = self.field()
        assert field is not None
        expected = {"var": FIELD, "type": "text-single", "label": "Messages per hour"}
        self.assertEqual(field.attributes, expected)

    def test_counted(self) -> None:
        """§4: Only messages to all with a body count; no corrections, subjects, private or imported messages."""
        self.rate()
        self.later(1)
        say(self.owner, "counts")
        sendGroupchat(self.owner, "<composing xmlns='http://jabber.org/protocol/chatstates'/>")
        sendGroupchat(self.owner, f"<body>x</body><replace xmlns='{ns.CORRECT}' id='1'/>")
        sendGroupchat(self.owner, f"<body>x</body><delay xmlns='{ns.DELAY}' from='o@x' stamp='2002-10-13T23:58:37Z'/>")
        setSubject(self.owner, "x")
        self.owner.sends(f"<message type='chat' to='{ROOM}/Owner'><body>x</body></message>")
        self.later(1)
        self.assertEqual(self.rate(), "1.00")

    def test_whichRooms(self) -> None:
        """§3.1, §8: Only of rooms that are persistent, public and open to everybody; otherwise there is no field."""
        self.rate()
        self.later(2)
        self.assertEqual(self.rate(), "0.00")
        for fields in (
            {"persistentroom": False},
            {"publicroom": False},
            {"membersonly": True},
            {"passwordprotectedroom": True, "roomsecret": "rose"},
        ):
            self.configureRoom(**fields)
            self.assertIsNone(self.field(), fields)
            self.configureRoom(
                persistentroom=True, publicroom=True, membersonly=False, passwordprotectedroom=False, roomsecret=""
            )
            self.assertIsNotNone(self.field())

    def test_stored(self) -> None:
        """What the hours before a restart had is found after it; it is written once an hour, with a message."""
        self.rate()
        self.later(1)
        for _ in range(8):
            say(self.owner, "a")
        self.assertEqual(self.storedRecord().states["activity"]["hours"]["count"], 0)
        self.later(1)
        self.assertEqual(self.rate(), "8.00")
        say(self.owner, "b")
        now, store = self.server.clock.seconds(), self.server.store
        self.startServer(store)
        self.server.clock.advance(now - self.server.clock.seconds())
        self.assertEqual(self.rate(), "8.00")

    def test_notStored(self) -> None:
        """Nothing is written of a room that may not be there tomorrow."""
        self.openRoom(persistentroom=False)
        for _ in range(3):
            say(self.owner, "a")
            self.later(1)
        self.assertEqual(self.storedRecord().states, {})

    def test_storeFails(self) -> None:
        """If the store fails, messages go on, and so does the count."""
        store = FailingRoomStore()
        self.openRoom(store, persistentroom=True)
        self.rate()
        self.later(1)
        store.failing = frozenset({"change"})
        for _ in range(3):
            say(self.owner, "a")
            self.later(1)
        self.assertEqual(self.rate(), "1.00")
        self.assertEqual(self.flushLoggedErrors(StoreError), [])

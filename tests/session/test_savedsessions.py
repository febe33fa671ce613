# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.session.savedsessions}."""

from __future__ import annotations

import json
from typing import Any

from muccore.im.presence import PresenceHandler
from muccore.im.userdomain import UserDomain
from muccore.interfaces import ResumptionFailed, UserAgent
from muccore.session import savedsessions
from muccore.session.registry import Sessions
from muccore.session.session import Session
from muccore.session.streammanagement import ManagementSettings
from muccore.xmpp import jid
from muccore.xmpp.errors import StreamError
from tests.routing.helpers import Client, FakeStream, canonical, makeRosters, xml
from tests.session.helpers import ROMEO, FakeRouter, SessionTestCase

ACCOUNT = jid.parse("romeo@localhost")

HOLD = 100

UNAVAILABLE = f"<presence type='unavailable' from='{ROMEO}' to='room@conf/nick'/>"


class SavedTestCase(SessionTestCase):
    """A session of Romeo's that can be resumed, with presence, and three messages of which one is acknowledged."""

    def setUp(self) -> None:
        """Begin it."""
        super().setUp()
        self.clock.advance(1_000_000_000)
        self.sessions.resumptions.settings = ManagementSettings(HOLD, 50, 5000)
        self.romeo.session.language = "it"
        self.romeo.send("<presence><priority>3</priority><show>xa</show></presence>")
        self.romeo.send("<presence to='room@conf/nick'/>")
        management = self.romeo.session.enableManagement(True, None)
        assert management.id is not None
        self.smID = management.id
        self.romeo.send("<message to='a@b'/>")
        self.deliver(1, 2, 3)
        management.acknowledge(1)
        self.romeo.take()
        self.take()

    def deliver(self, *numbers: int) -> None:
        """Deliver messages with these ids to Romeo."""
        for number in numbers:
            start = f"<message id='{number}' from='juliet@localhost/b' to='{ROMEO}' type='chat'>"
            self.users.dispatch(xml(f"{start}<body>\u2603</body></message>"), jid.parse(ROMEO))

    def save(self) -> list[bytes]:
        """End the server."""
        self.sessions.suspendAll()
        return [data for _, data in savedsessions.save(self.sessions)]

    def restart(self, saved: list[bytes], seconds: float = 10) -> list[Session]:
        """Start the server again, after some seconds."""
        self.clock.advance(seconds)
        self.take()
        self.sessions = Sessions(4, self.clock, ManagementSettings(HOLD, 50, 5000))
        self.router = self.sessions.router = FakeRouter(self.routed)
        self.users = UserDomain("localhost", self.router, self.clock, self.sessions)
        PresenceHandler(3, makeRosters(self.sessions)).setHandlerParent(self.users)
        return savedsessions.restore(self.sessions, saved)

    def resume(self, handled: int) -> list[str | None]:
        """Resume the session; return the ids of what is sent."""
        stream = FakeStream(self.routed)
        session = self.sessions.resume(ACCOUNT, self.smID, handled, stream)
        assert session.management is not None
        session.management.attach(stream)
        self.romeo = Client(session, stream)
        return [e.get("id") for e in map(xml, stream.take()) if e.name == "message"]


class RestoreTests(SavedTestCase):
    """Sessions that come back."""

    def test_resumed(self) -> None:
        """A session goes on where it was: the queue, the counters, and what is known of it."""
        old = self.romeo.session
        old.interested = old.wantsBlockList = True
        old.carbonsSince = 1.5
        old.notifiedNodes = frozenset(["urn:example:a", "urn:example:b"])
        old.userAgent = UserAgent("id", "Awesome", "phone")
        [session] = self.restart(self.save())
        names = ("fullText", "language", "priority", "prioritySince", "directed")
        for name in (*names, "interested", "carbonsSince", "wantsBlockList", "userAgent", "notifiedNodes"):
            self.assertEqual(getattr(session, name), getattr(old, name), name)
        assert session.presence is not None and old.presence is not None
        self.assertEqual(session.presence.addressed(b""), old.presence.addressed(b""))
        self.assertEqual((len(self.sessions), len(self.sessions.resumptions)), (1, 1))
        self.deliver(4)
        self.assertEqual(self.resume(2), ["3", "4"])
        assert session.management is not None
        self.assertEqual(session.management.handled, 1)
        self.romeo.send("<message to='a@b'/>")
        self.assertEqual(session.management.handled, 2)
        self.clock.advance(10 * HOLD)
        self.assertFalse(session.ended)

    def test_inactive(self) -> None:
        """What an inactive client (XEP-0352) was to be sent later is saved, too. A request follows it."""
        self.romeo.session.setActive(False)
        for nurse in ("nurse@localhost/a", "nurse@localhost/b"):
            presence = xml(f"<presence from='{nurse}' to='{ROMEO}'/>")
            self.users.dispatch(presence, jid.parse(ROMEO))
        self.assertEqual(self.romeo.take(), [])
        self.restart(self.save())
        stream = FakeStream(self.routed)
        session = self.sessions.resume(ACCOUNT, self.smID, 3, stream)
        assert session.management is not None
        session.management.attach(stream)
        senders = [xml(each).get("from") for each in stream.take()]
        self.assertEqual(senders, ["nurse@localhost/a", "nurse@localhost/b", None])

    def test_delayed(self) -> None:
        """Messages that come late have the time at which the connection was lost."""
        self.restart(self.save())
        stream = FakeStream(self.routed)
        session = self.sessions.resume(ACCOUNT, self.smID, 1, stream)
        assert session.management is not None
        session.management.attach(stream)
        first = stream.take()[0]
        self.assertIn('stamp="2001-09-09T01:46:40Z"', first)
        self.assertIn("\u2603", first)

    def test_saidTooMuch(self) -> None:
        """A counter that cannot be is refused as ever."""
        self.restart(self.save())
        self.assertRaises(StreamError, self.resume, 7)

    def test_again(self) -> None:
        """A session that was not resumed survives another end, without time of its own."""
        saved = self.save()
        self.restart(saved, 30)
        saved = self.save()
        [session] = self.restart(saved, 30)
        self.clock.advance(HOLD - 61)
        self.assertFalse(session.ended)
        self.clock.advance(2)
        self.assertTrue(session.ended)

    def test_held(self) -> None:
        """One that waited already has the rest of its time only, though the clock was set meanwhile."""
        self.romeo.vanish()
        self.clock.advance(HOLD - 20)
        self.clock.setBy = -3600
        [session] = self.restart(self.save(), 10)
        self.clock.advance(9)
        self.assertFalse(session.ended)
        self.clock.advance(2)
        self.assertTrue(session.ended)
        self.assertRaises(ResumptionFailed, self.resume, 1)

    def test_tooLate(self) -> None:
        """
        One whose time is over ends at once: others are told that it is unavailable, and what was not acknowledged goes
        back.
        """
        [session] = self.restart(self.save(), HOLD + 1)
        self.clock.advance(0)
        self.assertTrue(session.ended)
        routed = self.take()
        self.assertIn(("room@conf/nick", *canonical(UNAVAILABLE)), routed)
        self.clock.advance(0)
        self.clock.advance(0)
        bounced = [xml(text) for to, text in [*routed, *self.take()] if to == "juliet@localhost/b"]
        self.assertEqual([(each.get("id"), each.get("type")) for each in bounced], [("2", "error"), ("3", "error")])

    def test_shorterTime(self) -> None:
        """The present configuration limits the time."""
        saved = self.save()
        self.restart([])
        self.sessions.resumptions.settings = ManagementSettings(5, 50, 5000)
        [session] = savedsessions.restore(self.sessions, saved)
        self.clock.advance(6)
        self.assertTrue(session.ended)

    def test_otherAccount(self) -> None:
        """Nobody else resumes it."""
        self.restart(self.save())
        stream = FakeStream()
        with self.assertRaises(ResumptionFailed):
            self.sessions.resume(jid.parse("juliet@localhost"), self.smID, 1, stream)

    def test_replaced(self) -> None:
        """A client that binds its resource anew replaces it, as ever."""
        [session] = self.restart(self.save())
        self.connect(ROMEO)
        self.assertTrue(session.ended)
        self.assertEqual(len(self.sessions), 1)

    def test_damaged(self) -> None:
        """What makes no sense, or belongs to a domain that is gone, is dropped and logged; the others come back."""
        [saved] = self.save()
        state: dict[str, Any] = json.loads(saved)
        wrong = [
            b"{}", b"[]", b"x",
            json.dumps({**state, "jid": "romeo@gone.example/orchard"}).encode(),
            json.dumps({**state, "jid": "@"}).encode(),
            json.dumps({**state, "management": {**state["management"], "queue": [[1]]}}).encode(),
            json.dumps({**state, "management": {**state["management"], "handled": "x"}}).encode(),
        ]  # fmt: skip
        [session] = self.restart([*wrong, saved, saved])
        self.assertEqual(session.fullText, ROMEO)
        self.assertEqual(len(self.sessions), 1)
        self.assertEqual(len(self.flushLoggedErrors()), len(wrong))


class SaveTests(SavedTestCase):
    """The end of the server."""

    def test_suspended(self) -> None:
        """
        From the beginning of the end, nothing is handled, so that the client sends it again; what is sent to it is kept
        until it is saved.
        """
        self.sessions.suspendAll()
        self.romeo.send("<message to='a@b'/>")
        self.assertEqual(self.take(), [])
        self.deliver(4)
        self.assertIn('id="4"', self.romeo.take()[0])
        [(_, data)] = savedsessions.save(self.sessions)
        self.deliver(5)
        self.assertEqual(self.romeo.take(), [])
        [restored] = self.restart([data])
        assert restored.management is not None
        self.assertEqual(restored.management.handled, 1)
        self.assertEqual(self.resume(1), ["2", "3", "4"])

    def test_refusedAfterwards(self) -> None:
        """What is sent to a session that was saved comes back to its sender."""
        self.save()
        self.deliver(4)
        [(to, text)] = self.take()
        self.assertEqual((to, xml(text).get("type"), xml(text).get("id")), ("juliet@localhost/b", "error", "4"))

    def test_silent(self) -> None:
        """Nobody is told that it ends, nor when its stream is closed."""
        self.save()
        self.romeo.session.streamLost(self.romeo.stream, True)
        self.clock.advance(10 * HOLD)
        self.assertEqual(self.take(), [])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_lostMeanwhile(self) -> None:
        """One whose connection is lost between the beginning of the end and its saving is saved."""
        self.sessions.suspendAll()
        self.romeo.vanish()
        self.assertEqual(self.take(), [])
        self.restart([data for _, data in savedsessions.save(self.sessions)])
        self.assertEqual(self.resume(1), ["2", "3"])

    def test_closedMeanwhile(self) -> None:
        """One whose client closes the stream meanwhile ends."""
        self.sessions.suspendAll()
        self.romeo.session.streamLost(self.romeo.stream, True)
        self.assertIn(("room@conf/nick", *canonical(UNAVAILABLE)), self.take())
        self.assertEqual(savedsessions.save(self.sessions), [])

    def test_notResumable(self) -> None:
        """Others are not saved; they handle nothing more either, and end when their connection is lost."""
        other = self.connect("romeo@localhost/b")
        other.session.enableManagement(False, None)
        plain = self.connect("romeo@localhost/c")
        self.assertEqual(len(self.save()), 1)
        for client in (other, plain):
            client.send("<message to='a@b'/>")
            self.assertEqual(self.take(), [])
            client.vanish()
            self.assertTrue(client.session.ended)

    def test_limit(self) -> None:
        """Above the limit, sessions end as if they were not resumed: their messages go back."""
        self.patch(savedsessions, "LIMIT", 100)
        warnings: list[str] = []
        self.patch(savedsessions._log, "warn", lambda text, **fields: warnings.append(text.format(**fields)))
        self.assertEqual(self.save(), [])
        self.assertTrue(self.romeo.session.ended)
        self.assertIn(("room@conf/nick", *canonical(UNAVAILABLE)), self.take())
        self.assertIn("1 clients cannot resume", warnings[0])

    def test_thaw(self) -> None:
        """If it cannot be saved, the session ends as if it were not resumed."""
        self.sessions.suspendAll()
        [(session, _)] = savedsessions.save(self.sessions)
        session.thaw()
        self.assertTrue(session.ended)
        self.assertIn(("room@conf/nick", *canonical(UNAVAILABLE)), self.take())
        self.clock.advance(0)
        self.assertEqual([to for to, _ in self.take()], ["juliet@localhost/b"] * 2)

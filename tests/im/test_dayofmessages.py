# Copyright (c) The muccore authors. See LICENSE for details.
"""
A day of messages: a desktop, and a phone that sleeps. Random acts, on a clock that is set; whatever happens, each
message is where it belongs, once.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from muccore.im.carbons import CarbonsHandler
from muccore.im.presence import PresenceHandler
from muccore.interfaces import ResumptionFailed
from muccore.server.userdata import UserDataHandlers
from muccore.session import savedsessions
from muccore.storage.insecure import InsecureAuth
from muccore.storage.memoryuserdata import MemoryUserData
from muccore.testing.inmemory import Client, InMemoryServer
from muccore.testing.server import makeSettings
from muccore.xmpp import jid, ns
from muccore.xmpp.element import Element
from muccore.xmpp.errors import conditionOf

ROMEO: Final = "romeo@localhost"
JULIET: Final = "juliet@localhost/balcony"


def bodyOf(message: Element) -> tuple[str, bool]:
    """The body of a message or of the one of which it is a copy, and whether it is a copy."""
    for child in message.childElements():
        if child.uri == ns.CARBONS and child.name in ("sent", "received"):
            forwarded = child.child("forwarded", ns.FORWARD)
            assert forwarded is not None
            inside = forwarded.child("message", ns.CLIENT)
            assert inside is not None
            return inside.childText("body") or "", True
    return message.childText("body") or "", False


class Device:
    """
    A client of Romeo's with stream management and carbons.

    @ivar seen: how often it has got each message, as itself or as a copy.
    @ivar unsure: what it has got, and whose session was lost before the server knew: it may come again, here or there.
    @ivar stream: its connection; C{None} without one.
    @ivar asleep: whether it reads nothing.
    @ivar lazy: whether it acknowledges nothing until it must.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.seen: Counter[str] = Counter()
        self.unsure: set[str] = set()
        self.stream: Client | None = None
        self.asleep = self.lazy = False
        self.session: Any = None
        self._id: str | None = None
        self._handled = 0
        self._unacknowledged: list[str] = []

    @property
    def hasSession(self) -> bool:
        """Whether its session goes on, with a connection or without."""
        return self.session is not None and not self.session.ended

    def logIn(self, server: InMemoryServer) -> None:
        """Begin a new session."""
        self.loseSession()
        self.stream = server.client(f"{ROMEO}/{self.name}")
        self.session = self.stream.session
        self._id = self.session.enableManagement(True, None).id
        self._handled, self.asleep, self.lazy = 0, False, False
        self.stream.sends(f"<iq type='set' id='c'><enable xmlns='{ns.CARBONS}'/></iq>")
        self.stream.sends("<presence/>")

    def resume(self, server: InMemoryServer) -> bool:
        """Resume the session; return whether that is possible."""
        if self._id is None:
            return False
        stream = Client(f"{ROMEO}/{self.name}")
        try:
            session = server.sessions.resume(jid.parse(ROMEO), self._id, self._handled, stream)
        except ResumptionFailed:
            return False
        stream.session, self.session = session, session
        self.stream, self.asleep = stream, False
        self._unacknowledged.clear()
        assert session.management is not None
        session.management.attach(stream)
        return True

    def loseSession(self) -> None:
        """The session ends, perhaps without the server having been told of all that has come."""
        self.unsure.update(self._unacknowledged)
        self._unacknowledged.clear()
        self.session = self._id = self.stream = None

    def cut(self) -> None:
        """Lose the connection, and what is on its way."""
        if self.stream is not None:
            self.stream.session.streamLost(self.stream, False)
            self.stream = None

    def read(self) -> None:
        """Take what has come, and acknowledge it."""
        if self.stream is None or self.asleep:
            return
        for element in self.stream.received():
            if element.uri != ns.CLIENT:
                continue
            self._handled += 1
            if element.name == "message" and element.get("type") != "error":
                body, _ = bodyOf(element)
                self.seen[body] += 1
                self._unacknowledged.append(body)
        if not self.lazy:
            self._unacknowledged.clear()
            self.session.management.acknowledge(self._handled)


class Day:
    """
    The server, which is started again and again with the same store, both devices, and Juliet.

    @ivar belongs: for each message, the names of Romeo's other devices with a session when it came, which has not ended
        before they have got it.
    @ivar fragile: what was in no store when the server was killed.
    """

    def __init__(self) -> None:
        self.store = MemoryUserData()
        self.store.open()
        self.time = 0.0
        self.devices = {name: Device(name) for name in ("desktop", "phone")}
        self.belongs: dict[str, set[str]] = {}
        self.sent: list[str] = []
        self.heard: Counter[str] = Counter()
        self.returned: set[str] = set()
        self.fragile: set[str] = set()
        self.count = 0
        self.start()

    def start(self, saved: list[bytes] = []) -> None:  # noqa: B006
        """Start the server."""
        self.server = server = InMemoryServer()
        server.clock.advance(max(0.0, self.time - server.clock.seconds()))
        presence = next(each for each in server.users if isinstance(each, PresenceHandler))
        self.handlers = UserDataHandlers(self.store, makeSettings().users, presence, InsecureAuth())
        for handler in (CarbonsHandler(), *self.handlers.all):
            server.addHandler(handler)
        for session in savedsessions.restore(server.sessions, saved):
            self.handlers.sessionRestored(session)
        self.juliet = server.client(JULIET)
        self.juliet.sends("<presence/>")

    # Acts

    def write(self, to: str) -> None:
        """Juliet writes to Romeo, or to a client of that account."""
        self.count += 1
        body = f"m{self.count}"
        self.belongs[body] = {each.name for each in self.devices.values() if each.hasSession}
        self.juliet.sends(f"<message type='chat' id='{body}' to='{to}'><body>{body}</body></message>")

    def answer(self, name: str) -> None:
        """Romeo writes to Juliet from a device."""
        device = self.devices[name]
        if device.stream is None or device.asleep:
            return
        self.count += 1
        body = f"s{self.count}"
        self.sent.append(body)
        self.belongs[body] = {each.name for each in self.devices.values() if each.hasSession and each is not device}
        device.stream.sends(f"<message type='chat' id='{body}' to='{JULIET}'><body>{body}</body></message>")

    def act(self, name: str, what: str) -> None:
        """One device does something."""
        device = self.devices[name]
        if what == "again":
            device.session = None
        self.prune()
        if what == "cut":
            device.cut()
        elif what in ("return", "collapse", "glimpse"):
            if device.stream is None and not device.resume(self.server):
                device.logIn(self.server)
            # Before it has read anything, or acknowledged.
            device.asleep, device.lazy = what == "collapse", what == "glimpse"
        elif what == "again":
            device.logIn(self.server)
        elif what == "sleep":
            device.asleep = True
        elif what == "wake":
            device.asleep = device.lazy = False
        elif what == "lazy":
            device.lazy = True
        elif device.stream is not None and not device.asleep:
            device.stream.session.setActive(what == "active")

    def restart(self, kill: bool) -> None:
        """End the server, in an orderly way or not, and start it again."""
        self.advance(0)
        self.time = self.server.clock.seconds() + 5
        if kill:
            for device in self.devices.values():
                device.loseSession()
            self.prune()
            # What sessions were sent and had not acknowledged is in no store, if it did not come from there.
            kept = self.stored()
            self.fragile.update(self.belongs.keys() - kept)
            self.start()
            return
        self.server.sessions.suspendAll()
        self.handlers.offline.shutDown(False)
        saved = [data for _, data in savedsessions.save(self.server.sessions)]
        self.start(saved)
        for device in self.devices.values():
            device.stream = None
            device.session = self.server.sessions.forAccount(ROMEO).get(device.name)
        self.prune()

    def prune(self) -> None:
        """What a device has not got whose session has ended need not come to it any more."""
        for device in self.devices.values():
            if not device.hasSession:
                for body, owners in self.belongs.items():
                    if device.name in owners and not device.seen[body]:
                        owners.discard(device.name)

    def stored(self) -> set[str]:
        """The bodies of the messages that are stored for Romeo."""
        found = set()
        for key in self.now(self.store.keys(ROMEO, "offline")):
            content = self.now(self.store.get(ROMEO, "offline", key)).decode()
            found.add(content.partition("<body>")[2].partition("</body>")[0])
        return found

    @staticmethod
    def now(deferred: Deferred[Any]) -> Any:
        """The result of a request to the store."""
        results: list[Any] = []
        deferred.addCallback(results.append)
        return results[0]

    def advance(self, seconds: float) -> None:
        """Let time pass, and who is awake read."""
        self.server.clock.advance(seconds)
        self.prune()
        for _ in range(5):
            for device in self.devices.values():
                device.read()
            self.server.clock.advance(0)
        for element in self.juliet.received():
            if element.name == "message":
                if element.get("type") == "error":
                    self.returned.add(element.attributes["id"])
                    assert conditionOf(element) is not None
                else:
                    self.heard[bodyOf(element)[0]] += 1

    def finish(self) -> None:
        """Everybody comes back and reads all."""
        for name in ("phone", "desktop"):
            device = self.devices[name]
            device.asleep = False
            self.act(name, "return")
            self.advance(1)
        self.advance(1000)

    def check(self) -> list[str]:
        """What is wrong at the end."""
        found = [f"{body} is stored still" for body in self.stored()]
        unsure = set().union(*(device.unsure for device in self.devices.values()))
        for body, owners in self.belongs.items():
            counts = {name: device.seen[body] for name, device in self.devices.items()}
            if body.startswith("m") and not any(counts.values()) and body not in self.fragile | self.returned:
                found.append(f"{body} was lost")
            for name, count in counts.items():
                if count > 1 and body not in unsure:
                    found.append(f"{body} came {count} times to {name}")
                if not count and name in owners:
                    found.append(f"{body} did not come to {name}")
        found += [f"{body} was heard {self.heard[body]} times" for body in self.sent if self.heard[body] != 1]
        return found


ACTS = st.one_of(
    st.tuples(st.just("write"), st.sampled_from([ROMEO, ROMEO, f"{ROMEO}/phone", f"{ROMEO}/desktop"])),
    st.tuples(st.just("answer"), st.sampled_from(["desktop", "phone"])),
    st.tuples(
        st.sampled_from(["phone", "phone", "desktop"]),
        st.sampled_from(
            ["cut", "return", "collapse", "glimpse", "again", "sleep", "wake", "lazy", "active", "inactive"]
        ),
    ),
    st.tuples(st.just("pass"), st.sampled_from([0, 1, 60, 3600])),
    st.tuples(st.just("restart"), st.booleans()),
)


class DayTests(SynchronousTestCase):
    """A L{Day}"""

    def test_neverRead(self) -> None:
        """What was kept, and given to a phone that never reads it, goes to the desktop, also over a restart."""
        for between in (("pass", 1), ("restart", False), ("restart", True)):
            acts: list[tuple[str, Any]] = [
                ("write", ROMEO), ("write", ROMEO), ("phone", "collapse"), ("phone", "cut"), between,
                ("desktop", "return"), ("pass", 3600), ("write", f"{ROMEO}/phone"),
            ]  # fmt: skip
            self.assertEqual(self.live(acts), [])

    def test_sleeping(self) -> None:
        """A phone is asleep when the desktop comes: what both are sent is not sent to the desktop again later."""
        acts: list[tuple[str, Any]] = [
            ("phone", "return"), ("phone", "sleep"), ("write", ROMEO), ("pass", 60), ("desktop", "return"),
            ("pass", 60), ("write", ROMEO), ("phone", "cut"), ("pass", 3600),
        ]  # fmt: skip
        self.assertEqual(self.live(acts), [])

    def live(self, acts: list[tuple[str, Any]]) -> list[str]:
        """Act; return what is wrong at the end."""
        day = Day()
        for what, how in acts:
            if what == "write":
                day.write(how)
            elif what == "answer":
                day.answer(how)
            elif what == "pass":
                day.advance(how)
            elif what == "restart":
                day.restart(how)
            else:
                day.act(what, how)
            # No two acts are in the same instant.
            day.advance(0.01)
        day.finish()
        return day.check()

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(ACTS, max_size=60))
    def test_anything(self, acts: list[tuple[str, Any]]) -> None:
        """Whatever happens, each message is everywhere where it belongs, once."""
        self.assertEqual(self.live(acts), [])

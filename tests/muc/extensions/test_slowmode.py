# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.muc.extensions.slowmode} (XEP-0500)."""

from __future__ import annotations

from typing import Any

from muccore.muc.extensions.slowmode import LONGEST
from muccore.testing.inmemory import Client
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from tests.muc.extensions.retractions import stanzaId
from tests.muc.muchelpers import (
    ROOM,
    RoomTestCase,
    affiliation,
    configure,
    errorText,
    leave,
    role,
    say,
    sendGroupchat,
    sendIQ,
    sendOwner,
    setSubject,
    summaries,
    summary,
    values,
)

FIELD = "muc#roomconfig_slow_mode_duration"
REFUSED = "room message error wait policy-violation"


class SlowModeTests(RoomTestCase):
    """A room in slow mode, twenty seconds, with Juliet as a participant."""

    fields: dict[str, Any] = {"slow_mode_duration": 20, "changesubject": True}

    def setUp(self) -> None:
        super().setUp()
        self.juliet = self.enter("juliet")

    def send(self, client: Client, text: str) -> list[str]:
        """Send a message; return what the sender receives."""
        self.discardReceived()
        say(client, text)
        return summaries(client)

    def later(self, seconds: float) -> None:
        """Let time pass."""
        self.server.clock.advance(seconds)

    def test_refused(self) -> None:
        """§6: The next message within the duration is refused, with the duration; nobody else receives it."""
        self.assertEqual(self.send(self.juliet, "a"), ["Juliet groupchat body:a"])
        self.later(19.9)
        self.owner.received()
        sendGroupchat(self.juliet, "<body>b</body>", id="m")
        [error] = self.juliet.received()
        child = error.child("error")
        assert child is not None
        self.assertEqual((error.get("id"), error.get("from"), child.get("type")), ("m", ROOM, "wait"))
        self.assertEqual([each.name for each in child.childElements()], ["policy-violation", "text"])
        self.assertIn("20 seconds", errorText(error))
        self.assertEqual(summaries(self.owner), [])
        self.later(0.1)
        self.assertEqual(self.send(self.juliet, "c"), ["Juliet groupchat body:c"])

    def test_clockSet(self) -> None:
        """The duration passes, whatever the time of day is set to."""
        for seconds in (-3600, 3600, 0):
            self.assertEqual(self.send(self.juliet, "a"), ["Juliet groupchat body:a"])
            self.server.clock.setBy = seconds
            self.later(19)
            self.assertEqual(self.send(self.juliet, "b"), [REFUSED])
            self.later(1)

    def test_others(self) -> None:
        """Users wait for their own messages only."""
        paris = self.enter("paris")
        self.send(self.juliet, "a")
        self.assertEqual(self.send(paris, "b"), ["Paris groupchat body:b"])

    def test_exempt(self) -> None:
        """§6: Owners and admins need not wait; members and moderators without that affiliation must."""
        paris = self.enter("paris")
        self.change(affiliation("paris@localhost", "admin"))
        for client in (self.owner, paris):
            for text in ("a", "b"):
                self.assertIn(f"body:{text}", self.send(client, text)[0])
        self.change(affiliation("juliet@localhost", "member"))
        self.change(role("Juliet", "moderator"))
        self.send(self.juliet, "a")
        self.assertEqual(self.send(self.juliet, "b"), [REFUSED])

    def test_withoutBody(self) -> None:
        """§6: What has no body does not count: chat states, the subject."""
        composing = "<composing xmlns='http://jabber.org/protocol/chatstates'/>"
        for _ in range(3):
            sendGroupchat(self.juliet, composing)
        self.discardReceived()
        self.assertEqual(self.send(self.juliet, "a"), ["Juliet groupchat body:a"])
        sendGroupchat(self.juliet, composing)
        setSubject(self.juliet, "Love")
        self.assertEqual(summaries(self.juliet), ["Juliet groupchat composing", "Juliet groupchat subject:Love"])
        sendGroupchat(self.juliet, f"{composing}<body/>")
        self.assertEqual(summaries(self.juliet), [REFUSED])

    def test_refusedOtherwise(self) -> None:
        """What is refused for another reason, such as a retraction of an unknown message, does not count."""
        for payload in (f"<retract xmlns='{ns.RETRACT}' id='x'/>", f"<replace xmlns='{ns.CORRECT}' id='x'/>"):
            sendGroupchat(self.juliet, f"<body>a</body>{payload}")
            self.assertReceived(self.juliet, "room message error cancel item-not-found")
        self.assertEqual(self.send(self.juliet, "b"), ["Juliet groupchat body:b"])
        self.assertEqual(self.send(self.juliet, "c"), [REFUSED])

    def test_retraction(self) -> None:
        """A retraction with a body counts."""
        self.send(self.juliet, "a")
        [sent] = self.owner.received()
        self.later(20)
        sendGroupchat(self.juliet, f"<body>/me retracted</body><retract xmlns='{ns.RETRACT}' id='{stanzaId(sent)}'/>")
        self.assertReceived(self.juliet, "Juliet groupchat body:/me retracted retract")
        self.assertEqual(self.send(self.juliet, "b"), [REFUSED])

    def test_account(self) -> None:
        """§8: It is the account that waits, under all its nicks and sessions, and after it has entered again."""
        phone = self.enter("juliet/phone", "J")
        self.send(self.juliet, "a")
        self.assertEqual(self.send(phone, "b"), [REFUSED])
        leave(self.juliet, "Juliet")
        leave(phone, "J")
        self.enter(phone, "Nurse")
        self.assertEqual(self.send(phone, "b"), [REFUSED])

    def test_switched(self) -> None:
        """§5.1: Owners switch it off and on; all are told (104)."""
        self.send(self.juliet, "a")
        configure(self.owner, slow_mode_duration=0)
        self.assertEqual(summaries(self.juliet), ["room groupchat 104"])
        for text in ("b", "c"):
            self.assertEqual(self.send(self.juliet, text), [f"Juliet groupchat body:{text}"])
        self.configureRoom(slow_mode_duration=30)
        self.send(self.juliet, "d")
        self.later(29)
        self.assertEqual(self.send(self.juliet, "e"), [REFUSED])

    def test_keptByOtherChanges(self) -> None:
        """Another change of the configuration lets nobody speak earlier."""
        self.send(self.juliet, "a")
        self.configureRoom(roomname="Slow", slow_mode_duration=20)
        self.assertEqual(self.send(self.juliet, "b"), [REFUSED])

    def info(self) -> dict[str, list[str]]:
        """The values in C{muc#roominfo}, for somebody outside."""
        [client] = self.login("nurse")
        sendIQ(client, "get", f"<query xmlns='{ns.DISCO_INFO}'/>")
        form = self.result(client).child("x", ns.DATA)
        assert form is not None
        field = next(each for each in form.childElements() if each.get("var") == "muc#roominfo_slow_mode_duration")
        self.assertEqual(field.get("type"), "text-single")
        return values(form)

    def test_discovered(self) -> None:
        """§5.2: Anybody can find the duration; 0 if it is off."""
        name = "muc#roominfo_slow_mode_duration"
        self.assertEqual(self.info()[name], ["20"])
        self.configureRoom(slow_mode_duration=0)
        self.assertEqual(self.info()[name], ["0"])

    def formField(self) -> Element:
        """The field in the configuration form."""
        sendOwner(self.owner, type="get")
        form = self.result(self.owner).child("x", ns.DATA)
        assert form is not None
        [field] = [each for each in form.childElements() if each.get("var") == FIELD]
        return field

    def test_field(self) -> None:
        """§5.1: A text field with a whole number and its range."""
        field = self.formField()
        self.assertEqual((field.get("type"), field.childText("value")), ("text-single", "20"))
        validate = field.child("validate", ns.DATA_VALIDATE)
        assert validate is not None
        self.assertEqual(validate.attributes, {"datatype": "xs:integer"})
        [bounds] = validate.childElements()
        self.assertEqual((bounds.name, bounds.attributes), ("range", {"min": "0", "max": str(LONGEST)}))

    def test_invalid(self) -> None:
        """§5.1, §8: Other values are refused with the name of the field, and change nothing."""
        for value in ("-1", "soon", "1.5", "", str(LONGEST + 1), "9" * 400):
            configure(self.owner, slow_mode_duration=value, roomname="Fast")
            [answer] = self.owner.received()
            self.assertIn("not-acceptable", summary(answer))
            self.assertIn(FIELD, errorText(answer))
        self.assertEqual((self.formField().childText("value"), self.room().settings.name), ("20", ""))

    def test_stored(self) -> None:
        """A room that is loaded again is in slow mode still."""
        self.configureRoom(persistentroom=True)
        self.startServer(self.server.store)
        self.juliet = self.enter("juliet")
        self.send(self.juliet, "a")
        self.assertEqual(self.send(self.juliet, "b"), [REFUSED])

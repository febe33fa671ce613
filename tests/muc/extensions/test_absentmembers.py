# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.muc.extensions.absentmembers} (XEP-0452, and the registration field of Tigase)."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from muccore.muc.extensions.absentmembers import COPIES, MENTIONING, NOTIFIED
from muccore.muc.extensions.occupantids import occupantId
from muccore.testing.doubles import FailingRoomStore
from muccore.testing.inmemory import Client, parseStanza
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from muccore.xmpp.jid import parse
from tests.muc.extensions.retractions import child, stanzaId
from tests.muc.muchelpers import (
    ROOM,
    RoomTestCase,
    affiliation,
    form,
    join,
    leave,
    register,
    say,
    sendAdmin,
    sendError,
    sendGroupchat,
    sendIQ,
    setSubject,
    summaries,
    values,
)
from tests.muc.slicedroom import SlicedRoomTestCase

WISH = "{http://tigase.org/protocol/muc}offline"


IMPORTED = f"<delay xmlns='{ns.DELAY}' from='o@x' stamp='2002-10-13T23:58:37Z'/>"


def mentioning(*uris: str) -> str:
    """What a message that mentions somebody by references contains."""
    attributes = f"xmlns='{ns.REFERENCE}' type='mention' begin='0' end='1'"
    return "<body>Come!</body>" + "".join(f"<reference {attributes} uri='{uri}'/>" for uri in uris)


def forwarded(message: Element) -> Element:
    """The message in a copy or a notification."""
    inside = message.child("mentions", ns.MENTION_NOTIFICATIONS) or message
    return child(inside, ("forwarded", ns.FORWARD), ("message", ns.CLIENT))


class AbsentTestCase(RoomTestCase):
    """A persistent room; Juliet is registered with it, online and absent. The stranger is online and absent."""

    fields: dict[str, Any] = {"persistentroom": True}

    def setUp(self) -> None:
        super().setUp()
        self.juliet, self.stranger = self.login("juliet", "stranger")
        for client in (self.juliet, self.stranger):
            client.sends("<presence/>")
        self.register(self.juliet, "Juliet")
        self.discardReceived()

    def register(self, client: Client, nick: str, wish: bool | None = None) -> None:
        """Register, perhaps with the wish for copies or without it."""
        fields: dict[str, Any] = {"muc#register_roomnick": nick}
        if wish is not None:
            fields[WISH] = wish
        client.received()
        sendIQ(client, "set", f"<query xmlns='{ns.REGISTER}'>{form(ns.MUC_REGISTER, fields)}</query>")
        self.assertIn("result q", summaries(client))

    def receivedOf(self, client: Client) -> list[str]:
        """The bodies of the messages that were forwarded to a client, with C{@} before those that mention them."""
        found = []
        for message in client.received():
            mark = "@" if message.child("mentions", ns.MENTION_NOTIFICATIONS) is not None else ""
            found.append(f"{mark}{forwarded(message).childText('body')}")
        return found


class MentionTests(AbsentTestCase):
    """The room forwards messages with mentions."""

    fields: dict[str, Any] = {"persistentroom": True, "forwardmentions": True}

    def mention(self, inside: str) -> list[str]:
        """Send a message; what Juliet is notified of."""
        sendGroupchat(self.owner, inside)
        return self.receivedOf(self.juliet)

    def test_notification(self) -> None:
        """§3.2: The message as it was sent, with its ids and when it was sent, in a message of the room."""
        uri = "xmpp:juliet@localhost"
        sendGroupchat(self.owner, mentioning(uri), id="m")
        [sent] = self.owner.received()
        [notified] = self.juliet.received()
        self.assertEqual(notified.get("from"), ROOM)
        self.assertEqual(notified.get("to"), "juliet@localhost")
        self.assertIsNone(notified.get("type"))
        self.assertEqual(notified.childText("body"), "Owner mentioned you: Come!")
        self.assertEqual(child(notified, ("fallback", ns.FALLBACK)).get("for"), ns.MENTION_NOTIFICATIONS)
        self.assertIsNotNone(notified.child("store", ns.HINTS))
        inside = child(notified, ("mentions", ns.MENTION_NOTIFICATIONS), ("forwarded", ns.FORWARD))
        delay, message = inside.childElements()
        self.assertEqual((delay.name, delay.uri, delay.get("stamp")), ("delay", ns.DELAY, "2001-09-09T01:46:40Z"))
        self.assertEqual(message.attributes, {**sent.attributes, "to": ROOM})
        children = [[each.toXml() for each in of.childElements()] for of in (message, sent)]
        self.assertEqual(*children)
        self.assertEqual((message.get("id"), stanzaId(message)), ("m", stanzaId(sent)))

    def test_ways(self) -> None:
        """By their own address or that of their nick, in a reference, or by an explicit mention."""
        id = occupantId(self.room(), parse("juliet@localhost"))
        for inside in (
            mentioning("xmpp:juliet@localhost"),
            mentioning("xmpp:juliet@localhost/balcony"),
            mentioning(f"xmpp:{ROOM}/juliet"),
            mentioning("xmpp:stranger@localhost", "xmpp:juliet@localhost", "xmpp:juliet@localhost"),
            f"<body>Come!</body><mention xmlns='{ns.MENTIONS}' occupantid='{id}'/>",
            f"<body>Come!</body><mention xmlns='{ns.MENTIONS}' jid='juliet@localhost'/>",
        ):
            self.assertEqual(self.mention(inside), ["@Come!"], inside)

    def test_registeredLater(self) -> None:
        """Who registers is found by their occupant id from then on."""
        id = occupantId(self.room(), parse("stranger@localhost"))
        inside = f"<body>Come!</body><mention xmlns='{ns.MENTIONS}' occupantid='{id}'/>"
        self.mention(inside)
        self.register(self.stranger, "Stranger")
        self.mention(inside)
        self.assertEqual(self.receivedOf(self.stranger), ["@Come!"])

    def test_others(self) -> None:
        """Who is not mentioned, is in the room or has not registered is not notified."""
        self.assertEqual(self.mention("<body>Juliet</body>"), [])
        self.mention(mentioning("xmpp:stranger@localhost", "xmpp:owner@localhost", "xmpp:nobody@localhost"))
        self.assertEqual(self.stranger.received(), [])
        sent = ["Owner groupchat body:Juliet", "Owner groupchat body:Come! reference reference reference"]
        self.assertEqual(summaries(self.owner), sent)
        self.enter(self.juliet)
        sendGroupchat(self.owner, mentioning("xmpp:juliet@localhost"))
        self.assertEqual(summaries(self.juliet), ["Owner groupchat body:Come! reference"])
        leave(self.juliet, "Juliet")
        self.discardReceived()
        self.assertEqual(self.mention(mentioning("xmpp:juliet@localhost")), ["@Come!"])

    def test_mayKnow(self) -> None:
        """Only users with an affiliation and a reserved nick are notified: no outcasts, nobody who has unregistered."""
        self.change(affiliation("stranger@localhost", "member"))
        self.discardReceived()
        self.mention(mentioning("xmpp:stranger@localhost"))
        self.assertEqual(self.stranger.received(), [])
        register(self.juliet, None)
        self.discardReceived()
        self.assertEqual(self.mention(mentioning("xmpp:juliet@localhost")), [])
        self.register(self.juliet, "Juliet")
        self.assertEqual(self.mention(mentioning("xmpp:juliet@localhost")), ["@Come!"])
        self.change(affiliation("juliet@localhost", "outcast"))
        self.discardReceived()
        self.assertEqual(self.mention(mentioning("xmpp:juliet@localhost", f"xmpp:{ROOM}/Juliet")), [])

    def test_whichMessages(self) -> None:
        """Neither what is not to be kept nor what an owner imports is forwarded, nor what is refused."""
        reference = mentioning("xmpp:juliet@localhost")
        self.assertEqual(self.mention(f"{reference}<no-store xmlns='{ns.HINTS}'/>"), [])
        self.assertEqual(self.mention(reference + IMPORTED), [])
        self.assertEqual(self.mention(reference.replace("<body>Come!</body>", "")), [])
        self.configureRoom(moderatedroom=True)
        visitor = self.enter("visitor")
        sendGroupchat(visitor, reference)
        self.assertEqual(self.juliet.received(), [])

    def test_optIn(self) -> None:
        """§3.1: It is off unless the owner switches it on."""
        self.configureRoom(forwardmentions=False)
        self.assertEqual(self.mention(mentioning("xmpp:juliet@localhost")), [])
        self.openRoom(persistentroom=True)
        sendIQ(self.owner, "get", f"<query xmlns='{ns.MUC_OWNER}'/>")
        x = self.result(self.owner).child("x", ns.DATA)
        assert x is not None
        self.assertEqual(values(x)["muc#roomconfig_forwardmentions"], ["0"])

    def test_limits(self) -> None:
        """A user is notified so often only, and can cause so many only; it is counted by room."""
        count, period = NOTIFIED
        for number in range(count + 2):
            expected = ["@Come!"] if number < count else []
            self.assertEqual(self.mention(mentioning("xmpp:juliet@localhost")), expected)
        self.server.clock.advance(period)
        self.assertEqual(self.mention(mentioning("xmpp:juliet@localhost")), ["@Come!"])
        self.server.clock.advance(period)
        for number in range(MENTIONING[0]):
            client = self.client(f"user{number}")
            client.sends("<presence/>")
            self.register(client, f"u{number}")
            self.mention(mentioning(f"xmpp:user{number}@localhost"))
            self.assertEqual(self.receivedOf(client), ["@Come!"])
        self.assertEqual(self.mention(mentioning("xmpp:juliet@localhost")), [])

    def test_offline(self) -> None:
        """A notification that comes back changes nothing."""
        self.juliet.sends("<presence type='unavailable'/>")
        self.discardReceived()
        self.assertEqual(self.mention(mentioning("xmpp:juliet@localhost")), [])
        self.assertEqual(summaries(self.owner), ["Owner groupchat body:Come! reference"])
        sendError(self.juliet, "service-unavailable")
        say(self.owner, "still here")
        self.assertEqual(summaries(self.owner), ["Owner groupchat body:still here"])


class CopyTests(AbsentTestCase):
    """Juliet wishes copies."""

    def setUp(self) -> None:
        super().setUp()
        self.register(self.juliet, "Juliet", True)

    def said(self, text: str) -> list[str]:
        """Say something; what Juliet gets."""
        self.discardReceived()
        say(self.owner, text)
        return self.receivedOf(self.juliet)

    def shown(self, client: Client) -> list[str]:
        """The wish in the form of a user."""
        client.received()
        sendIQ(client, "get", f"<query xmlns='{ns.REGISTER}'/>")
        x = self.result(client).child("x", ns.DATA)
        assert x is not None
        return values(x)[WISH]

    def wishes(self) -> dict[str, Any]:
        """The stored wishes, which are those in memory."""
        record = self.record()
        assert record is not None
        self.assertEqual(self.room().states.get("absent-members", {}), record.states.get("absent-members", {}))
        return dict(record.states.get("absent-members", {}))

    def test_copy(self) -> None:
        """The message as it was sent, in a message of the room of type normal, with a fallback."""
        say(self.owner, "a &lt; b")
        [sent] = self.owner.received()
        [copy] = self.juliet.received()
        self.assertEqual((copy.get("from"), copy.get("to"), copy.get("type")), (ROOM, "juliet@localhost", None))
        self.assertEqual([each.name for each in copy.childElements()], ["forwarded", "body", "fallback", "store"])
        self.assertEqual(copy.childText("body"), "Owner: a < b")
        self.assertEqual(child(copy, ("fallback", ns.FALLBACK)).get("for"), ns.FORWARD)
        self.assertEqual(stanzaId(forwarded(copy)), stanzaId(sent))
        self.assertEqual(forwarded(copy).get("type"), "groupchat")

    def test_wish(self) -> None:
        """It is off at first, shown in the form, kept without the field, and ends with the registration."""
        self.assertEqual((self.shown(self.stranger), self.shown(self.juliet)), (["0"], ["1"]))
        self.register(self.juliet, "Capulet")
        self.assertEqual((self.shown(self.juliet), self.wishes()), (["1"], {"juliet@localhost": True}))
        self.assertEqual(self.said("a"), ["a"])
        self.register(self.juliet, "Capulet", False)
        self.assertEqual((self.shown(self.juliet), self.wishes()), (["0"], {}))
        self.assertEqual(self.said("b"), [])
        self.register(self.juliet, "Capulet", True)
        register(self.juliet, None)
        self.assertEqual((self.shown(self.juliet), self.wishes(), self.said("c")), (["0"], {}, []))
        self.register(self.juliet, "Juliet")
        self.assertEqual(self.said("d"), [])

    def test_affiliationLost(self) -> None:
        """A ban or the end of a membership ends it; another affiliation does not. It does not come back."""
        self.change(affiliation("juliet@localhost", "admin"))
        self.assertEqual(self.said("a"), ["a"])
        for word in ("outcast", "none"):
            self.change(affiliation("juliet@localhost", word))
            self.assertEqual((self.said("b"), self.wishes()), ([], {}))
            self.change(affiliation("juliet@localhost", "none"))
            self.register(self.juliet, "Juliet", True)
            self.assertEqual(self.said("c"), ["c"])
        self.change(affiliation("juliet@localhost", "none"))
        self.change(affiliation("juliet@localhost", "member"))
        self.assertEqual(self.said("d"), [])

    def test_present(self) -> None:
        """While any session of theirs is in the room, under any nick, there are no copies."""
        other = self.client("juliet/b")
        self.enter(self.juliet)
        self.enter(other, "Other")
        say(self.owner, "a")
        self.assertEqual([summaries(each) for each in (self.juliet, other)], [["Owner groupchat body:a"]] * 2)
        leave(self.juliet, "Juliet")
        self.assertEqual(self.said("b"), [])
        other.dropConnection()
        self.assertEqual(self.said("c"), ["c"])
        self.enter(self.juliet)
        sendAdmin(self.owner, "<item nick='Juliet' role='none'/>")
        self.assertEqual(self.said("d"), ["d"])

    def test_whichMessages(self) -> None:
        """What has no body, is not to be kept, is imported or is no message to all is not copied."""
        for inside in (
            "<composing xmlns='http://jabber.org/protocol/chatstates'/>",
            f"<body>x</body><no-store xmlns='{ns.HINTS}'/>",
            f"<body>x</body>{IMPORTED}",
        ):
            sendGroupchat(self.owner, inside)
        setSubject(self.owner, "x")
        self.owner.sends(f"<message type='chat' to='{ROOM}/Owner'><body>x</body></message>")
        self.assertEqual(self.juliet.received(), [])

    def test_retraction(self) -> None:
        """A retraction is copied, so that what was retracted goes from the copies."""
        say(self.owner, "x")
        id = stanzaId(self.owner.received()[0])
        self.juliet.received()
        sendGroupchat(self.owner, f"<retract xmlns='{ns.RETRACT}' id='{id}'/>")
        [copy] = self.juliet.received()
        self.assertEqual([each.name for each in copy.childElements()], ["forwarded", "store"])
        self.assertEqual(child(forwarded(copy), ("retract", ns.RETRACT)).get("id"), id)

    def test_once(self) -> None:
        """Who is notified of a mention does not get a copy as well; others do, and who is notified too often."""
        self.configureRoom(forwardmentions=True)
        self.register(self.stranger, "Stranger", True)
        for number in range(NOTIFIED[0] + 1):
            sendGroupchat(self.owner, mentioning("xmpp:juliet@localhost"))
            self.assertEqual(self.receivedOf(self.juliet), ["@Come!"] if number < NOTIFIED[0] else ["Come!"])
            self.assertEqual(self.receivedOf(self.stranger), ["Come!"])

    def test_limit(self) -> None:
        """So many messages of a room are copied at once, then evenly."""
        count, period = COPIES
        got = [len(self.said("x")) for _ in range(count + 2)]
        self.assertEqual(got, [1] * count + [0, 0])
        self.server.clock.advance(period / count)
        self.assertEqual((self.said("a"), self.said("b")), (["a"], []))

    def test_restart(self) -> None:
        """A wish outlasts the server, and those who enter after that get no copies."""
        self.startServer(self.server.store)
        self.owner, self.juliet, other = self.login("owner", "juliet", "other")
        for client in (self.juliet, other):
            client.sends("<presence/>")
        self.enter(self.owner)
        self.assertEqual(self.said("a"), ["a"])
        self.enter(self.juliet)
        say(self.owner, "b")
        self.assertEqual(summaries(self.juliet), ["Owner groupchat body:b"])

    def restart(self) -> None:
        """Start the server again; it holds the places of the occupants."""
        self.startServer(self.server.store, occupants=self.server.occupants)

    def test_held(self) -> None:
        """Whose place is held over a restart is absent until they return."""
        self.configureRoom(forwardmentions=True)
        self.enter(self.juliet)
        self.restart()
        self.owner, phone = self.login("owner", "juliet/phone")
        phone.sends("<presence/>")
        self.enter(self.owner)
        self.assertEqual(list(self.room().sessions), ["owner@localhost/a", "juliet@localhost/a"])
        sendGroupchat(self.owner, mentioning("xmpp:juliet@localhost"))
        say(self.owner, "a")
        self.assertEqual(self.receivedOf(phone), ["@Come!", "a"])
        self.enter(phone, "Juliet")
        sendGroupchat(self.owner, mentioning("xmpp:juliet@localhost"))
        say(self.owner, "b")
        both = ["Owner groupchat body:Come! reference", "Owner groupchat body:b"]
        self.assertEqual(summaries(phone), both)

    def test_tookBack(self) -> None:
        """Who takes back a held place without entering again is present."""
        self.configureRoom(forwardmentions=True)
        self.enter(self.juliet)
        self.restart()
        self.owner, self.juliet = self.login("owner", "juliet")
        self.juliet.sends("<presence/>")
        self.discardReceived()
        sendIQ(self.juliet, "get", f"<ping xmlns='{ns.PING}'/>", to=f"{ROOM}/Juliet")
        self.assertEqual(summaries(self.juliet), ["Juliet result q"])
        self.enter(self.owner)
        say(self.owner, "a")
        self.assertEqual(summaries(self.juliet), ["Owner groupchat body:a"])

    def test_durableFirst(self) -> None:
        """A wish that cannot be stored is refused, and there are no copies."""
        store = FailingRoomStore(self.server.store)
        self.server.muc.rooms.store = store
        store.failing = frozenset({"change"})
        fields = form(ns.MUC_REGISTER, {"muc#register_roomnick": "Stranger", WISH: True})
        sendIQ(self.stranger, "set", f"<query xmlns='{ns.REGISTER}'>{fields}</query>")
        self.assertEqual(summaries(self.stranger), ["error q wait internal-server-error"])
        say(self.owner, "a")
        self.assertEqual(self.stranger.received(), [])

    def test_invalid(self) -> None:
        """A value that is no truth value is refused."""
        fields = form(ns.MUC_REGISTER, {"muc#register_roomnick": "S", WISH: "maybe"})
        sendIQ(self.stranger, "set", f"<query xmlns='{ns.REGISTER}'>{fields}</query>")
        self.assertIn("not-acceptable", summaries(self.stranger)[0])

    def test_unavailable(self) -> None:
        """Copies that come back change nothing, neither for the occupants nor for the wish."""
        self.juliet.sends("<presence type='unavailable'/>")
        self.discardReceived()
        self.assertEqual(self.said("a"), [])
        self.juliet.sends("<presence/>")
        self.assertEqual(self.said("b"), ["b"])

    @settings(max_examples=25, suppress_health_check=[HealthCheck.differing_executors])
    @given(st.lists(st.sampled_from(["enter", "leave", "wish", "unwish", "unregister", "ban", "kick"]), max_size=12))
    def test_random(self, steps: list[str]) -> None:
        """Whatever happens, who wishes copies and is absent gets each message, and nobody else."""
        self.setUp()
        wishing, present, banned = True, False, False
        for step in steps:
            if step == "enter" and not present and not banned:
                self.enter(self.juliet)
                present = True
            elif step in ("leave", "kick") and present:
                if step == "leave":
                    leave(self.juliet, "Juliet")
                else:
                    sendAdmin(self.owner, "<item nick='Juliet' role='none'/>")
                present = False
            elif step in ("wish", "unwish") and not banned:
                self.discardReceived()
                self.register(self.juliet, "Juliet", step == "wish")
                wishing = step == "wish"
            elif step == "unregister":
                register(self.juliet, None)
                wishing = False
            elif step == "ban":
                word = "none" if banned else "outcast"
                self.change(affiliation("juliet@localhost", word))
                banned, present, wishing = not banned, False, False
            self.discardReceived()
            say(self.owner, "x")
            received = self.juliet.received()
            if present:
                self.assertEqual([each.get("type") for each in received], ["groupchat"])
            else:
                self.assertEqual([each.get("type") for each in received], [None] if wishing else [], steps)


class ForwardedTests(AbsentTestCase):
    """What is forwarded."""

    def test_longText(self) -> None:
        """The fallback repeats the beginning of a long text only; the copy has all of it."""
        self.register(self.juliet, "Juliet", True)
        say(self.owner, "x" * 1000)
        [copy] = self.juliet.received()
        self.assertEqual(copy.childText("body"), "Owner: " + "x" * 199 + "…")
        self.assertEqual(forwarded(copy).childText("body"), "x" * 1000)

    def test_noRealJID(self) -> None:
        """No real JID of the author is told."""
        self.register(self.juliet, "Juliet", True)
        say(self.owner, "x")
        [copy] = self.juliet.received()
        self.assertNotIn("owner@localhost", copy.toXml())
        self.assertEqual(parseStanza(copy.toXml()).toXml(), copy.toXml())


class LargeRoomTests(SlicedRoomTestCase):
    """A room that sends a newcomer who is in it in several turns."""

    count = 120
    fields: dict[str, Any] = {"persistentroom": True}

    def test_entering(self) -> None:
        """What is said meanwhile is sent once: by the room."""
        juliet = self.client("juliet")
        juliet.sends("<presence/>")
        wish = form(ns.MUC_REGISTER, {"muc#register_roomnick": "Juliet", WISH: True})
        sendIQ(juliet, "set", f"<query xmlns='{ns.REGISTER}'>{wish}</query>")
        say(self.owner, "before")
        self.settle()
        [copy] = [each for each in juliet.received() if each.name == "message"]
        self.assertEqual(forwarded(copy).childText("body"), "before")
        join(juliet, "Juliet", x="<history maxstanzas='0'/>")
        self.assertIn(juliet.address, self.room().entering)
        say(self.owner, "meanwhile")
        self.settle()
        messages = [each for each in juliet.received() if each.name == "message"]
        self.assertEqual([each.childText("body") for each in messages], [None, "meanwhile"])

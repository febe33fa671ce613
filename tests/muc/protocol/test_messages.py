# Copyright (c) The muccore authors. See LICENSE for details.
"""
Tests for L{muccore.muc.protocol.messages} and L{muccore.muc.model.messages}: messages to rooms (XEP-0045 §7.4, §7.5,
§8.1, §17.2).
"""

from __future__ import annotations

from itertools import product

from muccore.testing.doubles import DelayedRoomStore, FailingRoomStore
from muccore.testing.inmemory import Client
from muccore.xmpp import ns
from muccore.xmpp.rendering import render
from tests.muc.muchelpers import (
    ROOM,
    RoomTestCase,
    affiliation,
    join,
    leave,
    role,
    say,
    sendError,
    sendGroupchat,
    setSubject,
    summaries,
    unstamped,
)

BODY = "<body>a</body>"

STAMP = "stamp='2002-09-10T23:08:25Z'"

ROOM_ONLY = (
    f"<x xmlns='{ns.MUC_USER}'><status code='104'/></x>",
    f"<x xmlns='{ns.MUC_USER}'><invite from='king@localhost'/></x>",
    f"<delay xmlns='{ns.DELAY}' from='{ROOM}' {STAMP}/>",
    f"<delay xmlns='{ns.DELAY}' from='{ROOM}/Owner' {STAMP}/>",
    f"<delay xmlns='{ns.DELAY}' {STAMP}/>",
)
"""What only the room may send (§17.3, XEP-0203 §5)."""


class MessageTestCase(RoomTestCase):
    """A moderated room with its owner, a member and a visitor; and a stranger outside."""

    fields = {"moderatedroom": True}

    def openRoom(self, *arguments: object, **fields: object) -> None:
        """Open the room, and let them enter."""
        super().openRoom(*arguments, **fields)  # type: ignore[arg-type]
        self.change(affiliation("member@localhost", "member"))
        self.member, self.visitor = self.enter("member"), self.enter("visitor")
        self.stranger = self.client("stranger")

    def slowStore(self, **fields: object) -> DelayedRoomStore:
        """Open such a room with a store that holds changes back."""
        store = DelayedRoomStore()
        store.holding = frozenset()
        self.openRoom(store, **fields)
        store.holding = frozenset(["change"])
        return store

    def assertReturned(self, client: Client, condition: str, to: str, id: str, *children: str) -> None:
        """A client has received its message back, with its children, and an error C{type condition} by the room."""
        [error] = client.received()
        self.assertEqual({**error.attributes}, {"to": client.address, "from": to, "id": id, "type": "error"})
        [*returned, child] = error.childElements()
        self.assertEqual([each.name for each in returned], list(children))
        self.assertEqual((child.name, child.get("by")), ("error", ROOM))
        self.assertEqual(f"{child.get('type')} {next(child.childElements()).name}", condition)

    def rendered(self, client: Client) -> list[str]:
        """What a client has received, without the stamps of extensions."""
        return [unstamped(render(stanza).decode()) for stanza in client.received()]

    def history(self) -> list[str]:
        """The history that somebody receives who enters."""
        newcomer = self.client(f"newcomer{len(self.clients)}")
        join(newcomer, newcomer.address.partition("@")[0])
        received = [line for line in summaries(newcomer) if "body:" in line]
        newcomer.dropConnection()
        self.discardReceived()
        return received


class GroupchatTests(MessageTestCase):
    """Messages to everybody (§7.4)."""

    def test_everybody(self) -> None:
        """All occupants, the sender too, receive it from the occupant JID with its id and content (§7.4, §17.2)."""
        inside = (
            "<body xml:lang='en'>a &lt; b</body><html xmlns='http://jabber.org/protocol/xhtml-im'/><thread>t</thread>"
        )
        self.member.sends(f"<message to='{ROOM}' type='groupchat' id='h7' xml:lang='de'>{inside}</message>")
        for client in (self.member, self.owner, self.visitor):
            self.assertEqual(
                self.rendered(client),
                [
                    f"<message to='{client.address}' type='groupchat' id='h7' xml:lang='de' from='{ROOM}/Member'>"
                    f"{inside}</message>"
                ],
            )
        self.assertNothingReceived()

    def test_withoutId(self) -> None:
        """A message without an id is reflected without one."""
        self.member.sends(f"<message to='{ROOM}' type='groupchat'>{BODY}</message>")
        for client in (self.member, self.owner, self.visitor):
            sent = f"<message to='{client.address}' type='groupchat' from='{ROOM}/Member'>{BODY}</message>"
            self.assertEqual(self.rendered(client), [sent])

    def test_visitor(self) -> None:
        """A visitor's message is returned as it was, C{forbidden}, and is not part of the history."""
        inside = f"<subject>s</subject>{BODY}<x xmlns='{ns.MUC_USER}'/>"
        for moderated in (True, False):
            self.openRoom(moderatedroom=moderated)
            self.change(role("Visitor", "visitor"))
            sendGroupchat(self.visitor, inside, id="8")
            self.assertReturned(self.visitor, "auth forbidden", ROOM, "8", "subject", "body", "x")
            self.assertNothingReceived()
            self.assertEqual(self.history(), [])

    def test_stranger(self) -> None:
        """Strangers, and other sessions of occupants, even of the owner, are C{not-acceptable}."""
        for client in (self.stranger, self.client("member/phone"), self.client("owner/phone")):
            for inside in (BODY, "<subject>a</subject>", f"<subject>a</subject>{BODY}"):
                sendGroupchat(client, inside)
                self.assertReceived(client, "room message error modify not-acceptable")
        self.assertNothingReceived()

    def test_noRoom(self) -> None:
        """A room that does not exist, or is locked, is C{item-not-found} (§17.2)."""
        other = "other@conference.localhost"
        say(self.stranger, "a", to=other)
        self.assertReceived(self.stranger, "room message error cancel item-not-found")
        join(self.owner, "Owner", to=other)
        self.discardReceived()
        for type, to, sender in (
            ("groupchat", other, "room"),
            ("normal", other, "room"),
            ("chat", other, "room"),
            ("normal", f"{other}/Owner", "Owner"),
            ("chat", f"{other}/Owner", "Owner"),
        ):
            self.stranger.sends(f"<message to='{to}' type='{type}'>{BODY}</message>")
            self.assertReceived(self.stranger, f"{sender} message error cancel item-not-found")
        self.assertNothingReceived()
        say(self.owner, "a", to=other)
        self.assertReceived(self.owner, "Owner groupchat body:a")

    def test_otherTypes(self) -> None:
        """Any other type is C{bad-request} (§17.2); headlines and errors are ignored."""
        for client in (self.member, self.stranger):
            for type in ("", " type='normal'", " type='chat'", " type='shout'"):
                client.sends(f"<message to='{ROOM}'{type}>{BODY}</message>")
                self.assertReceived(client, "room message error modify bad-request")
            for type in ("headline", "error"):
                client.sends(f"<message to='{ROOM}' type='{type}'>{BODY}</message>")
        self.assertNothingReceived()

    def test_history(self) -> None:
        """Messages with a body are part of the history; chat states and changes of subject are not (§7.2.13)."""
        active, composing = (
            f"<{name} xmlns='http://jabber.org/protocol/chatstates'/>" for name in ("active", "composing")
        )
        for inside in (BODY + active, composing, "<subject>s</subject><body>b</body>", "<subject>s</subject>"):
            sendGroupchat(self.owner, inside)
        self.assertEqual(
            self.history(), ["Owner groupchat body:a active delayed", "Owner groupchat subject:s body:b delayed"]
        )

    def test_roomOnly(self) -> None:
        """What only the room may send is removed, even if nothing else is in the message (§17.3, XEP-0203 §5)."""
        for text in ROOM_ONLY:
            for inside, expected in (
                (text, ""),
                (f"{text}{BODY}{text}", " body:a"),
                (f"{text}<subject>s</subject>", " subject:s"),
            ):
                sendGroupchat(self.owner, inside)
                self.assertReceived(self.member, f"Owner groupchat{expected}")

    def test_foreignDelay(self) -> None:
        """
        A delay by somebody else is passed on, and in the history the room adds its own; only an owner's valid delay
        replaces that (§7.9).
        """
        delay = f"<delay xmlns='{ns.DELAY}' from='juliet@localhost/b' stamp='%s'/>"
        valid, invalid = delay % "2002-09-10T23:08:25Z", delay % "yesterday"
        for client, inside in (
            (self.member, f"<body>a</body>{valid}"),
            (self.owner, f"<body>b</body>{valid}"),
            (self.owner, f"<body>c</body>{invalid}"),
        ):
            sendGroupchat(client, inside)
        self.assertEqual(summaries(self.visitor)[0], "Member groupchat body:a delay:juliet@localhost/b")
        self.assertEqual(
            self.history(),
            [
                "Member groupchat body:a delay:juliet@localhost/b delayed",
                "Owner groupchat body:b delay:juliet@localhost/b",
                "Owner groupchat body:c delay:juliet@localhost/b delayed",
            ],
        )

    def test_joinThenSpeak(self) -> None:
        """A message sent right after a join that waits for the store is sent after it (RFC 6120 §10.1)."""
        store = self.slowStore(persistentroom=True)
        for client in self.clients[:-1]:
            client.dropConnection()
        self.server.muc.rooms.forget(self.room())
        store.holding = frozenset(["load"])
        join(self.stranger, "Stranger")
        say(self.stranger, "a")
        self.assertNothingReceived(self.stranger)
        store.release()
        self.assertEqual(summaries(self.stranger)[-1], "Stranger groupchat body:a")


class SubjectTests(MessageTestCase):
    """The subject (§8.1)."""

    def assertSubject(self, text: str | None) -> None:
        """The room has this subject, in memory and in the store."""
        for subject in (self.room().subject, self.storedRecord().subject):
            self.assertEqual(subject.text if subject is not None else None, text)

    def test_changed(self) -> None:
        """A moderator changes it, or clears it: everybody receives that from them, and it is stored."""
        for text in ("Fire", ""):
            sendGroupchat(self.owner, f"<subject>{text}</subject>", id="lh2")
            subject = f"<subject>{text}</subject>" if text else "<subject/>"
            for client in (self.owner, self.member, self.visitor):
                self.assertEqual(
                    self.rendered(client),
                    [
                        f"<message to='{client.address}' type='groupchat' id='lh2' from='{ROOM}/Owner'>"
                        f"{subject}</message>"
                    ],
                )
            self.assertSubject(text)

    def test_otherMessages(self) -> None:
        """With a body or a thread, whatever it is in, it is a message; with other children a change of subject."""
        for inside, changes in (
            (f"<subject>s</subject>{BODY}", False),
            ("<subject>s</subject><body/>", False),
            ("<subject>s</subject><thread>t</thread>", False),
            ("<subject xmlns='urn:x'>s</subject>", False),
            ("<subject>s</subject><x xmlns='urn:x'/>", True),
            ("<subject>s</subject><body xmlns='http://www.w3.org/1999/xhtml'/>", True),
        ):
            self.openRoom()
            sendGroupchat(self.owner, inside)
            self.assertEqual(len(summaries(self.visitor)), 1)
            self.assertSubject("s" if changes else None)

    def test_permission(self) -> None:
        """Moderators change it; participants where the room allows it; visitors never."""
        for changesubject, word in product((False, True), ("visitor", "participant", "moderator")):
            self.openRoom(changesubject=changesubject)
            self.change(role("Visitor", word))
            sendGroupchat(self.visitor, "<subject>Fire</subject>", id="lh2")
            if word == "moderator" or (changesubject and word == "participant"):
                self.assertReceived(self.visitor, "Visitor groupchat subject:Fire")
                self.assertSubject("Fire")
            else:
                self.assertReturned(self.visitor, "auth forbidden", ROOM, "lh2", "subject")
                self.assertSubject(None)

    def test_durable(self) -> None:
        """Nobody receives it before it is stored; what its sender sends next waits, what others send does not."""
        store = self.slowStore(moderatedroom=True)
        setSubject(self.owner, "Fire")
        say(self.owner, "b")
        say(self.member, "c")
        self.assertReceived(self.visitor, "Member groupchat body:c")
        self.assertSubject(None)
        leave(self.owner, "Owner")
        store.release()
        self.assertReceived(
            self.visitor, "Owner groupchat subject:Fire", "Owner groupchat body:b", "Owner unavailable owner/none"
        )

    def test_oneAtATime(self) -> None:
        """Of two changes at once the second waits, and is the one that stays."""
        store = self.slowStore(changesubject=True)
        setSubject(self.owner, "Fire")
        setSubject(self.member, "Ice")
        self.assertEqual(store.held, ["change"])
        while store.held:
            store.release()
        self.assertReceived(self.visitor, "Owner groupchat subject:Fire", "Member groupchat subject:Ice")
        self.assertSubject("Ice")

    def test_failed(self) -> None:
        """If it cannot be stored it is returned as it was, nobody else receives it, and nothing changes."""
        store = FailingRoomStore()
        self.openRoom(store)
        store.failing = frozenset(["change"])
        sendGroupchat(self.owner, "<subject>Fire</subject>", id="4")
        self.assertReturned(self.owner, "wait internal-server-error", ROOM, "4", "subject")
        self.assertSubject(None)
        self.assertNothingReceived()


class PrivateTests(MessageTestCase):
    """Private messages (§7.5)."""

    def send(self, client: Client, nick: str, type: str = "chat", inside: str = BODY) -> None:
        """Send a private message."""
        client.sends(f"<message to='{ROOM}/{nick}' type='{type}' id='5'>{inside}</message>")

    def test_delivered(self) -> None:
        """It comes from the sender's occupant JID, marked with an empty C{muc#user}, with id, type and content."""
        self.send(self.visitor, "Member", inside=f"{BODY}<y xmlns='urn:y'/>")
        self.assertEqual(
            self.rendered(self.member),
            [
                f"<message to='member@localhost/a' type='chat' id='5' from='{ROOM}/Visitor'>{BODY}"
                f"<y xmlns='urn:y'/><x xmlns='{ns.MUC_USER}'/></message>"
            ],
        )
        self.assertNothingReceived()

    def test_marked(self) -> None:
        """It is marked once, and what only the room may send is removed (§17.3, XEP-0203 §5)."""
        mark = f"<x xmlns='{ns.MUC_USER}'/>"
        for inside in (mark, mark + ROOM_ONLY[0], *ROOM_ONLY):
            self.send(self.visitor, "Member", inside=inside + BODY)
            self.assertReceived(self.member, "Visitor chat body:a x")

    def test_types(self) -> None:
        """Any type but groupchat is delivered, also to oneself."""
        for type in ("normal", "headline", "chat"):
            for nick in ("Member", "Owner"):
                self.send(self.member, nick, type)
            for client in (self.member, self.owner):
                self.assertReceived(client, f"Member {type} body:a x")
        self.owner.sends(f"<message to='{ROOM}/Member'>{BODY}</message>")
        self.assertReceived(self.member, "Owner normal body:a x")
        self.assertNothingReceived()

    def test_groupchat(self) -> None:
        """Of type groupchat it is returned, C{bad-request}."""
        for client in (self.member, self.stranger):
            self.send(client, "Owner", "groupchat")
            self.assertReturned(client, "modify bad-request", f"{ROOM}/Owner", "5", "body")
        self.assertNothingReceived()

    def test_nobody(self) -> None:
        """To an unused nick it is C{item-not-found}."""
        self.send(self.member, "Nobody")
        self.assertReceived(self.member, "Nobody message error cancel item-not-found")

    def test_stranger(self) -> None:
        """From a stranger it is C{not-acceptable}, whether the nick is used or not."""
        for nick in ("Member", "Nobody"):
            self.send(self.stranger, nick)
            self.assertReceived(self.stranger, f"{nick} message error modify not-acceptable")
        self.assertNothingReceived()

    def test_permission(self) -> None:
        """The room decides which roles may send private messages."""
        roles = ("visitor", "participant", "moderator")
        for rule, allowed in (("anyone", roles), ("participants", roles[1:]), ("moderators", roles[2:]), ("none", ())):
            self.configureRoom(allowpm=rule)
            for word in roles:
                self.change(role("Visitor", word))
                self.send(self.visitor, "Member")
                if word in allowed:
                    self.assertReceived(self.member, "Visitor chat body:a x")
                else:
                    self.assertReceived(self.visitor, "Member message error auth forbidden")
                self.assertNothingReceived()

    def test_bounced(self) -> None:
        """An error is returned to the occupant who wrote, whatever the rule, without the real JID of the other."""
        self.configureRoom(allowpm="moderators")
        self.member.sends(
            f"<message to='{ROOM}/Owner' type='error' id='5'><error type='cancel' by='member@localhost'>"
            f"<not-acceptable xmlns='{ns.STANZA_ERRORS}'/></error></message>"
        )
        [bounced] = self.owner.received()
        self.assertEqual((bounced.get("from"), bounced.get("id")), (f"{ROOM}/Member", "5"))
        self.assertNotIn("member@localhost", bounced.toXml().replace(ROOM, ""))
        self.assertNothingReceived()

    def test_bouncedAlone(self) -> None:
        """An error has its condition only, so that nobody writes by errors who may not write."""
        self.configureRoom(allowpm="none")
        text = f"<text xmlns='{ns.STANZA_ERRORS}'>a</text>"
        error = f"<error type='{{}}'><{{}} xmlns='{ns.STANZA_ERRORS}'/>{text}<y xmlns='urn:y'>a</y></error>"
        for given, expected in (
            (BODY + error.format("modify", "not-acceptable"), ("modify", "not-acceptable")),
            (BODY, ("cancel", "undefined-condition")),
            (error.format("a", "b"), ("cancel", "undefined-condition")),
        ):
            self.visitor.sends(f"<message to='{ROOM}/Owner' type='error' id='5' a='a'>{given}</message>")
            type, condition = expected
            self.assertEqual(
                self.rendered(self.owner),
                [
                    f"<message to='owner@localhost/a' from='{ROOM}/Visitor' id='5' type='error'><error type='{type}'>"
                    f"<{condition} xmlns='{ns.STANZA_ERRORS}'/></error><x xmlns='{ns.MUC_USER}'/></message>"
                ],
            )
        self.assertNothingReceived()

    def test_bouncedToNobody(self) -> None:
        """An error to an unused nick is dropped."""
        for to, client in product((f"{ROOM}/Nobody", "other@conference.localhost/x"), (self.member, self.stranger)):
            sendError(client, "forbidden", to=to)
        self.assertNothingReceived()

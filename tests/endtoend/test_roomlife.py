# Copyright (c) The muccore authors. See LICENSE for details.
"""The whole life of a room with slixmpp over TLS, with C{kill -9} in the middle."""

from __future__ import annotations

import asyncio
from typing import Any

from slixmpp import JID
from slixmpp.exceptions import XMPPError
from slixmpp.plugins.xep_0410 import PingStatus

from tests.endtoend.persistentserver import PEOPLE, PersistentServerTests
from tests.endtoend.slixmppthread import ROOM, AsyncioThread, Slixmpp, statuses

_ROOM = JID(ROOM)
_VENUE = "balcony@conference.localhost"
_PLUGINS = ("xep_0030", "xep_0077", "xep_0249", "xep_0313", "xep_0359", "xep_0410", "xep_0421", "xep_0425")
_EVENTS = (
    "groupchat_subject", "groupchat_invite", "groupchat_direct_invite", "groupchat_message_error",
    "groupchat_config_status", "message", "message_xform", "message_retract", "moderated_message",
)  # fmt: skip
_KEPT = [
    ("Romeo", ""), ("Romeo", "I am Romeo"), ("Tybalt", "I am Tybalt"), ("Tybalt", "moderated"), ("Tybalt", "retracted"),
    ("Tybalt", ""), ("", ""),
]  # fmt: skip
"""The archive: the subject, messages, and what has retracted them."""


class Person(Slixmpp):
    """A client with what the life of a room needs. Everything here runs in the loop's thread."""

    def __init__(self, asyncioThread: AsyncioThread, name: str) -> None:
        """@param name: the user, whose nick is the same with a capital."""
        super().__init__(asyncioThread, name, f"{name}'s")
        self.nick = name.capitalize()
        for plugin in _PLUGINS:
            self.register_plugin(plugin)
        self._events: dict[str, asyncio.Queue[Any]] = {event: asyncio.Queue() for event in _EVENTS}
        for event, queue in self._events.items():
            self.add_event_handler(event, queue.put_nowait)
        self.ids: dict[str, str] = {}
        self.add_event_handler("groupchat_message", self._heard)

    def _heard(self, message: Any) -> None:
        """Keep the id that the room has given the message (XEP-0359), by its text."""
        self.ids[message["body"]] = message["stanza_id"]["id"]

    async def next(self, event: str) -> Any:
        """Return the stanza of the next event of slixmpp."""
        return await self._events[event].get()

    async def nextPrivate(self) -> Any:
        """Return the next message that is not from a room to all."""
        while (message := await self.next("message"))["type"] == "groupchat":
            pass
        return message

    async def enter(self) -> tuple[Any, Any, list[Any], list[Any]]:
        """Enter the room: own presence, subject, presence of others, history."""
        return await self.room.join_muc_wait(_ROOM, self.nick)

    def say(self, text: str) -> None:
        """Send a message to all."""
        self.send_message(ROOM, text, mtype="groupchat")

    async def answer(self, request: Any, **values: Any) -> None:
        """Submit the form in a message of the room."""
        form = request["form"]
        form["type"] = "submit"
        form["values"] = {**form["values"], **values}
        message = self.make_message(ROOM, mtype="normal")
        message.append(form)
        message.send()

    async def archived(self, size: int, reverse: bool = False) -> list[tuple[str, str]]:
        """Read the archive in pages: nick and text of each message."""
        pages = self["xep_0313"].iterate(_ROOM, rsm={"max": size}, reverse=reverse)
        return [textOf(result["mam_result"]["forwarded"]["stanza"]) async for result in pages]


def textOf(message: Any) -> tuple[str, str]:
    """Return nick and text of a message; C{"retracted"} or C{"moderated"} if it is a tombstone."""
    text = message["body"]
    retracted = message.get_plugin("retracted", check=True)
    if retracted is not None:
        text = "retracted" if retracted.get_plugin("moderated", check=True) is None else "moderated"
    return message["from"].resource, text


class RoomLifeTests(PersistentServerTests):
    """One room from its creation to its end."""

    storage = {"affiliations": "sqlite:muccore.db", "archive": "sqlite:archive.db"}

    async def test_life(self) -> None:
        """
        Romeo creates and configures a moderated room, in which Juliet registers, Tybalt asks for voice and Mercutio is
        invited; they talk, retract and are moderated. After C{kill -9} all of it is there, until Romeo destroys it.
        """
        await self.asyncioThread.run(self.begin())
        await self.asyncioThread.run(self.moderate())
        await self.kill()
        await self.server.start()
        await self.asyncioThread.run(self.end())
        self.assertEqual(self.server.unexpectedLines, [])

    async def logInAll(self) -> None:
        """Log everybody in."""
        self.people = [Person(self.asyncioThread, name) for name in PEOPLE]
        outcomes = [await each.logIn(self.server.port, self.server.certificate) for each in self.people]
        self.assertEqual(set(outcomes), {"session_start"})
        self.assertEqual({each.socket.version() for each in self.people}, {"TLSv1.3"})
        for each in self.people:
            each.send_presence()
            await each.get_roster()

    async def assertSaid(self, *said: tuple[str, str]) -> None:
        """Check what everybody who is in the room hears next."""
        for each in self.people:
            if ROOM in each.room.get_joined_rooms():
                self.assertEqual([await each.nextMessage() for _ in said], list(said), each.nick)

    async def begin(self) -> None:
        """From the creation to a discussion."""
        await self.logInAll()
        romeo, juliet, tybalt, mercutio = self.people

        # Creation and configuration (XEP-0045 §10.1)
        own, *_ = await romeo.enter()
        self.assertEqual(statuses(own), {110, 170, 201})
        form = await romeo.room.get_room_config(ROOM)
        form["type"] = "submit"
        form["values"] = {
            **form["values"],
            "muc#roomconfig_roomname": "The orchard",
            "muc#roomconfig_persistentroom": True,
            "muc#roomconfig_moderatedroom": True,
            "muc#roomconfig_allowinvites": True,
            "x-muc#roomconfig_selfregistration": "approval",
        }
        await romeo.room.set_room_config(ROOM, form)
        info = (await juliet["xep_0030"].get_info(jid=ROOM))["disco_info"]
        self.assertIn("muc_moderated", info["features"])
        self.assertIn("urn:xmpp:mam:2", info["features"])
        self.assertEqual({(each[0], each[1], each[3]) for each in info["identities"]},
                         {("conference", "text", "The orchard")})  # fmt: skip

        # Registration (§7.10), which Romeo approves (§9.9); then the nick is Juliet's.
        form = (await juliet["xep_0077"].get_registration(jid=ROOM))["register"]["form"]
        form["type"] = "submit"
        form["values"] = {"FORM_TYPE": "http://jabber.org/protocol/muc#register", "muc#register_roomnick": "Juliet"}
        registration = juliet.make_iq_set(ito=ROOM)
        registration.enable("register")
        registration["register"].append(form)
        await registration.send()
        request = await romeo.next("message_xform")
        values = request["form"]["values"]
        self.assertEqual((values["x-muc#register_jid"], values["muc#register_roomnick"]),
                         ("juliet@localhost", "Juliet"))  # fmt: skip
        await romeo.answer(request, **{"muc#register_allow": True})
        approved = await juliet.next("groupchat_direct_invite")
        self.assertEqual((approved["from"], statuses(approved)), (_ROOM, {101}))
        with self.assertRaises(XMPPError) as caught:
            await tybalt.room.join_muc_wait(_ROOM, "juliet")
        self.assertEqual(caught.exception.condition, "conflict")
        own, *_ = await juliet.enter()
        self.assertEqual((own["muc"]["affiliation"], own["muc"]["role"]), ("member", "participant"))
        await romeo.nextPresence("Juliet", "available")

        # Voice (§7.13, §8.6)
        own, *_ = await tybalt.enter()
        self.assertEqual((own["muc"]["affiliation"], own["muc"]["role"]), ("none", "visitor"))
        tybalt.say("I hate hell")
        refused = await tybalt.next("groupchat_message_error")
        self.assertEqual(refused["error"]["condition"], "forbidden")
        tybalt.room.request_voice(ROOM, "participant")
        request = await romeo.next("message_xform")
        self.assertEqual(request["form"]["values"]["muc#roomnick"], "Tybalt")
        await romeo.answer(request, **{"muc#request_allow": True})
        await tybalt.nextPresence("Tybalt", "available")
        voiced = await tybalt.nextPresence("Tybalt", "available")
        self.assertEqual(voiced["muc"]["role"], "participant")

        # Invitations (§7.8, XEP-0249); the direct one goes from client to client.
        juliet.room.invite(ROOM, "mercutio@localhost", "Come")
        invitation = await mercutio.next("groupchat_invite")
        self.assertEqual((invitation["from"], invitation["muc"]["invite"]["reason"]), (_ROOM, "Come"))
        juliet["xep_0249"].send_invitation(mercutio.boundjid.bare, _ROOM, reason="Quickly")
        direct = await mercutio.next("groupchat_direct_invite")
        while direct["from"] == _ROOM:
            direct = await mercutio.next("groupchat_direct_invite")
        self.assertEqual((direct["from"].bare, direct["groupchat_invite"]["jid"]), ("juliet@localhost", _ROOM))
        await mercutio.enter()

        # Subject (§8.1), messages (§7.4), private messages (§7.5), self-ping (XEP-0410)
        await self.assertSubject("")
        romeo.room.set_subject(ROOM, "Love")
        await self.assertSubject("Love")
        romeo.say("I am Romeo")
        await self.assertSaid(("Romeo", "I am Romeo"))
        for text in ("I am Tybalt", "Thou villain", "Boy"):
            tybalt.say(text)
            await self.assertSaid(("Tybalt", text))
        juliet.send_message(f"{ROOM}/Romeo", "Alone", mtype="chat")
        private = await romeo.nextPrivate()
        while private["body"] == "":
            private = await romeo.nextPrivate()
        self.assertEqual((private["from"], private["body"]), (JID(f"{ROOM}/Juliet"), "Alone"))
        ping = await juliet["xep_0410"].send_self_ping(JID(f"{ROOM}/Juliet"))
        self.assertEqual(ping, PingStatus.JOINED)

    async def assertSubject(self, subject: str) -> None:
        """Check the next subject that everybody gets."""
        for each in self.people:
            # slixmpp makes C{None} of an empty subject.
            self.assertEqual((await each.next("groupchat_subject"))["subject"], subject or None, each.nick)

    async def moderate(self) -> None:
        """From the archive to the end of the discussion."""
        romeo, juliet, tybalt, mercutio = self.people
        # Retraction by the author only (XEP-0424), and by a moderator (XEP-0425)
        juliet["xep_0424"].send_retraction(_ROOM, juliet.ids["Boy"], "groupchat", fallback_text="")
        self.assertEqual((await juliet.next("groupchat_message_error"))["error"]["condition"], "forbidden")
        tybalt["xep_0424"].send_retraction(_ROOM, tybalt.ids["Boy"], "groupchat", include_fallback=False)
        for each in self.people:
            self.assertEqual((await each.next("message_retract"))["retract"]["id"], romeo.ids["Boy"])
        await romeo["xep_0425"].moderate(_ROOM, romeo.ids["Thou villain"], "Peace")
        for each in self.people:
            moderated = await each.next("moderated_message")
            retract = moderated["retract"]
            self.assertEqual((moderated["from"], retract["id"], retract["reason"], retract["moderated"]["by"]),
                             (_ROOM, each.ids["Thou villain"], "Peace", f"{ROOM}/Romeo"))  # fmt: skip

        # Archive, in pages (XEP-0313)
        for size in (2, 100):
            self.assertEqual(await juliet.archived(size), _KEPT)
        self.assertEqual(await juliet.archived(3, reverse=True), _KEPT[::-1])
        metadata = (await juliet["xep_0313"].get_archive_metadata(_ROOM))["mam_metadata"]
        self.assertLess(metadata["start"]["timestamp"], metadata["end"]["timestamp"])

        # Kick (§8.2), ban (§9.1), lists (§9)
        await romeo.room.set_role(ROOM, "Mercutio", "none", reason="A plague")
        kicked = await mercutio.nextPresence("Mercutio", "unavailable")
        self.assertEqual((statuses(kicked), kicked["muc"]["item"]["reason"]), ({110, 307}, "A plague"))
        await romeo.room.set_affiliation(ROOM, "admin", jid="mercutio@localhost")
        await romeo.room.set_affiliation(ROOM, "outcast", jid="tybalt@localhost", reason="A villain")
        banned = await tybalt.nextPresence("Tybalt", "unavailable")
        self.assertEqual((statuses(banned), banned["muc"]["item"]["reason"]), ({110, 301}, "A villain"))
        self.assertEqual(statuses(await juliet.nextPresence("Tybalt", "unavailable")), {301})
        await self.assertAffiliations()

    async def assertAffiliations(self) -> None:
        """Check the lists."""
        room = self.people[0].room
        lists = {each: await room.get_affiliation_list(ROOM, each) for each in ("owner", "admin", "member", "outcast")}
        expected = {"owner": "romeo", "admin": "mercutio", "member": "juliet", "outcast": "tybalt"}
        self.assertEqual(lists, {key: [JID(f"{name}@localhost")] for key, name in expected.items()})

    async def end(self) -> None:
        """From the restart to the destruction."""
        for each in self.people:
            await each.gone
        await self.logInAll()
        romeo, juliet, tybalt, _ = self.people
        with self.assertRaises(XMPPError) as caught:
            await tybalt.enter()
        self.assertEqual(caught.exception.condition, "forbidden")
        own, subject, _, history = await juliet.enter()
        self.assertEqual((statuses(own), own["muc"]["affiliation"]), ({110, 170}, "member"))
        self.assertEqual((subject["from"], subject["subject"]), (JID(f"{ROOM}/Romeo"), "Love"))
        # Of what was retracted nothing returns.
        self.assertEqual([textOf(each) for each in history], _KEPT[1:3])
        self.assertEqual(await juliet.archived(3), _KEPT)
        await romeo.enter()
        await self.assertAffiliations()
        values = (await romeo.room.get_room_config(ROOM))["values"]
        self.assertEqual((values["muc#roomconfig_roomname"], values["muc#roomconfig_moderatedroom"]),
                         ("The orchard", True))  # fmt: skip

        # Destruction (§10.9)
        await romeo.room.destroy(ROOM, "Dawn", _VENUE)
        ended = await juliet.nextPresence("Juliet", "unavailable")
        self.assertEqual((ended["muc"]["destroy"]["jid"], ended["muc"]["destroy"]["reason"]), (_VENUE, "Dawn"))
        with self.assertRaises(XMPPError) as caught:
            await juliet["xep_0313"].retrieve(_ROOM)
        error = caught.exception.iq["error"]
        self.assertEqual((error["condition"], error["gone"]), ("gone", f"xmpp:{_VENUE}?join"))

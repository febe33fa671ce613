# Copyright (c) The muccore authors. See LICENSE for details.
"""
What slixmpp clients make on a server, and what they find on the one to which it was moved. Everything here runs in the
loop's thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from slixmpp import JID

from muccore.xmpp import ns
from tests.endtoend.slixmppthread import ROOM, AsyncioThread, Slixmpp

PASSWORDS: Final[Mapping[str, str]] = {"romeo": "romeo's", "juliet": 'jül1et & "co" \\', "mercutio": "m"}
"""Users of C{localhost} and their passwords."""

TYBALT: Final = "tybalt@localhost"
DOMAIN: Final = "capulet.example"
SECRET_ROOM: Final = "balcony@conference.localhost"
REASON: Final = 'Brawling & "worse" \\ ü'
SUBJECT: Final = "Where the <orchard> wall is \N{WHITE SMILING FACE}"
SAID: Final = (("Romeo", 'But soft! What light\nthrough yonder "window" breaks?'), ("Jules", "Ay me \\ \U0001f319 é"))
CHAT: Final = "Wherefore art thou?"
LATER: Final = "For when you wake"

_SETTINGS: Final = (
    "roomname", "roomdesc", "lang", "persistentroom", "publicroom", "membersonly", "moderatedroom", "changesubject",
    "whois", "presencebroadcast", "roomsecret",
)  # fmt: skip
"""Fields that the forms of all servers have, without what their names begin with."""

_PLUGINS: Final = ("xep_0048", "xep_0049", "xep_0054", "xep_0077", "xep_0191", "xep_0313", "xep_0359")


class Person(Slixmpp):
    """One of L{PASSWORDS}, whose nick is the same with a capital."""

    def __init__(self, asyncioThread: AsyncioThread, name: str) -> None:
        super().__init__(asyncioThread, name, PASSWORDS[name])
        self.nick = name.capitalize()
        self.auto_authorize = None
        for plugin in _PLUGINS:
            self.register_plugin(plugin)
        self.direct: asyncio.Queue[Any] = asyncio.Queue()
        self.subscriptions: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
        self.add_event_handler("message", lambda each: each["type"] == "groupchat" or self.direct.put_nowait(each))
        for event in ("presence_subscribe", "presence_subscribed"):
            self.add_event_handler(event, lambda each, event=event: self._subscription(event, each))

    def _subscription(self, event: str, presence: Any) -> None:
        self.subscriptions.put_nowait((event, presence["from"].bare))

    async def begin(self, port: int, certificate: str) -> None:
        """Log in, get the roster and become available."""
        outcome = await self.logIn(port, certificate)
        if outcome != "session_start":
            raise AssertionError(f"{self.boundjid.bare}: {outcome} {self.failures}")
        await self.get_roster()
        self.send_presence()

    async def heard(self, text: str) -> Any:
        """Wait until the room has reflected a message."""
        while (message := await self.received.get())["body"] != text:
            pass
        return message

    async def configure(self, room: str, values: Mapping[str, Any]) -> None:
        """Change the configuration of a room."""
        form = await self.room.get_room_config(room)
        unknown = set(values) - set(form.get_fields())
        if unknown:
            raise AssertionError(f"The form has no {unknown}")
        form["type"] = "submit"
        form["values"] = {**form["values"], **values}
        await self.room.set_room_config(room, form)

    async def settings(self, room: str) -> dict[str, Any]:
        """The configuration of a room; what is empty is C{None}."""
        fields = (await self.room.get_room_config(room)).get_fields()
        found = {name: fields[f"muc#roomconfig_{name}"].get_value(convert=True) or None for name in _SETTINGS}
        return {name: sorted(value) if isinstance(value, list) else value for name, value in found.items()}

    async def affiliates(self, room: str) -> dict[str, tuple[str, str]]:
        """The affiliations in a room, with their reasons."""
        found = {}
        for affiliation in ("owner", "admin", "member", "outcast"):
            request = self.make_iq_get(ns.MUC_ADMIN, ito=room)
            request["mucadmin_query"]["item"]["affiliation"] = affiliation
            for item in (await request.send()).xml.iter(f"{{{ns.MUC_ADMIN}}}item"):
                found[item.get("jid")] = affiliation, item.findtext(f"{{{ns.MUC_ADMIN}}}reason", "")
        return found

    async def archived(self, address: str | None = None) -> list[tuple[str, str, str]]:
        """Sender, id and text of the messages in an archive."""
        pages = self["xep_0313"].iterate(None if address is None else JID(address), rsm={"max": 20})
        found = []
        async for result in pages:
            message = result["mam_result"]["forwarded"]["stanza"]
            found.append((str(message["from"]), result["mam_result"]["id"], message["body"]))
        return found

    async def contacts(self) -> dict[str, tuple[Any, ...]]:
        """The roster: name, groups, subscription and pending request of each contact."""
        request = self.make_iq_get(ns.ROSTER)
        items = (await request.send())["roster"]["items"]
        return {
            str(jid): (item["name"], tuple(sorted(item["groups"])), item["subscription"], item["ask"])
            for jid, item in items.items()
        }

    async def bookmarks(self) -> list[tuple[str, str, str, bool]]:
        """The bookmarks in private XML: address, nick, name, and whether to join."""
        found = await self["xep_0048"].get_bookmarks(method="xep_0049")
        marks = found["private"]["bookmarks"]["conferences"]
        return [(str(each["jid"]), each["nick"], each["name"], each["autojoin"]) for each in marks]

    async def registeredNick(self, service: str) -> str:
        """The nick that is registered with a room, or the service of rooms."""
        request = self.make_iq_get(ns.REGISTER, ito=service)
        answer = (await request.send()).xml
        values = [each.text for each in answer.iter(f"{{{ns.DATA}}}value") if each.text and "#" not in each.text]
        names = [each.text for each in answer.iter(f"{{{ns.REGISTER}}}username") if each.text]
        return (names or values or [""])[0]


class Server:
    """
    A server with everybody's clients.

    @ivar service: where nicks are registered.
    """

    def __init__(self, thread: AsyncioThread, port: int, certificate: str, service: str = ROOM) -> None:
        """@param thread: of the clients."""
        self._thread, self._port, self._certificate = thread, port, certificate
        self.service = service

    async def logIn(self, name: str) -> Person:
        """Log somebody in."""
        person = Person(self._thread, name)
        await person.begin(self._port, self._certificate)
        return person

    async def look(self) -> dict[str, Any]:
        """What Romeo and Juliet find."""
        romeo, juliet = await self.logIn("romeo"), await self.logIn("juliet")
        _, subject, _, history = await romeo.room.join_muc_wait(JID(ROOM), "Romeo")
        found = {
            "contacts": [await each.contacts() for each in (romeo, juliet)],
            "vCard": (await juliet["xep_0054"].get_vcard("romeo@localhost", cached=False))["vcard_temp"]["FN"],
            "bookmarks": await romeo.bookmarks(),
            "blocked": {str(each) for each in await romeo["xep_0191"].get_blocked_jids()},
            "settings": [await romeo.settings(room) for room in (ROOM, SECRET_ROOM)],
            "affiliates": [await romeo.affiliates(room) for room in (ROOM, SECRET_ROOM)],
            "subject": (subject["from"].resource, subject["subject"]),
            "history": [(each["from"].resource, each["body"], each["stanza_id"]["id"]) for each in history],
            "archive of the room": await romeo.archived(ROOM),
            "archives": [await each.archived() for each in (romeo, juliet)],
            "nick": await juliet.registeredNick(self.service),
        }
        for each in (romeo, juliet):
            each.abort()
        return found

    async def wake(self) -> tuple[list[str], list[tuple[str, str]]]:
        """Let Mercutio log in; return the texts of the messages and the requests that have waited for them."""
        mercutio = await self.logIn("mercutio")
        texts = [(await mercutio.direct.get())["body"]]
        requests = [await mercutio.subscriptions.get()]
        mercutio.abort()
        return texts, requests


class OldServer(Server):
    """The way of everybody through a server that is left."""

    async def befriend(self) -> None:
        """Romeo and Juliet subscribe to each other, and Romeo asks Mercutio, who does not answer."""
        self.romeo, self.juliet = await self.logIn("romeo"), await self.logIn("juliet")
        for one, other, groups in ((self.romeo, self.juliet, ["Friends", "Verona"]), (self.juliet, self.romeo, [])):
            await one.update_roster(other.boundjid.bare, name=f"{other.nick} & Co", groups=groups)
            one.send_presence_subscription(other.boundjid.bare)
            while await other.subscriptions.get() != ("presence_subscribe", one.boundjid.bare):
                pass
            other.send_presence_subscription(one.boundjid.bare, ptype="subscribed")
            while await one.subscriptions.get() != ("presence_subscribed", other.boundjid.bare):
                pass
        self.romeo.send_presence_subscription("mercutio@localhost", pnick="Romeo")

    async def store(self) -> None:
        """Romeo has a vCard, bookmarks and a block list."""
        card: Any = self.romeo["xep_0054"].make_vcard()
        card["FN"] = "Romeo <Montague>"
        await self.romeo["xep_0054"].publish_vcard(card)
        bookmarks = self.romeo["xep_0048"].stanza.Bookmarks()
        bookmarks.add_conference(JID(ROOM), "Romeo", name="The orchard", autojoin=True)
        await self.romeo["xep_0048"].set_bookmarks(bookmarks, method="xep_0049")
        await self.romeo["xep_0191"].block([JID(TYBALT), JID(DOMAIN)])

    async def makeEverything(self, values: Mapping[str, Any], secret: Mapping[str, Any]) -> None:
        """
        All of the following, in order.

        @param values: the configuration of the room, by names of fields.
        @param secret: likewise, of the other one.
        """
        await self.befriend()
        await self.store()
        await self.openRoom(values)
        await self.openSecretRoom(secret)
        await self.register()
        await self.talk()
        await self.leave()

    async def openRoom(self, values: Mapping[str, Any]) -> None:
        """Romeo creates a room with some configuration and affiliations."""
        await self.romeo.room.join_muc_wait(JID(ROOM), "Romeo")
        await self.romeo.configure(ROOM, values)
        affiliate = self.romeo.room.set_affiliation
        await affiliate(ROOM, "member", jid="juliet@localhost", reason="Love")
        await affiliate(ROOM, "admin", jid="mercutio@localhost")
        await affiliate(ROOM, "outcast", jid=TYBALT, reason=REASON)

    async def openSecretRoom(self, values: Mapping[str, Any]) -> None:
        """Romeo creates another room, from which a domain is banned."""
        await self.romeo.room.join_muc_wait(JID(SECRET_ROOM), "R")
        await self.romeo.configure(SECRET_ROOM, values)
        await self.romeo.room.set_affiliation(SECRET_ROOM, "outcast", jid=DOMAIN, reason=REASON)

    async def register(self) -> None:
        """Juliet registers the nick Jules."""
        form = self.juliet["xep_0004"].make_form(ftype="submit")
        form.add_field(var="FORM_TYPE", ftype="hidden", value=ns.MUC_REGISTER)
        form.add_field(var="muc#register_roomnick", value="Jules")
        request = self.juliet.make_iq_set(ito=self.service)
        request.enable("register")
        request["register"].append(form)
        await request.send()

    async def talk(self) -> None:
        """They speak in the room, to each other, and to Mercutio, who is not there."""
        await self.juliet.room.join_muc_wait(JID(ROOM), "Jules")
        self.romeo.room.set_subject(ROOM, SUBJECT)
        people = {"Romeo": self.romeo, "Jules": self.juliet}
        for nick, text in SAID:
            people[nick].send_message(ROOM, text, mtype="groupchat")
            for each in people.values():
                await each.heard(text)
        self.juliet.send_message("romeo@localhost", CHAT, mtype="chat")
        while (await self.romeo.direct.get())["body"] != CHAT:
            pass
        self.romeo.send_message("mercutio@localhost", LATER, mtype="chat")
        # What follows on a stream is carried out after it.
        await self.romeo.get_roster()

    async def leave(self) -> None:
        """Both log out."""
        for each in (self.romeo, self.juliet):
            each.abort()

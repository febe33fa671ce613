# Copyright (c) The muccore authors. See LICENSE for details.
"""
Helpers for tests of rooms: a server without sockets, requests to rooms, and one-line summaries of what clients receive.

Summaries name the sender (a nick, or C{room}), what was sent, and what matters in it:

    Romeo available none/participant jid=romeo@localhost/a show:xa 100 110
    Romeo available none/participant jid=romeo@localhost/a,b
    Romeo unavailable none/none by=Juliet reason=late 307
    Romeo unavailable none/participant nick=R 303
    room unavailable none/none destroy=other@conference.localhost reason=moved 110
    Romeo presence error cancel conflict
    Romeo groupchat body:Hello delayed
    room groupchat 104
    room normal item nurse@localhost member reason=Kin
    room message error auth forbidden
    result q
    error q auth forbidden

IQs from the room or the service name no sender. The C{by} of an error is shown where it is not the room.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from muccore.interfaces import RoomRecord
from muccore.muc.model.room import Room
from muccore.testing.inmemory import Client, InMemoryServer
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from muccore.xmpp.rendering import Rendered, escapeAttribute, escapeText

HOST = "conference.localhost"
ROOM = f"room@{HOST}"
CONFIG = "muc#roomconfig_"
X = f"<x xmlns='{ns.MUC}'/>"


# What clients receive


def unstamped(xml: str) -> str:
    """Remove occupant ids and stanza ids from rendered stanzas."""
    return re.sub(r"<(?:occupant|stanza)-id [^>]*/>", "", xml)


def mucUser(stanza: Element) -> Element:
    """Return the C{<x/>} of C{muc#user} in a stanza."""
    x = stanza.child("x", ns.MUC_USER)
    assert x is not None, stanza.toXml()
    return x


def codesOf(stanza: Element) -> list[int]:
    """Return the status codes in a stanza."""
    x = stanza.child("x", ns.MUC_USER)
    return [] if x is None else [int(e.attributes["code"]) for e in x.childElements() if e.name == "status"]


def itemOf(stanza: Element) -> Element:
    """Return the C{<item/>} in a stanza."""
    item = mucUser(stanza).child("item")
    assert item is not None, stanza.toXml()
    return item


def itemsOf(stanza: Element) -> list[Element]:
    """Return all C{<item/>}s in a stanza."""
    return [child for child in mucUser(stanza).childElements() if child.name == "item"]


def summary(stanza: Element) -> str:
    """Summarise a stanza in one line."""
    room, _, nick = (stanza.get("from") or "").partition("/")
    sender = nick or "room"
    words = [sender] if nick or stanza.name != "iq" else []
    error = stanza.child("error")
    if error is not None:
        [condition] = [e.name for e in error.childElements() if e.uri == ns.STANZA_ERRORS and e.name != "text"]
        words += ["error", stanza.attributes["id"]] if stanza.name == "iq" else [stanza.name, "error"]
        words += [error.attributes["type"], condition]
        words += [f"by={error.get('by')}"] if error.get("by") != (room if "@" in room else None) else []
    elif stanza.name == "iq":
        words += [stanza.attributes["type"], stanza.attributes["id"]]
    elif stanza.name == "presence":
        words += _presenceWords(stanza)
    else:
        words += _messageWords(stanza)
    return " ".join(words)


def _presenceWords(presence: Element) -> list[str]:
    item = itemOf(presence)
    words = [presence.get("type") or "available", f"{item.get('affiliation')}/{item.get('role')}"]
    if "jid" in item.attributes:
        resources = [other.attributes["jid"].partition("/")[2] for other in itemsOf(presence)[1:]]
        words.append(",".join([f"jid={item.attributes['jid']}", *resources]))
    words += [f"nick={item.attributes['nick']}"] if "nick" in item.attributes else []
    words += [f"by={child.get('nick')}" for child in item.childElements() if child.name == "actor"]
    words += _reasons(item)
    destroy = mucUser(presence).child("destroy")
    if destroy is not None:
        words.append(f"destroy={destroy.get('jid')}" if "jid" in destroy.attributes else "destroy")
        words += [f"{child.name}={child.text()}" for child in destroy.childElements()]
    words += [f"{child.name}:{child.text()}" for child in presence.childElements() if child.uri == ns.CLIENT]
    return [*words, *map(str, codesOf(presence))]


def _messageWords(message: Element) -> list[str]:
    words = [message.get("type") or "normal"]
    for child in message.childElements():
        if child.uri == ns.CLIENT:
            words.append(f"{child.name}:{child.text()}")
        elif child.uri == ns.DELAY:
            own = child.get("from") == message.attributes["from"].partition("/")[0]
            words.append("delayed" if own else f"delay:{child.get('from')}")
        elif child.uri == ns.MUC_USER:
            words += _mucUserWords(child)
            if child.child("invite") is not None:
                # What follows repeats it for older clients.
                break
        elif child.uri not in (ns.OCCUPANT_ID, ns.STANZA_ID):
            words.append(child.name)
    return words


def _mucUserWords(x: Element) -> list[str]:
    words = []
    for child in x.childElements():
        if child.name == "item":
            words += [f"item {child.get('jid')} {child.get('affiliation')}", *_reasons(child)]
        else:
            words.append(child.get("code") or child.name)
    return words or ["x"]


def _reasons(item: Element) -> list[str]:
    return [f"reason={child.text()}" for child in item.childElements() if child.name == "reason"]


def summaries(client: Client) -> list[str]:
    """Summarise what a client has received since the last call, a line for each stanza."""
    return [summary(stanza) for stanza in client.received()]


def attributes(items: Iterable[Element]) -> list[dict[str, str]]:
    """Return the attributes of elements."""
    return [dict(item.attributes) for item in items]


def errorText(stanza: Element) -> str:
    """Return the text of an error stanza."""
    error = stanza.child("error")
    assert error is not None, stanza.toXml()
    text = error.child("text", ns.STANZA_ERRORS)
    return "" if text is None else text.text()


def values(form: Element) -> dict[str, list[str]]:
    """Return the values in a form, by field."""
    return {
        field.get("var") or "": [child.text() for child in field.childElements() if child.name == "value"]
        for field in form.childElements()
        if field.name == "field"
    }


def onDelivery(client: Client, callback: Callable[[str], object]) -> None:
    """Call back with the name of each stanza before it is delivered to a client."""
    send = client.send

    def delivering(stanza: Rendered, to: bytes) -> None:
        callback(stanza.head.decode().removeprefix("<"))
        send(stanza, to)

    client.send = delivering  # type: ignore[method-assign]


def deliveryOrder(*clients: Client) -> list[str]:
    """Return a list that grows with every stanza delivered from now on, as C{"romeo@localhost/a presence"}."""
    order: list[str] = []
    for client in clients:
        onDelivery(client, lambda name, address=client.address: order.append(f"{address} {name}"))  # type: ignore[misc]
    return order


# What clients send


def sendIQ(client: Client, type: str, payload: str, id: str = "q", to: str = ROOM) -> None:
    """Send an IQ."""
    client.sends(f"<iq type='{type}' id='{id}' to='{to}'>{payload}</iq>")


def sendPresence(client: Client, nick: str, children: str = "", id: str | None = None, to: str = ROOM) -> None:
    """Send presence to a room, without a join."""
    identity = f" id='{id}'" if id else ""
    client.sends(f"<presence to='{to}/{escapeAttribute(nick)}'{identity}>{children}</presence>")


def join(
    client: Client,
    nick: str,
    children: str = "",
    x: str = "",
    password: str | None = None,
    id: str | None = None,
    to: str = ROOM,
) -> None:
    """
    Send a join.

    @param children: more children of the presence.
    @param x: children of its C{<x/>}.
    """
    secret = f"<password>{escapeText(password)}</password>" if password is not None else ""
    sendPresence(client, nick, f"{children}<x xmlns='{ns.MUC}'>{secret}{x}</x>", id, to)


def leave(client: Client, nick: str, children: str = "", to: str = ROOM) -> None:
    """Leave a room."""
    client.sends(f"<presence type='unavailable' to='{to}/{nick}'>{children}</presence>")


def sendGroupchat(client: Client, children: str, id: str | None = None, to: str = ROOM) -> None:
    """Send a groupchat message with these children."""
    identity = f" id='{id}'" if id else ""
    client.sends(f"<message type='groupchat' to='{to}'{identity}>{children}</message>")


def say(client: Client, text: str, to: str = ROOM) -> None:
    """Send a groupchat message with a body."""
    sendGroupchat(client, f"<body>{text}</body>", to=to)


def setSubject(client: Client, text: str, to: str = ROOM) -> None:
    """Change the subject."""
    sendGroupchat(client, f"<subject>{text}</subject>", to=to)


def sendError(client: Client, condition: str, name: str = "message", to: str = ROOM) -> None:
    """Return a stanza to a room as undeliverable."""
    error = f"<error type='cancel'><{condition} xmlns='{ns.STANZA_ERRORS}'/></error>"
    client.sends(f"<{name} type='error' to='{to}'>{error}</{name}>")


def affiliation(jid: str, word: str, reason: str | None = None, nick: str | None = None) -> str:
    """Return an item that gives an affiliation."""
    inside = f"<reason>{reason}</reason>" if reason is not None else ""
    reserved = f" nick='{nick}'" if nick is not None else ""
    return f"<item jid='{jid}' affiliation='{word}'{reserved}>{inside}</item>"


def role(nick: str, word: str, reason: str | None = None) -> str:
    """Return an item that gives a role."""
    inside = f"<reason>{reason}</reason>" if reason is not None else ""
    return f"<item nick='{nick}' role='{word}'>{inside}</item>"


def sendAdmin(client: Client, *items: str, id: str = "q", type: str = "set", to: str = ROOM) -> None:
    """Request changes of affiliations and roles, or a list of them."""
    sendIQ(client, type, f"<query xmlns='{ns.MUC_ADMIN}'>{''.join(items)}</query>", id, to)


def sendOwner(client: Client, payload: str = "", type: str = "set", id: str = "q", to: str = ROOM) -> None:
    """Send a request of an owner."""
    sendIQ(client, type, f"<query xmlns='{ns.MUC_OWNER}'>{payload}</query>", id, to)


def form(formType: str, fields: dict[str, Any], type: str = "submit") -> str:
    """Return a submitted form. A list gives several values, a bool C{0} or C{1}."""
    rows: dict[str, Any] = {"FORM_TYPE": formType, **fields} if formType else fields
    inside = ""
    for var, value in rows.items():
        given = value if isinstance(value, (list, tuple)) else [value]
        texts = [str(int(each)) if isinstance(each, bool) else str(each) for each in given]
        inside += f"<field var='{var}'>{''.join(f'<value>{escapeText(text)}</value>' for text in texts)}</field>"
    return f"<x xmlns='{ns.DATA}' type='{type}'>{inside}</x>"


def configure(client: Client, id: str = "q", to: str = ROOM, **fields: Any) -> None:
    """Submit a configuration: fields of C{muc#roomconfig} without their prefix, others in full."""
    named = {name if "#" in name else CONFIG + name: value for name, value in fields.items()}
    sendOwner(client, form(ns.MUC_ROOMCONFIG, named), id=id, to=to)


def register(client: Client, nick: str | None, id: str = "q", to: str = ROOM) -> None:
    """Register with a room; C{None} as the nick unregisters."""
    payload = "<remove/>" if nick is None else form(ns.MUC_REGISTER, {"muc#register_roomnick": nick})
    sendIQ(client, "set", f"<query xmlns='{ns.REGISTER}'>{payload}</query>", id, to)


def execute(client: Client, node: str, payload: str = "", to: str = ROOM, id: str = "q", **attributes: str) -> None:
    """Execute a command."""
    more = "".join(f" {name}='{value}'" for name, value in attributes.items())
    sendIQ(client, "set", f"<command xmlns='{ns.COMMANDS}' node='{node}'{more}>{payload}</command>", id, to)


# Test cases


class MUCTestCase(SynchronousTestCase):
    """
    A server with rooms.

    @ivar clients: all clients that have logged in.
    """

    def setUp(self) -> None:
        self.startServer()

    def startServer(self, store: Any = None, **options: Any) -> None:
        """Start the server (again), with another store or other options."""
        self.server = InMemoryServer(store, **options)
        self.clients: list[Client] = []

    def client(self, address: str) -> Client:
        """
        Log in.

        @param address: C{name}, C{name/resource}, or a full JID; C{localhost} and the resource C{a} are understood.
        """
        bare, _, resource = address.partition("/")
        client = self.server.client(f"{bare if '@' in bare else f'{bare}@localhost'}/{resource or 'a'}")
        self.clients.append(client)
        return client

    def login(self, *addresses: str) -> list[Client]:
        """Log in several clients."""
        return [self.client(address) for address in addresses]

    def createRoom(self, client: Client, nick: str | None = None, to: str = ROOM, **fields: Any) -> None:
        """Create a room and configure it; discard what clients have received."""
        join(client, nick or _nickOf(client), to=to)
        configure(client, to=to, **fields)
        self.discardReceived()

    def enter(self, client: Client | str, nick: str | None = None, children: str = "", **arguments: Any) -> Client:
        """
        Enter the room; discard what clients have received.

        @param client: a client, or the address of one that logs in.
        @param nick: the client's name, capitalised, unless given.
        """
        client = self.client(client) if isinstance(client, str) else client
        join(client, nick or _nickOf(client), children, **arguments)
        self.assertIn(client.address, self.room(arguments.get("to", ROOM)).sessions)
        self.discardReceived()
        return client

    def enterAll(self, *clients: Client) -> None:
        """Enter the room, one client after the other, under their names."""
        for client in clients:
            self.enter(client)

    def room(self, name: str = ROOM) -> Room:
        """Return a room that is in memory."""
        return self.server.muc.rooms.live[name]

    def record(self, name: str = ROOM) -> RoomRecord | None:
        """Return a room as it is stored at this moment, if it is."""
        inner = getattr(self.server.store, "inner", self.server.store)
        found: RoomRecord | None = self.successResultOf(inner.load(name))
        return found

    def storedRecord(self, name: str = ROOM) -> RoomRecord:
        """Return a room as it is stored at this moment."""
        record = self.record(name)
        assert record is not None
        return record

    def storedAffiliations(self, name: str = ROOM) -> dict[str, str]:
        """Return the affiliations as they are stored at this moment."""
        return {jid: entry.affiliation for jid, entry in self.storedRecord(name).affiliates.items()}

    def storedNicks(self, name: str = ROOM) -> dict[str, str]:
        """Return the reserved nicks as they are stored at this moment."""
        entries = self.storedRecord(name).affiliates.items()
        return {jid: entry.nick for jid, entry in entries if entry.nick is not None}

    def discardReceived(self) -> None:
        """Discard what clients have received."""
        for client in self.clients:
            client.received()

    def assertReceived(self, client: Client, *lines: str) -> None:
        """Check that a client has received exactly this since the last call."""
        self.assertEqual(summaries(client), list(lines))

    def assertNothingReceived(self, *clients: Client) -> None:
        """Check that none of these clients, or no client, has received anything."""
        for client in clients or self.clients:
            self.assertEqual(summaries(client), [], client.address)

    def result(self, client: Client) -> Element:
        """Return the payload of the one result that a client has received."""
        [iq] = client.received()
        self.assertEqual(iq.get("type"), "result", iq.toXml())
        [payload] = iq.childElements()
        return payload


def _nickOf(client: Client) -> str:
    return client.address.partition("@")[0].capitalize()


class RoomTestCase(MUCTestCase):
    """
    A room and its owner, C{owner@localhost/a}, who is in it as Owner.

    @cvar fields: the room's configuration.
    """

    fields: dict[str, Any] = {}

    def setUp(self) -> None:
        self.openRoom(**self.fields)

    def openRoom(self, store: Any = None, options: dict[str, Any] | None = None, **fields: Any) -> None:
        """Start the server (again) with the room and its owner."""
        self.startServer(store, **(options or {}))
        self.owner = self.client("owner")
        self.createRoom(self.owner, **fields)

    def change(self, *items: str) -> None:
        """Change affiliations and roles as the owner; discard what clients have received."""
        sendAdmin(self.owner, *items)
        self.assertIn("result q", summaries(self.owner))
        self.discardReceived()

    def configureRoom(self, **fields: Any) -> None:
        """Configure the room as the owner; discard what clients have received."""
        configure(self.owner, **fields)
        self.assertIn("result q", summaries(self.owner))
        self.discardReceived()

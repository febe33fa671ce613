# Copyright (c) The muccore authors. See LICENSE for details.
"""
A stage with a room on it, and a short way of writing down what its people hear.
"""

from __future__ import annotations

from typing import Any

from muccore import ns
from muccore.element import Element, escapeText
from muccore.muc.room import Room
from muccore.testing.stage import Client, Stage

ROOM = "room@conference.localhost"

X = f"<x xmlns='{ns.MUC}'/>"


def codesOf(presence: Element) -> list[int]:
    """
    The status codes in a presence or message of a room.
    """
    x = presence.child("x", ns.MUC_USER)
    return [] if x is None else [int(e.attributes["code"]) for e in x.childElements() if e.name == "status"]


def itemOf(stanza: Element) -> Element:
    """
    The C{<item/>} in it.
    """
    x = stanza.child("x", ns.MUC_USER)
    assert x is not None, stanza.toXml()
    item = x.child("item")
    assert item is not None, stanza.toXml()
    return item


def errorOf(stanza: Element) -> str:
    """
    The error in it as C{"condition type by"}.
    """
    error = stanza.child("error")
    assert error is not None, stanza.toXml()
    [condition] = [e.name for e in error.childElements() if e.uri == ns.STANZA_ERRORS and e.name != "text"]
    return f"{condition} {error.attributes['type']} {error.get('by')}"


def short(stanza: Element) -> str:
    """
    One line for a stanza: who it is from (a nick, or C{room}), what, and what counts in it.
    """
    sender = stanza.attributes["from"]
    who = "room" if sender == ROOM else sender.removeprefix(f"{ROOM}/")
    if stanza.get("type") == "error":
        return f"{who} {stanza.name} error {errorOf(stanza)}"
    if stanza.name == "presence":
        return _shortPresence(who, stanza)
    if stanza.name == "iq":
        return f"{who} {stanza.attributes['type']} {stanza.attributes['id']}"
    return _shortMessage(who, stanza)


def _shortPresence(who: str, presence: Element) -> str:
    item = itemOf(presence)
    words = [who, presence.get("type") or "available", f"{item.get('affiliation')}/{item.get('role')}"]
    words += [f"{name}={item.attributes[name]}" for name in ("jid", "nick") if name in item.attributes]
    words += [f"{e.name}:{e.text()}" for e in presence.childElements() if e.uri == ns.CLIENT]
    return " ".join([*words, *map(str, codesOf(presence))])


def _shortMessage(who: str, message: Element) -> str:
    words = [who, message.get("type") or "normal"]
    for child in message.childElements():
        if child.uri == ns.CLIENT:
            words.append(f"{child.name}:{child.text()}")
        elif child.uri == ns.DELAY:
            words.append(f"delay:{child.get('from')}")
        elif child.uri == ns.MUC_USER:
            words += ["x", *(e.name for e in child.childElements())]
        else:
            words.append(child.name)
    return " ".join(words)


class Scene(Stage):
    """
    A stage with a room that Owner (owner@localhost/o) has opened; he is in.
    """

    def __init__(self, settings: dict[str, Any] | None = None, store: Any = None, **options: Any) -> None:
        """
        @param settings: form fields by name without C{muc#roomconfig_}, or in full if they have a C{#}.
        """
        super().__init__(store, **options)
        self.owner = self.client("owner@localhost/o")
        self.clients = {"owner@localhost/o": self.owner}
        join(self.owner, "Owner")
        self.configure(**(settings or {}))

    def configure(self, **settings: Any) -> None:
        """
        Let the owner configure the room; nobody remembers what he heard.
        """
        fields = {(name if "#" in name else f"muc#roomconfig_{name}"): value for name, value in settings.items()}
        fields["FORM_TYPE"] = ns.MUC_ROOMCONFIG
        form = "".join(f"<field var='{v}'><value>{escapeText(value)}</value></field>" for v, value in fields.items())
        self.asks(self.owner, f"<query xmlns='{ns.MUC_OWNER}'><x xmlns='{ns.DATA}' type='submit'>{form}</x></query>")
        self.forget()

    def asks(self, client: Client, query: str, to: str = ROOM) -> None:
        """
        Let somebody send an IQ of type set, and see that it is carried out.
        """
        client.sends(f"<iq type='set' id='ask' to='{to}'>{query}</iq>")
        heard = client.hears()
        assert any(e.name == "iq" and e.get("type") == "result" for e in heard), [e.toXml() for e in heard]

    def admin(self, **item: str) -> None:
        """
        Let the owner change a role or an affiliation; nobody remembers what he heard.
        """
        attributes = "".join(f" {name}='{value}'" for name, value in item.items())
        self.asks(self.owner, f"<query xmlns='{ns.MUC_ADMIN}'><item{attributes}/></query>")
        self.forget()

    def person(self, address: str) -> Client:
        """
        Somebody at localhost; C{address} is his user name and, behind a slash, his resource.
        """
        local, _, resource = address.partition("/")
        full = f"{local}@localhost/{resource or 'r'}"
        client = self.clients[full] = self.client(full)
        return client

    def guest(self, address: str, nick: str, inside: str = "") -> Client:
        """
        Somebody who has entered; nobody remembers what he heard.
        """
        client = self.person(address)
        join(client, nick, inside)
        assert client.address in self.room.seats, told(client)
        self.forget()
        return client

    def forget(self) -> None:
        """
        Everybody forgets what he has heard.
        """
        for client in self.clients.values():
            client.hears()

    @property
    def room(self) -> Room:
        """
        The room.
        """
        return self.muc.rooms.live[ROOM]


def join(client: Client, nick: str, inside: str = "", x: str = "", id: str | None = None) -> None:
    """
    Somebody asks to enter.

    @param inside: more children of the presence.
    @param x: children of the C{<x/>}.
    """
    identity = f" id='{id}'" if id else ""
    client.sends(f"<presence to='{ROOM}/{nick}'{identity}>{inside}<x xmlns='{ns.MUC}'>{x}</x></presence>")


def told(client: Client) -> list[str]:
    """
    What somebody has heard, a line for each stanza.
    """
    return [short(stanza) for stanza in client.hears()]


class Listener:
    """
    A seat's route that keeps what it is sent.
    """

    def __init__(self) -> None:
        self.heard: list[bytes] = []

    def deliver(self, stanza: Any, to: bytes) -> None:
        """
        See L{muccore.interfaces.IRoute.deliver}.
        """
        self.heard.append(stanza.addressed(to))

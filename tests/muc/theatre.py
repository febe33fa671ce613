# Copyright (c) The muccore authors. See LICENSE for details.
"""
What tests of requests to rooms share: a server without sockets, people, what they ask, and short words for what they
hear.

One stanza heard is one line of text:

    here Nick member/participant +110 as user@localhost/a     presence; codes, real JID
    gone Nick none/none +321 by Romeo because "late"          unavailable presence; actor, reason
    result q, error q auth forbidden                          the answer to an IQ
    refused Nick cancel conflict                              the answer to a presence
    room: user@localhost is member                            the notice of an absent user's affiliation
    room: +104                                                the notice of a configuration
    subject "text", Nick: text                                groupchat
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from muccore import ns
from muccore.element import Element, escapeAttribute, escapeText
from muccore.interfaces import RoomRecord
from muccore.muc.room import Room
from muccore.testing.stage import Client, Stage

HOST = "conference.localhost"
NAME = f"room@{HOST}"

CONFIG = "muc#roomconfig_"


def _detail(x: Element) -> str:
    words = "".join(f" +{child.get('code')}" for child in x.childElements() if child.name == "status")
    item = x.child("item")
    if item is not None:
        if item.get("jid") is not None:
            words += f" as {item.get('jid')}"
        if item.get("nick") is not None:
            words += f" now {item.get('nick')}"
        actor, reason = item.child("actor"), item.child("reason")
        if actor is not None:
            words += f" by {actor.get('nick')}"
        if reason is not None:
            words += f' because "{reason.text()}"'
    destroy = x.child("destroy")
    if destroy is not None:
        words += f" destroyed {destroy.get('jid') or ''}".rstrip()
        words += "".join(f" {child.name}={child.text()}" for child in destroy.childElements())
    return words


def brief(stanza: Element) -> str:
    """
    One stanza as one line.
    """
    nick = (stanza.get("from") or "").partition("/")[2] or "room"
    error = stanza.child("error")
    if error is not None:
        [condition, *_] = [child.name for child in error.childElements() if child.uri == ns.STANZA_ERRORS]
        words = {"iq": f"error {stanza.get('id')}", "presence": f"refused {nick}", "message": "bounced"}[stanza.name]
        return f"{words} {error.get('type')} {condition}"
    if stanza.name == "iq":
        return f"{stanza.get('type')} {stanza.get('id')}"
    x = stanza.child("x", ns.MUC_USER)
    item = x.child("item") if x is not None else None
    if stanza.name == "presence":
        assert x is not None and item is not None, stanza.toXml()
        word = "gone" if stanza.get("type") == "unavailable" else "here"
        return f"{word} {nick} {item.get('affiliation')}/{item.get('role')}{_detail(x)}"
    if item is not None:
        reason = item.child("reason")
        because = f' because "{reason.text()}"' if reason is not None else ""
        return f"{nick}: {item.get('jid')} is {item.get('affiliation')}{because}"
    body, subject = stanza.child("body"), stanza.child("subject")
    if body is not None:
        return f"{nick}: {body.text()}"
    if subject is not None:
        return f'subject "{subject.text()}"'
    assert x is not None, stanza.toXml()
    return f"{nick} invites" if x.child("invite") is not None else f"{nick}:{_detail(x)}"


def heard(client: Client) -> list[str]:
    """
    What somebody has heard since the last time.
    """
    return [brief(stanza) for stanza in client.hears()]


def ask(client: Client, type: str, payload: str, id: str = "q", to: str = NAME) -> None:
    """
    Send an IQ.
    """
    client.sends(f"<iq type='{type}' id='{id}' to='{to}'>{payload}</iq>")


def join(client: Client, nick: str, password: str | None = None, to: str = NAME) -> None:
    """
    Ask to enter.
    """
    secret = f"<password>{escapeText(password)}</password>" if password is not None else ""
    client.sends(f"<presence to='{to}/{escapeAttribute(nick)}'><x xmlns='{ns.MUC}'>{secret}</x></presence>")


def leave(client: Client, nick: str, to: str = NAME) -> None:
    """
    Leave.
    """
    client.sends(f"<presence type='unavailable' to='{to}/{nick}'/>")


def say(client: Client, text: str, to: str = NAME) -> None:
    """
    Speak to everybody.
    """
    client.sends(f"<message type='groupchat' to='{to}'><body>{text}</body></message>")


def setSubject(client: Client, text: str, to: str = NAME) -> None:
    """
    Change the subject.
    """
    client.sends(f"<message type='groupchat' to='{to}'><subject>{text}</subject></message>")


def affiliation(jid: str, word: str, reason: str | None = None, nick: str | None = None) -> str:
    """
    One item of a request of an admin.
    """
    because = f"<reason>{reason}</reason>" if reason is not None else ""
    called = f" nick='{nick}'" if nick is not None else ""
    return f"<item jid='{jid}' affiliation='{word}'{called}>{because}</item>"


def role(nick: str, word: str, reason: str | None = None) -> str:
    """
    One item of a request of a moderator.
    """
    because = f"<reason>{reason}</reason>" if reason is not None else ""
    return f"<item nick='{nick}' role='{word}'>{because}</item>"


def admin(client: Client, *items: str, id: str = "q", type: str = "set", to: str = NAME) -> None:
    """
    Ask for changes, or for lists.
    """
    ask(client, type, f"<query xmlns='{ns.MUC_ADMIN}'>{''.join(items)}</query>", id, to)


def form(formType: str, fields: dict[str, Any], type: str = "submit") -> str:
    """
    A form that comes back. A list gives several values, a bool 0 or 1.
    """
    rows: list[tuple[str, Any]] = [("FORM_TYPE", [formType])] if formType else []
    for var, value in fields.items():
        given = value if isinstance(value, (list, tuple)) else [value]
        rows.append((var, [str(int(each)) if isinstance(each, bool) else str(each) for each in given]))
    inside = "".join(
        f"<field var='{var}'>{''.join(f'<value>{escapeText(each)}</value>' for each in given)}</field>"
        for var, given in rows
    )
    return f"<x xmlns='jabber:x:data' type='{type}'>{inside}</x>"


def configure(client: Client, id: str = "q", to: str = NAME, **fields: Any) -> None:
    """
    Submit a configuration; fields of C{muc#roomconfig} by the rest of their names.
    """
    submitted = form(ns.MUC_ROOMCONFIG, {CONFIG + name: value for name, value in fields.items()})
    owner(client, submitted, id=id, to=to)


def owner(client: Client, payload: str = "", type: str = "set", id: str = "q", to: str = NAME) -> None:
    """
    Send any request of an owner.
    """
    ask(client, type, f"<query xmlns='{ns.MUC_OWNER}'>{payload}</query>", id, to)


def register(client: Client, nick: str | None, id: str = "q", to: str = NAME) -> None:
    """
    Register with a room; unregister with C{None}.
    """
    payload = "<remove/>" if nick is None else form(ns.MUC_REGISTER, {"muc#register_roomnick": nick})
    ask(client, "set", f"<query xmlns='{ns.REGISTER}'>{payload}</query>", id, to)


class Theatre(SynchronousTestCase):
    """
    A server with people.

    @ivar stage: the server.
    """

    def setUp(self) -> None:
        """
        The curtain rises.
        """
        self.begin()

    def begin(self, store: Any = None, **options: Any) -> None:
        """
        Begin (again) with another store or other options.
        """
        self.stage = Stage(store, **options)

    def client(self, name: str) -> Client:
        """
        Log somebody in: C{name@localhost/a}, or another full JID.
        """
        return self.stage.client(name if "/" in name else f"{name}@localhost/a")

    def room(self, name: str = NAME) -> Room:
        """
        A room that is in memory.
        """
        return self.stage.muc.rooms.live[name]

    def record(self, name: str = NAME) -> RoomRecord | None:
        """
        A room as it is stored at this moment.
        """
        inner = getattr(self.stage.store, "inner", self.stage.store)
        found: RoomRecord | None = self.successResultOf(inner.load(name))
        return found

    def stored(self, name: str = NAME) -> dict[str, str]:
        """
        The affiliations as they are stored at this moment.
        """
        record = self.record(name)
        assert record is not None, "the room is not stored"
        return {jid: entry.affiliation for jid, entry in record.affiliates.items()}

    def nicks(self, name: str = NAME) -> dict[str, str]:
        """
        The reserved nicks as they are stored at this moment.
        """
        record = self.record(name)
        assert record is not None, "the room is not stored"
        return {jid: entry.nick for jid, entry in record.affiliates.items() if entry.nick is not None}

    def open(self, client: Client, nick: str = "Romeo", to: str = NAME, **fields: Any) -> None:
        """
        Create a room and configure it. Nothing that is heard of it stays.
        """
        join(client, nick, to=to)
        configure(client, to=to, **fields)
        self.quiet(client)

    def admit(self, *clients: tuple[Client, str]) -> None:
        """
        Let people in. Nothing that is heard of it stays, for them.
        """
        for client, nick in clients:
            join(client, nick)
        self.quiet(*(client for client, _ in clients))

    def quiet(self, *clients: Client) -> None:
        """
        Forget what was heard.
        """
        for client in clients:
            client.hears()

    def hear(self, client: Client, *lines: str) -> None:
        """
        Somebody has heard exactly this since the last time.
        """
        self.assertEqual(heard(client), list(lines))

    def silent(self, *clients: Client) -> None:
        """
        Nobody of these has heard anything.
        """
        for client in clients:
            self.assertEqual(heard(client), [], client.address)

    def refused(self, client: Client, condition: str, id: str = "q") -> None:
        """
        Somebody has heard nothing but one error, as C{type condition}.
        """
        self.assertEqual(heard(client), [f"error {id} {condition}"])

    def answer(self, client: Client) -> Element:
        """
        The payload of the one result that somebody has heard.
        """
        [iq] = client.hears()
        self.assertEqual(iq.get("type"), "result", iq.toXml())
        [payload] = iq.childElements()
        return payload


def values(form: Element) -> dict[str, list[str]]:
    """
    The values in a form, by field.
    """
    return {
        field.get("var") or "": [child.text() for child in field.childElements() if child.name == "value"]
        for field in form.childElements()
        if field.name == "field"
    }


def attributes(items: Iterable[Element]) -> list[dict[str, str]]:
    """
    The attributes of some elements.
    """
    return [dict(item.attributes) for item in items]

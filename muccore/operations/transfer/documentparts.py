# -*- test-case-name: tests.operations.transfer.test_documentsource -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The parts of accounts and rooms in documents of XEP-0227. What is wrong with one is a problem of it alone: the others
come.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final

from muccore.im.archivepreferences import parsePreferences
from muccore.interfaces import Affiliate, ArchiveItem, RosterItem, Subject
from muccore.muc.model.privileges import AFFILIATIONS
from muccore.muc.model.roomsettings import FIELDS
from muccore.operations.transfer.documents import messageContent
from muccore.operations.transfer.privacylists import blockedIn
from muccore.operations.transfer.records import OfflineMessage, Problem, Room, User
from muccore.operations.transfer.roomforms import settingsOf
from muccore.xmpp import ns
from muccore.xmpp.archivequeries import MICROSECONDS
from muccore.xmpp.datetimes import parseStamp
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.jid import parse
from muccore.xmpp.rendering import Rendered
from muccore.xmpp.scramkeys import HASHES, ScramKeys

ITERATIONS_LIMIT: Final = 10_000_000
"""More iterations would keep clients busy for minutes at each log-in."""

_BAD: Final = (ValueError, KeyError, OverflowError, RecursionError, StanzaError)
"""What is raised for what cannot be understood."""

_SUBSCRIPTIONS: Final = frozenset(["none", "to", "from", "both"])

_IN_FORM: Final = frozenset(row.setting for row in FIELDS) | {"password", "extensions"}


Table = Mapping[tuple[str | None, str], Callable[[Any, Element], None]]


class Parts:
    """
    The parts of one account or room, as they are found.

    @ivar address: its bare JID.
    @ivar found: attributes of the record.
    @ivar problems: what was wrong, until somebody takes it.
    @cvar table: what adds a child element, by its namespace and name.
    """

    table: ClassVar[Table]

    def __init__(self, address: str) -> None:
        self.address = address
        self.found: dict[str, Any] = {}
        self.problems: list[Problem] = []

    def refuse(self, what: str, reason: str) -> None:
        """Note that something cannot come."""
        self.problems.append(Problem(self.address, what, reason))

    def takeProblems(self) -> list[Problem]:
        """Get the problems, once."""
        taken, self.problems = self.problems, []
        return taken

    def record(self) -> User | Room:
        """What was found since the last record."""
        raise NotImplementedError("the parts' record")

    def archived(self, result: Element) -> ArchiveItem | None:
        """A message of the archive, or C{None} if it cannot come."""
        raise NotImplementedError("the parts' archived")

    def add(self, element: Element) -> None:
        """Add a child of the account or room."""
        function = self.table.get((element.uri, element.name))
        if function is None:
            self.refuse(f"{{{element.uri}}}{element.name}", "this server does not know it")
            return
        try:
            function(self, element)
        except _BAD as e:
            self.refuse(f"{{{element.uri}}}{element.name}", _explain(e))

    def _each(self, element: Element, what: str, add: Callable[[Element], None]) -> None:
        """Add the child elements of one, each for itself."""
        for child in element.childElements():
            try:
                add(child)
            except _BAD as e:
                self.refuse(what, _explain(e))


def _explain(error: Exception) -> str:
    if isinstance(error, StanzaError):
        return error.text or error.condition
    return f"{error} is missing" if isinstance(error, KeyError) else str(error)


class UserParts(Parts):
    """The parts of an account."""

    def record(self) -> User:
        """What was found since the last record."""
        found, self.found = self.found, {}
        for name in ("keys", "private", "offline"):
            found[name] = tuple(found.get(name, ()))
        return User(account=self.address, **found)

    def _credentials(self, element: Element) -> None:
        mechanism = element.attributes["mechanism"]
        hashName = mechanism.removeprefix("SCRAM-")
        if hashName not in HASHES:
            raise ValueError(f"this server does not know {mechanism}")
        iterations = _number(element.childText("iter-count"))
        if not 0 < iterations <= ITERATIONS_LIMIT:
            raise ValueError(f"{mechanism} with {iterations} iterations is not possible")
        size = hashlib.new(HASHES[hashName]).digest_size
        values = [_base64(element.childText(name)) for name in ("salt", "stored-key", "server-key")]
        if len(values[1]) != size:
            # COMPAT: ejabberd 23.01 encodes what it keeps encoded already.
            values = [_base64(each.decode("latin-1")) for each in values]
        salt, stored, server = values
        if not salt or {len(stored), len(server)} != {size}:
            raise ValueError(f"the keys for {mechanism} do not have their length")
        keys = self.found.setdefault("keys", [])
        if hashName in [each.hashName for each in keys]:
            raise ValueError(f"there are keys for {mechanism} already")
        keys.append(ScramKeys(hashName, salt, iterations, stored, server))

    def _roster(self, element: Element) -> None:
        self._each(element, "a contact in the roster", self._contact)

    def _contact(self, item: Element) -> None:
        if item.name != "item":
            raise ValueError(f"{item.name} is no contact")
        contact = parse(item.attributes["jid"]).bare
        subscription = item.get("subscription") or "none"
        if subscription not in _SUBSCRIPTIONS:
            raise ValueError(f"{contact}: there is no subscription {subscription!r}")
        groups = {child.text() for child in item.childElements() if child.name == "group"} - {""}
        roster = self.found.setdefault("roster", {})
        roster[contact] = RosterItem(
            item.get("name") or "", tuple(sorted(groups)), subscription, item.get("ask") == "subscribe",
            item.get("approved") in ("true", "1"), roster.get(contact, RosterItem()).request,
        )  # fmt: skip

    def _request(self, presence: Element) -> None:
        if presence.get("type") != "subscribe":
            raise ValueError("it is no request for a subscription")
        contact = parse(presence.attributes["from"]).bare
        rendered = Rendered.of(presence)
        roster = self.found.setdefault("roster", {})
        old = roster.get(contact, RosterItem(listed=False))
        roster[contact] = RosterItem(
            old.name, old.groups, old.subscription, old.ask, old.approved, rendered.head + rendered.tail, old.listed
        )

    def _offline(self, element: Element) -> None:
        self._each(element, "an offline message", self._offlineMessage)

    def _offlineMessage(self, message: Element) -> None:
        if (message.uri, message.name) != (ns.CLIENT, "message"):
            raise ValueError("it is no message")
        parse(message.attributes["from"])
        message.attributes.setdefault("to", self.address)
        parse(message.attributes["to"])
        delay = message.child("delay", ns.DELAY)
        offline = self.found.setdefault("offline", [])
        # Without a time, it keeps its place.
        time = _time(delay) if delay is not None else offline[-1].time if offline else 0
        offline.append(OfflineMessage(time, message))

    def _private(self, element: Element) -> None:
        for child in element.childElements():
            if not child.uri or child.uri == ns.PRIVATE:
                self.refuse(f"{child.name} in private storage", "it has no namespace of its own")
            else:
                self.found.setdefault("private", []).append(child)

    def _vCard(self, element: Element) -> None:
        self.found["vCard"] = element

    def _blocked(self, element: Element) -> None:
        def add(item: Element) -> None:
            blocked.add(parse(item.attributes["jid"]).full)

        blocked = set(self.found.get("blocked", ()))
        self._each(element, "a blocked address", add)
        self.found["blocked"] = frozenset(blocked)

    def _privacy(self, element: Element) -> None:
        blocked, problems = blockedIn(element)
        for problem in problems:
            self.refuse("a privacy list", problem)
        if blocked:
            self.found["blocked"] = frozenset(self.found.get("blocked", frozenset()) | blocked)

    def _preferences(self, element: Element) -> None:
        self.found["archiving"] = parsePreferences(element)

    def _disabled(self, element: Element) -> None:
        self.found["disabled"] = True

    def _document(self, element: Element) -> None:
        place = element.attributes["kind"], element.attributes["key"]
        self.found.setdefault("documents", {})[place] = _base64(element.text())

    def _preference(self, element: Element) -> None:
        self.found.setdefault("preferences", {})[element.attributes["name"]] = json.loads(element.text())

    def addPassword(self, password: str) -> None:
        """Add the password itself."""
        self.found["password"] = password

    def archived(self, result: Element) -> ArchiveItem | None:
        """A message of the archive, or C{None} if it cannot come."""
        try:
            id, time, message = _forwarded(result)
            sender, to = parse(message.attributes["from"]), parse(message.attributes["to"])
        except _BAD as e:
            self.refuse("a message in the archive", _explain(e))
            return None
        other = to if sender.bare == self.address else sender
        isTombstone = message.child("retracted", ns.RETRACT) is not None
        return ArchiveItem(id, time, other.full, sender.bare, messageContent(message), retracted=isTombstone)

    table = {
        (ns.PIE_SCRAM, "scram-credentials"): _credentials,
        (ns.ROSTER, "query"): _roster,
        (ns.CLIENT, "presence"): _request,
        (ns.PIE, "offline-messages"): _offline,
        (ns.PRIVATE, "query"): _private,
        (ns.VCARD_TEMP, "vCard"): _vCard,
        (ns.BLOCKING, "blocklist"): _blocked,
        (ns.PRIVACY, "query"): _privacy,
        (ns.MAM, "prefs"): _preferences,
        (ns.MUCCORE_DATA, "disabled"): _disabled,
        (ns.MUCCORE_DATA, "document"): _document,
        (ns.MUCCORE_DATA, "preference"): _preference,
    }


class RoomParts(Parts):
    """The parts of a room."""

    def record(self) -> Room:
        """What was found since the last record."""
        found, self.found = self.found, {}
        return Room(room=self.address, **found)

    def _configuration(self, element: Element) -> None:
        """Add a form, alone or in the request that submits it."""
        x = element if element.uri == ns.DATA else element.child("x", ns.DATA)
        if x is None:
            raise ValueError("there is no form in it")
        settings, problems = settingsOf(x)
        self.found.setdefault("settings", {}).update(settings)
        for var, reason in problems:
            self.refuse(f"the setting {var}", reason)

    def _affiliations(self, element: Element) -> None:
        self._each(element, "an affiliation", self._affiliation)

    def _affiliation(self, item: Element) -> None:
        affiliation = item.attributes["affiliation"]
        if item.name != "item" or affiliation not in AFFILIATIONS:
            raise ValueError(f"there is no affiliation {affiliation!r}")
        address = parse(item.attributes["jid"]).bare
        entry = Affiliate(affiliation, item.get("nick"), item.childText("reason"))
        self.found.setdefault("affiliates", {})[address] = entry

    def _subject(self, message: Element) -> None:
        subject = message.child("subject", ns.CLIENT)
        if subject is None:
            raise ValueError("it has no subject")
        sender = parse(message.get("from") or self.address)
        delay = message.child("delay", ns.DELAY)
        seconds = 0.0 if delay is None else parseStamp(delay.attributes["stamp"])
        author = takeAuthor(message)
        language = subject.attributes.get((ns.XML, "lang"))
        self.found["subject"] = Subject(subject.text(), sender.resource, seconds, language, author)

    def _vCard(self, element: Element) -> None:
        self.found["vCard"] = element

    def _creator(self, element: Element) -> None:
        self.found["creator"] = parse(element.attributes["jid"]).bare

    def _setting(self, element: Element) -> None:
        name = element.attributes["name"]
        if name in _IN_FORM:
            raise ValueError(f"{name}: it belongs into the form")
        self.found.setdefault("settings", {})[name] = json.loads(element.text())

    def _state(self, element: Element) -> None:
        rows = self.found.setdefault("states", {}).setdefault(element.attributes["extension"], {})
        rows[element.attributes["key"]] = json.loads(element.text())

    def archived(self, result: Element) -> ArchiveItem | None:
        """A message of the archive, or C{None} if it cannot come."""
        try:
            id, time, message = _forwarded(result)
            sender = parse(message.get("from") or self.address)
        except _BAD as e:
            self.refuse("a message in the archive", _explain(e))
            return None
        if sender.bare != self.address:
            self.refuse("a message in the archive", f"it is from {sender.bare}, not from the room")
            return None
        author = takeAuthor(message)
        isTombstone = message.child("retracted", ns.RETRACT) is not None
        return ArchiveItem(id, time, sender.full, author, Rendered.of(message), retracted=isTombstone)

    table = {
        (ns.MUC_OWNER, "query"): _configuration,
        (ns.DATA, "x"): _configuration,
        (ns.MUC_ADMIN, "query"): _affiliations,
        (ns.CLIENT, "message"): _subject,
        (ns.VCARD_TEMP, "vCard"): _vCard,
        (ns.MUCCORE_DATA, "creator"): _creator,
        (ns.MUCCORE_DATA, "setting"): _setting,
        (ns.MUCCORE_DATA, "state"): _state,
    }


def takeAuthor(message: Element) -> str:
    """Take away what tells who has written a message (XEP-0313 §6.1.2), and return it; C{""} if there is nothing."""
    for child in reversed(list(message.childElements())):
        if (child.uri, child.name) == (ns.MUC_USER, "x"):
            item = child.child("item")
            address = None if item is None else item.get("jid")
            if address is not None:
                message.children.remove(child)
                return parse(address).bare
    return ""


def _forwarded(result: Element) -> tuple[str, int, Element]:
    """Id, time and message of a result (XEP-0313 §4.2); L{ValueError} or L{KeyError} if there is none."""
    id = result.attributes["id"]
    if (result.uri, result.name) != (ns.MAM, "result") or not id:
        raise ValueError("it is no result of a query")
    forwarded = result.child("forwarded", ns.FORWARD)
    delay = None if forwarded is None else forwarded.child("delay", ns.DELAY)
    message = None if forwarded is None else forwarded.child("message", ns.CLIENT)
    if delay is None or message is None:
        raise ValueError("there is no message with a time in it")
    return id, _time(delay), message


def _time(delay: Element) -> int:
    return round(parseStamp(delay.attributes["stamp"].strip()) * MICROSECONDS)


def _number(text: str | None) -> int:
    stripped = (text or "").strip()
    if not (stripped.isascii() and stripped.isdigit() and len(stripped) < 12):
        raise ValueError(f"{stripped[:20]!r} is no number")
    return int(stripped)


def _base64(text: str | None) -> bytes:
    try:
        return base64.b64decode("".join((text or "").split()), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("it is no Base64") from None

# -*- test-case-name: tests.log.test_eventlog -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Events for operators, one line each: C{login-failed from 192.0.2.7: not-authorized, ...}.

A line begins with the name of its kind and its source, a network address or the bare JID of the actor. Users choose
neither, so scripts and fail2ban can match them; what users choose (nicks, resources, names) follows, and L{clean}
prevents it from imitating anything else. The beginnings of lines are stable; docs/operating.md lists them.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Final

from twisted.logger import Logger as TwistedLogger
from twisted.logger import LogLevel

from muccore.log.logger import Logger

LINE_LIMIT: Final = 30
"""Lines of one kind from one source in a L{PERIOD}; more events are only counted."""

PERIOD: Final = 60.0
"""Seconds."""

SOURCE_LIMIT: Final = 2048
"""Pairs of kind and source that are counted separately in a L{PERIOD}; more are counted together, by kind."""

VALUE_LIMIT: Final = 128
"""Characters of one value in a line."""

OTHERS: Final = "others"
"""The source under which sources above L{SOURCE_LIMIT} are counted."""

_PLAIN: Final = re.compile(r"[^\s\"\\]+")


class Phrase(str):
    """The server's own text, which is not quoted although it has spaces."""

    __slots__ = ()


def escape(text: str) -> str:
    """Replace control characters, line separators and invisible characters by Python's backslash escapes."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def clean(value: object) -> str:
    """Make a value printable, bounded, and quoted unless it is one word without quotes and backslashes."""
    text = str(value)
    if len(text) > VALUE_LIMIT:
        text = text[: VALUE_LIMIT - 1] + "\N{HORIZONTAL ELLIPSIS}"
    if (not isinstance(value, Phrase) and _PLAIN.fullmatch(text) is None) or not text.isprintable():
        text = '"' + escape(text.replace("\\", "\\\\").replace('"', '\\"')) + '"'
    return text


class RateLimit:
    """Limits the lines of each kind from each source, and logs the number of omitted ones after each period."""

    def __init__(self, seconds: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        # Kind and source: end of the period, and events in it. Ordered by the end.
        self._counts: dict[tuple[str, str], list[float]] = {}

    def admits(self, kind: str, source: str) -> bool:
        """Count an event; return whether to log it."""
        self.expire()
        key = (kind, source)
        count = self._counts.get(key)
        if count is None and len(self._counts) >= SOURCE_LIMIT:
            key = (kind, OTHERS)
            count = self._counts.get(key)
        if count is None:
            self._counts[key] = [self._seconds() + PERIOD, 1]
            return True
        count[1] += 1
        return count[1] <= LINE_LIMIT

    def expire(self, everything: bool = False) -> None:
        """Remove the periods that have ended, or all, and log how many events were omitted in them."""
        counts = self._counts
        now = self._seconds()
        while counts:
            key = next(iter(counts))
            until, count = counts[key]
            if until > now and not everything:
                break
            del counts[key]
            if count > LINE_LIMIT:
                EVENTS_SUPPRESSED.write(key[1], count=int(count) - LINE_LIMIT, kind=key[0])


limit = RateLimit()
"""The limit of the process. The server calls L{RateLimit.expire} periodically."""

_log = Logger(namespace="muccore.events")


def logStoreFailure(log: TwistedLogger, format: str, store: str, /, **fields: object) -> None:
    """
    Log that a request failed because a store did, which every request may while a disk is full: more than
    L{LINE_LIMIT} lines of a kind of store in a L{PERIOD} are only counted.

    @param store: the kind of store.
    """
    if limit.admits("store-failures", store):
        log.error(format, **fields)



class EventKind:
    """
    A kind of event.

    @ivar format: its lines, as a format string that begins with name and source.
    @ivar name: the first word of its lines.
    @ivar key: the kind of source: C{address} or C{actor}.
    @ivar meaning: its description in the documentation.
    """

    def __init__(self, format: str, meaning: str) -> None:
        self.format = format
        self.name = format.partition(" ")[0]
        self.key = "address" if " from {address}: " in format else "actor"
        self.meaning = meaning
        KINDS.append(self)

    def wanted(self) -> bool:
        """Whether the threshold lets events of this kind pass, for callers whose fields are costly."""
        return bool(LogLevel.info >= Logger.threshold)

    def log(self, source: str, **fields: object) -> None:
        """
        Log an event. Below the threshold this costs one comparison.

        @param source: the address or actor, by which L{RateLimit} counts.
        @param fields: the fields of the format.
        """
        if LogLevel.info >= Logger.threshold and limit.admits(self.name, source):
            self.write(source, **fields)

    def write(self, source: str, **fields: object) -> None:
        """Log an event without counting it."""
        values = {name: value if isinstance(value, int) else clean(value) for name, value in fields.items()}
        values[self.key] = clean(source or "-")
        _log.emit(LogLevel.info, self.format, event=self.name, **values)


KINDS: Final[list[EventKind]] = []
"""Every kind, in the order of the documentation."""

LOGIN: Final = EventKind(
    "login from {address}: {jid} by {mechanism}, {tls}",
    "A client has logged in and bound a resource. What it tells about itself (XEP-0388) follows: software, on device.",
)
LOGIN_FAILED: Final = EventKind(
    "login-failed from {address}: {condition}, account {account}, {mechanism}, {tls}",
    "A log-in was refused. The condition is that of RFC 6120 \N{SECTION SIGN}6.5: `not-authorized` is a wrong name or "
    "password. The account is the one that the client named, at the domain of its stream; `-` if it named none.",
)
LOGOUT: Final = EventKind(
    "logout from {address}: {jid} after {seconds} s, {why}",
    "The stream of a client that was logged in has ended. `may be resumed`: its session waits for the client.",
)
SESSION_RESUMED: Final = EventKind(
    "session-resumed from {address}: {jid} by {mechanism}, {tls}", "A client has logged in and resumed its session."
)
SESSION_EXPIRED: Final = EventKind(
    "session-expired by {actor}: {jid}, {why}, {count} stanzas not acknowledged",
    "A session that could be resumed has ended. What its client has not acknowledged goes to other clients of the "
    "account, or back to the sender.",
)
CONNECTION_REFUSED: Final = EventKind(
    "connection-refused from {address}: limit of {limit}",
    "Too many connections, in all or from that address: the option of `[limits]` and its value.",
)
WEBSOCKET_REFUSED: Final = EventKind(
    "websocket-refused from {address}: {reason}, origin {origin}",
    "A WebSocket connection was refused: its page is of an origin that is not in `[http] allowed_origins`, or it is "
    "not under TLS, which `[c2s] tls` requires. The origin is `-` if it did not come from a browser.",
)
BOSH_REFUSED: Final = EventKind(
    "bosh-refused from {address}: {reason}, origin {origin}",
    "The same for a session over BOSH.",
)
PUSH_DISABLED: Final = EventKind(
    "push-disabled by {actor}: {service}, {condition}",
    "A push service of an account (XEP-0357) has answered with this error, or too often with one that may pass, or has "
    "`revoked` the permission to publish, and is told nothing more until a client enables it again.",
)
UPLOADED: Final = EventKind("uploaded by {actor}: {size} bytes", "An account has uploaded a file (XEP-0363).")
STREAM_ERROR: Final = EventKind(
    "stream-error from {address}: {error}, {jid}",
    "The server has ended a stream because of invalid XML or XMPP, or an exceeded limit, which is named. "
    "The JID is `-` before the log-in.",
)
CLIENT_THROTTLED: Final = EventKind(
    "client-throttled from {address}: more than {rate} bytes/s, {jid}",
    "A client sends faster than `[limits] rate`, and is slowed down. Logged again only after a minute below the limit.",
)
OUTBOX_OVERFLOW: Final = EventKind(
    "outbox-overflow from {address}: more than {limit} bytes unread",
    "A client did not read what it was sent (`[transport] outbox_limit`), and was disconnected.",
)
OUTBOXES_OVERFLOW: Final = EventKind(
    "outboxes-overflow from {address}: more than {limit} bytes unread by all",
    "All clients together did not read what they were sent (`[transport] outboxes_limit`); the one with the most was "
    "disconnected.",
)
COMPONENT_CONNECTED: Final = EventKind(
    "component-connected from {address}: {component}", "A component has connected and given the right secret."
)
COMPONENT_REFUSED: Final = EventKind(
    "component-refused from {address}: {condition}, {component}",
    "A component was refused: `host-unknown` (there is no section for its name), `not-authorized` (a wrong secret) or "
    "`conflict` (it is connected already).",
)
COMPONENT_DISCONNECTED: Final = EventKind(
    "component-disconnected from {address}: {jid} after {seconds} s, {why}", "The stream of a component has ended."
)
DOMAIN_CONNECTED: Final = EventKind(
    "domain-connected from {address}: {domain} by {method}, {tls}",
    "Another server has opened a stream and proved that it serves the domain: by its certificate or by dialback. For "
    "further domains on the same stream there are no lines.",
)
DOMAIN_REFUSED: Final = EventKind(
    "domain-refused from {address}: {domain}, {why}",
    "Another server could not prove that it serves the domain, or the configuration blocks it.",
)
DOMAIN_DISCONNECTED: Final = EventKind(
    "domain-disconnected from {address}: {jid} after {seconds} s, {why}",
    "A stream that another server had opened has ended.",
)
LINK_OPENED: Final = EventKind(
    "link-opened by {actor}: {domain} at {peer} by {method}, {tls}",
    "The server has opened a stream from one of its domains, the actor, to a domain elsewhere.",
)
LINK_FAILED: Final = EventKind(
    "link-failed by {actor}: {domain}, {condition}, {why}, {count} stanzas returned",
    "No stream could be opened to a domain elsewhere, or it was lost and not opened again in time. What was to be sent "
    "came back with the condition.",
)
LINK_CLOSED: Final = EventKind(
    "link-closed from {address}: {jid} after {seconds} s, {why}",
    "A stream that the server had opened has ended.",
)
ROOM_CREATED: Final = EventKind("room-created by {actor}: {room}", "A room was created.")
ROOM_CONFIGURED: Final = EventKind(
    "room-configured by {actor}: {room}, changed: {changed}",
    "An owner has submitted the configuration form. Names the changed settings, not their values.",
)
ROOM_DESTROYED: Final = EventKind(
    "room-destroyed by {actor}: {room}, {why}",
    "A room was destroyed. The actor is the rooms' domain if the server did it by itself.",
)
ROOM_FLOODED: Final = EventKind(
    "room-flooded by {actor}: more than {rate} joins a minute, {room}",
    "Users without affiliation enter a room faster than its owner or `[muc] joins_per_minute` allows, and are refused. "
    "The actor is the rooms' domain. Logged again only after a minute below the limit.",
)
QUOTA_NEARLY_REACHED: Final = EventKind(
    "quota-nearly-reached by {actor}: {used}, {option}, {room}",
    "Nine tenths of a limit of stored rooms are used: `[muc]` `rooms_per_user` or `user_size_limit` by the rooms that "
    "the actor has created, `room_size_limit` by one of them, `rooms_limit` or `total_size_limit` by all rooms; the "
    "actor is their domain then. Logged again only after less was used.",
)
OCCUPANT_THROTTLED: Final = EventKind(
    "occupant-throttled by {actor}: more than {rate} bytes/s, {room}",
    "A user causes more to be sent to a room than `[muc] occupant_rate` and `room_rate` allow, and is slowed down. "
    "Logged again only after a minute below the limit.",
)
OCCUPANT_KICKED: Final = EventKind(
    "occupant-kicked by {actor}: {target} from {room}, nick {nick}", "A moderator has removed an occupant from a room."
)
OCCUPANT_BANNED: Final = EventKind(
    "occupant-banned by {actor}: {target} from {room}",
    "An admin or owner has banned an account, or a whole domain, from a room.",
)
MESSAGES_RETRACTED: Final = EventKind(
    "messages-retracted by {actor}: {count} of {target} in {room}",
    "A moderator has retracted messages of an account; `-` if it is not known.",
)
ACCOUNT_CREATED: Final = EventKind(
    "account-created by {actor}: {target}",
    "An account was created: by an admin, by `muccorectl`, or by a client at the address that is named.",
)
ACCOUNT_REMOVED: Final = EventKind(
    "account-removed by {actor}: {target}",
    "An account was removed, with all that was kept of it. The actor is its user, an admin, `muccorectl`, or its "
    "domain if the removal was finished after a start.",
)
ACCOUNT_DISABLED: Final = EventKind(
    "account-disabled by {actor}: {target}", "An account was disabled: its sessions have ended, and it cannot log in."
)
ACCOUNT_ENABLED: Final = EventKind("account-enabled by {actor}: {target}", "An account may log in again.")
ADMINISTRATION: Final = EventKind(
    "administration by {actor}: {command}, {target}",
    "An admin has carried out a command (XEP-0133): the accounts that it was about, or the domain.",
)
PASSWORD_CHANGED: Final = EventKind("password-changed by {actor}: {target}", "The password of an account was changed.")
ABUSE_REPORTED: Final = EventKind(
    "abuse-reported by {actor}: {target}, {reason}, {count} messages, {text}",
    "A user has blocked an address and reported it to you (XEP-0377): for `urn:xmpp:reporting:spam`, "
    "`urn:xmpp:reporting:abuse` or something else, with the number of messages that they name and their text.",
)
EVENTS_SUPPRESSED: Final = EventKind(
    "events-suppressed from {address}: {count} more {kind} in the last minute were not logged",
    f"More than {LINE_LIMIT} events of one kind came from one source (an address, or the actor's JID) within a minute. "
    f"`{OTHERS}` stands for the sources beyond the first {SOURCE_LIMIT}. Of failures of stores, the source is the kind "
    "of store.",
)

# -*- test-case-name: tests.session.test_session -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Sessions: bound resources, and who is bound.

A session takes what its client sends, checks that it is a stanza (RFC 6120 §8), stamps C{from} on it, keeps the
presence of its resource (RFC 6121 §4) and remembers to whom it was directed, so that it can be undone however the
session ends. Where a stanza goes is the router's business.

The place of the roster: L{Session} sees to the four subscription types itself, since nobody keeps subscriptions yet,
and broadcasts presence to the account's own resources only. The place of resumption (XEP-0198): a session without a
carrier has not ended; L{Session.deliver} and L{Session.received} are where stanzas would be counted and kept.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from zope.interface import implementer

from muccore.interfaces import IRouter, ISession, ISessionBinder, IStream
from muccore.xmpp import jid, ns
from muccore.xmpp.element import Element, stanza
from muccore.xmpp.errors import StanzaError, StreamError, errorReplyOrNone
from muccore.xmpp.jid import JID, InvalidJID
from muccore.xmpp.rendering import Rendered, toAttribute

STANZAS: Final = frozenset(["message", "presence", "iq"])

DIRECTED_LIMIT: Final = 1000
"""To how many addresses a session's presence may stand directed, unless L{Sessions} is told otherwise."""

SESSIONS_LIMIT: Final = 50
"""How many sessions one account may have, unless L{Sessions} is told otherwise."""

_SUBSCRIPTION: Final = frozenset(["subscribe", "subscribed", "unsubscribe", "unsubscribed"])
_PRIORITY: Final = re.compile(r"[+-]?[0-9]{1,4}")
_LANG: Final = (ns.XML, "lang")
_RESOURCE_BYTES: Final = 15

_ID_LIMIT: Final = 1023
"""Longest id of a stanza. It comes back with every answer and goes along with whatever a stanza causes."""

_PRESENCE_LIMIT: Final = 16 * 1024
"""Bytes of the presence that a session broadcasts, which is kept."""

_UNAVAILABLE_COST_LIMIT: Final = 20_000
"""What it may cost to say goodbye to all to whom presence stands directed, in tags and quarters of a KiB: each of them
gets a copy of what the client says with it. Beyond that, each is told that it has gone and no more."""


@implementer(ISession)
class Session:
    """
    One bound resource of one account.

    @ivar jid: the full JID.
    @ivar account: the bare JID.
    @ivar fullText: C{jid} as text, stamped on everything the client sends.
    @ivar stream: what carries it, or C{None}.
    @ivar language: see L{ISession}.
    @ivar priority: the priority of its presence; C{None} while it is not available.
    @ivar presence: the presence it broadcast last, or C{None} while it is not available.
    @ivar ended: whether it is over.
    """

    __slots__ = (
        "__weakref__",
        "_directed",
        "_router",
        "_sessions",
        "account",
        "ended",
        "fullText",
        "jid",
        "language",
        "presence",
        "priority",
        "stream",
    )

    def __init__(self, sessions: Sessions, router: IRouter, jid: JID, carrier: IStream) -> None:
        self.jid = jid
        self.account = jid.bareJID()
        self.fullText = jid.full
        self.stream: IStream | None = carrier
        self.language: str | None = None
        self.priority: int | None = None
        self.presence: Rendered | None = None
        self.ended = False
        self._sessions = sessions
        self._router = router
        # Most sessions direct their presence nowhere or to a few rooms.
        self._directed: dict[str, JID] | None = None

    def __repr__(self) -> str:
        return f"<Session {self.fullText!r}>"

    @property
    def directed(self) -> Mapping[str, JID]:
        """To whom presence stands directed, by full JID."""
        return MappingProxyType(self._directed or {})

    def deliver(self, stanza: Rendered, to: bytes) -> None:
        """See L{muccore.interfaces.IRoute.deliver}. After the end nothing happens."""
        carrier = self.stream
        if carrier is not None:
            carrier.send(stanza, to)

    def stanzaReceived(self, element: Element) -> None:
        """
        See L{muccore.interfaces.ISession.received}.

        @raise StreamError: C{unsupported-stanza-type} or C{invalid-namespace} for what is no stanza, C{invalid-from}
            for a C{from} that is not this session (RFC 6120 §8.1.2.1).
        """
        if self.ended:
            return
        name = element.name
        if element.uri != ns.CLIENT or name not in STANZAS:
            raise StreamError("invalid-namespace" if name in STANZAS else "unsupported-stanza-type")
        attributes = element.attributes
        sender = attributes.get("from")
        if sender != self.fullText:
            if sender is not None:
                self._checkSender(sender)
            attributes["from"] = self.fullText
        if self.language is not None:
            attributes.setdefault(_LANG, self.language)
        if len(attributes.get("id", "")) > _ID_LIMIT:
            self._sendError(element, StanzaError("policy-violation", text="the id is too long"), self.jid.domain)
            return
        address = attributes.get("to")
        to = None
        if address is not None:
            try:
                to = jid.parse(address)
            except InvalidJID as e:
                # The address cannot be the error's `from` alone: `by` says who found it malformed (RFC 6120
                # §8.3.3.8).
                self._sendError(element, StanzaError("jid-malformed", text=str(e)), self.jid.domain)
                return
        if name == "message":
            if to is None:
                # RFC 6120 §10.3.1
                to = self.account
                attributes["to"] = to.full
            self._router.route(element, to)
        elif name == "iq":
            self._iqReceived(element, to)
        else:
            self._presenceReceived(element, to)

    def _checkSender(self, sender: str) -> None:
        try:
            claimed = jid.parse(sender)
        except InvalidJID:
            raise StreamError("invalid-from") from None
        if claimed != self.jid and claimed != self.account:
            raise StreamError("invalid-from")

    def _sendError(self, element: Element, error: StanzaError, by: str | None = None) -> None:
        answer = errorReplyOrNone(element, error, by)
        if answer is not None:
            self.deliver(Rendered.of(answer), toAttribute(self.fullText))

    def _sendBadRequest(self, element: Element, text: str) -> None:
        self._sendError(element, StanzaError("bad-request", text=text))

    def _iqReceived(self, element: Element, to: JID | None) -> None:
        """Check an IQ by RFC 6120 §8.2.3 and send it on."""
        attributes = element.attributes
        type = attributes.get("type")
        if "id" not in attributes:
            self._sendBadRequest(element, "an IQ has to have an id")
            return
        if type in ("get", "set"):
            if sum(1 for child in element.children if not isinstance(child, str)) != 1:
                self._sendBadRequest(element, f"an IQ of type {type} has to have exactly one child element")
                return
        elif type not in ("result", "error"):
            self._sendBadRequest(element, "the type of an IQ has to be get, set, result or error")
            return
        if to is None:
            # The server answers for the account (RFC 6120 §10.3.3).
            to = self.account
            attributes["to"] = to.full
        self._router.route(element, to)

    # Presence

    def _presenceReceived(self, element: Element, to: JID | None) -> None:
        type = element.attributes.get("type")
        if type is None:
            if to is None:
                self._sendAvailable(element)
            elif self._trackDirected(to):
                self._router.route(element, to)
            else:
                self._sendError(
                    element, StanzaError("resource-constraint", text="presence is directed to too many addresses")
                )
        elif type == "unavailable":
            if to is None:
                self._sendUnavailable(element)
            else:
                if self._directed is not None:
                    self._directed.pop(to.full, None)
                self._router.route(element, to)
        elif type in _SUBSCRIPTION:
            if to is None:
                self._sendBadRequest(element, f"presence of type {type} has to have an address")
            elif not to.local or to.domain != self.jid.domain:
                # RFC 6121 §8.5.1 has the server ignore these for accounts that do not exist. Those that do exist are
                # treated alike, as if nobody had answered yet, so that nobody learns which they are.
                self._sendError(element, StanzaError("service-unavailable", text="subscriptions are not supported"))
        elif type == "probe" or type == "error":
            # Both are about one entity: without an address there is none, and a client has no business to probe
            # (RFC 6121 §4.3). Domains know what to do with the others.
            if to is not None:
                self._router.route(element, to)
        else:
            self._sendBadRequest(element, "no such type of presence")

    def _trackDirected(self, to: JID) -> bool:
        """
        Note that presence has been directed to an address (RFC 6121 §4.6.3).

        At the limit, an address takes the place of the oldest one at the same bare JID: who changes his nick in a
        room again and again directs presence to ever new addresses of it and is in the room once. Where there is
        none, it is refused.

        @return: whether it was noted.
        """
        directed = self._directed
        if directed is None:
            directed = self._directed = {}
        full = to.full
        if full not in directed and len(directed) >= self._sessions.directedLimit:
            for other in directed.values():
                if other.bare == to.bare:
                    del directed[other.full]
                    break
            else:
                return False
        directed[full] = to
        return True

    def _broadcast(self, rendered: Rendered) -> None:
        """Send presence to the available resources of this account."""
        for session in self._sessions.forAccount(self.account.bare).values():
            if session.priority is not None:
                session.deliver(rendered, toAttribute(session.fullText))

    def _sendAvailable(self, element: Element) -> None:
        """
        Initial and updated presence (RFC 6121 §4.2.2, §4.4.2): to every available resource of the account, this one
        too. With the initial one, the presence of the others comes back.
        """
        priorities = [child for child in element.childElements() if child.name == "priority" and child.uri == ns.CLIENT]
        priority = 0
        if priorities:
            text = priorities[0].text().strip()
            if len(priorities) > 1 or not _PRIORITY.fullmatch(text) or not -128 <= int(text) <= 127:
                self._sendBadRequest(element, "the priority of presence is one number from -128 to 127")
                return
            priority = int(text)
        presence = Rendered.of(element)
        if len(presence.tail) > _PRESENCE_LIMIT:
            self._sendError(element, StanzaError("policy-violation", text="the presence is too large"))
            return
        initial = self.priority is None
        self.priority = priority
        self.presence = presence
        self._broadcast(presence)
        if initial:
            address = toAttribute(self.fullText)
            for session in self._sessions.forAccount(self.account.bare).values():
                if session is not self and session.presence is not None:
                    self.deliver(session.presence, address)

    def _sendUnavailable(self, element: Element) -> None:
        """
        Unavailable presence: to every available resource of the account, this one too (RFC 6121 §4.5.2), and to
        everyone to whom presence stands directed (RFC 6121 §4.6.3).
        """
        rendered = Rendered.of(element)
        if self.priority is not None:
            self._broadcast(rendered)
            self.priority = None
            self.presence = None
        cost = rendered.tail.count(b"<") + len(rendered.tail) // 256
        if cost * len(self.directed) > _UNAVAILABLE_COST_LIMIT:
            element = stanza("presence", "unavailable", from_=self.fullText)
        self._sendDirectedUnavailable(element)

    def _sendDirectedUnavailable(self, element: Element) -> None:
        directed, self._directed = self._directed, None
        if directed:
            for to in directed.values():
                copied = element.copy()
                copied.attributes["to"] = to.full
                self._router.route(copied, to)

    def streamLost(self, carrier: IStream, clean: bool) -> None:
        """See L{muccore.interfaces.ISession.carrierLost}."""
        if carrier is self.stream:
            self.end()

    def end(self) -> None:
        """
        The session is over: nobody finds it any more, and then everyone who knew it as available hears that it is
        not. Calling it again changes nothing.
        """
        if self.ended:
            return
        self.ended = True
        self.stream = None
        available = self.priority is not None
        self.priority = None
        self.presence = None
        self._sessions.remove(self)
        gone = stanza("presence", "unavailable", from_=self.fullText)
        if available:
            self._broadcast(Rendered.of(gone))
        self._sendDirectedUnavailable(gone)


_NO_SESSIONS: Final[Mapping[str, Session]] = MappingProxyType({})


@implementer(ISessionBinder)
class Sessions:
    """
    Who is bound: the sessions of every account.

    @ivar router: where sessions send; L{muccore.routing.router.Router} puts itself here.
    @ivar limit: how many sessions one account may have.
    @ivar directedLimit: to how many addresses the presence of one session may stand directed.
    """

    router: IRouter

    def __init__(self, limit: int = SESSIONS_LIMIT, directedLimit: int = DIRECTED_LIMIT) -> None:
        self.limit = limit
        self.directedLimit = directedLimit
        self._accounts: dict[str, dict[str, Session]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Session]:
        """All sessions there are at this moment; they may end while this goes on."""
        return iter([session for sessions in self._accounts.values() for session in sessions.values()])

    def forAccount(self, account: str) -> Mapping[str, Session]:
        """
        The sessions of an account by resource. Not a copy.

        @param account: the bare JID as text.
        """
        return self._accounts.get(account, _NO_SESSIONS)

    def byFullJID(self, jid: JID) -> Session | None:
        """The session that has a full JID."""
        sessions = self._accounts.get(jid.bare)
        return None if sessions is None else sessions.get(jid.resource)

    def bind(self, account: JID, resource: str | None, carrier: IStream) -> Session:
        """
        See L{muccore.interfaces.IBinder.bind}.

        The session that had the resource has ended, and everyone has heard of it, before the new one is there
        (RFC 6120 §7.7.2.2): a room sees one leave and then one come.
        """
        bound = self.forAccount(account.bare)
        if resource is None:
            if len(bound) >= self.limit:
                raise self._tooMany()
            prepared = secrets.token_urlsafe(_RESOURCE_BYTES)
        else:
            try:
                prepared = jid.prepareResource(resource)
            except InvalidJID as e:
                raise StanzaError("bad-request", text=str(e)) from None
            old = bound.get(prepared)
            if old is not None:
                if old.stream is not None:
                    old.stream.close(StreamError("conflict"))
                old.end()
            elif len(bound) >= self.limit:
                raise self._tooMany()
        session = Session(self, self.router, account.withResource(prepared), carrier)
        self._accounts.setdefault(account.bare, {})[prepared] = session
        self._count += 1
        return session

    def _tooMany(self) -> StanzaError:
        return StanzaError("resource-constraint", text=f"an account may have {self.limit} sessions")

    def remove(self, session: Session) -> None:
        """A session has ended. Only sessions call this."""
        sessions = self._accounts.get(session.account.bare)
        if sessions is not None and sessions.get(session.jid.resource) is session:
            del sessions[session.jid.resource]
            self._count -= 1
            if not sessions:
                del self._accounts[session.account.bare]

# -*- test-case-name: tests.session.test_session -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
A session: one bound resource of an account.

A session checks that what its client sends is a stanza (RFC 6120 §8), stamps C{from} on it, keeps the presence of its
resource (RFC 6121 §4) and tracks directed presence, to revoke it however the session ends. The router does the rest.

For the roster: subscriptions are refused in L{Session} until they are supported; presence is broadcast to the
account's own resources only. For resumption (XEP-0198): a session without a stream has not ended; L{Session.deliver}
and L{Session.stanzaReceived} are where stanzas would be counted and kept.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from zope.interface import implementer

from muccore.interfaces import IRouter, ISession, IStream
from muccore.xmpp import jid, ns
from muccore.xmpp.element import Element, stanza
from muccore.xmpp.errors import StanzaError, StreamError, errorReplyOrNone
from muccore.xmpp.jid import JID, InvalidJID
from muccore.xmpp.rendering import Rendered, toAttribute

if TYPE_CHECKING:
    from muccore.session.registry import Sessions

_STANZAS: Final = frozenset(["message", "presence", "iq"])
_SUBSCRIPTION: Final = frozenset(["subscribe", "subscribed", "unsubscribe", "unsubscribed"])
_PRIORITY: Final = re.compile(r"[+-]?[0-9]{1,4}")
_LANG: Final = (ns.XML, "lang")

_ID_LIMIT: Final = 1023
"""Characters of a stanza's id, which every answer repeats and what the stanza causes may carry on."""

_PRESENCE_LIMIT: Final = 16 * 1024
"""Bytes of broadcast presence, which is kept."""

_UNAVAILABLE_COST_LIMIT: Final = 20_000
"""
Cost limit for final unavailable presence: (tags + bytes/256) x recipients, each of whom gets a copy; above it the
payload is dropped.
"""


@implementer(ISession)
class Session:
    """
    One bound resource of one account.

    @ivar jid: the full JID.
    @ivar account: the bare JID.
    @ivar fullText: C{jid} as text, the C{from} of everything the client sends.
    @ivar stream: the stream it sends to, or C{None}.
    @ivar language: see L{ISession}.
    @ivar priority: the priority of its presence; C{None} while unavailable.
    @ivar presence: its latest broadcast presence; C{None} while unavailable.
    @ivar ended: whether it has ended.
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

    def __init__(self, sessions: Sessions, router: IRouter, jid: JID, stream: IStream) -> None:
        self.jid = jid
        self.account = jid.bareJID()
        self.fullText = jid.full
        self.stream: IStream | None = stream
        self.language: str | None = None
        self.priority: int | None = None
        self.presence: Rendered | None = None
        self.ended = False
        self._sessions = sessions
        self._router = router
        self._directed: dict[str, JID] = {}

    def __repr__(self) -> str:
        return f"<Session {self.fullText!r}>"

    @property
    def directed(self) -> Mapping[str, JID]:
        """The addresses that have directed presence of this session, by full JID."""
        return MappingProxyType(self._directed)

    def deliver(self, stanza: Rendered, to: bytes) -> None:
        """See L{IRoute.deliver<muccore.interfaces.IRoute.deliver>}. After the end it does nothing."""
        stream = self.stream
        if stream is not None:
            stream.send(stanza, to)

    def stanzaReceived(self, element: Element) -> None:
        """
        See L{ISession.stanzaReceived}.

        @raise StreamError: C{unsupported-stanza-type} or C{invalid-namespace} if it is no stanza, C{invalid-from} if
            its C{from} is not this session (RFC 6120 §8.1.2.1).
        """
        if self.ended:
            return
        name = element.name
        if element.uri != ns.CLIENT or name not in _STANZAS:
            raise StreamError("invalid-namespace" if name in _STANZAS else "unsupported-stanza-type")
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
                # `by`, since a malformed `from` does not tell who refuses (RFC 6120 §8.3.3.8).
                self._sendError(element, StanzaError("jid-malformed", text=str(e)), self.jid.domain)
                return
        if name == "message":
            if to is None:
                to = self._addressToAccount(element)
            self._router.route(element, to)
        elif name == "iq":
            self._iqReceived(element, to)
        else:
            self._presenceReceived(element, to)

    def _addressToAccount(self, element: Element) -> JID:
        """Address a message or an IQ without C{to} to the session's own account (RFC 6120 §10.3.1, §10.3.3)."""
        element.attributes["to"] = self.account.full
        return self.account

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
        """Check an IQ by RFC 6120 §8.2.3 and route it."""
        attributes = element.attributes
        type = attributes.get("type")
        if "id" not in attributes:
            self._sendBadRequest(element, "an IQ needs an id")
            return
        if type in ("get", "set"):
            if sum(1 for child in element.children if not isinstance(child, str)) != 1:
                self._sendBadRequest(element, f"an IQ of type {type} needs exactly one child element")
                return
        elif type not in ("result", "error"):
            self._sendBadRequest(element, "the type of an IQ must be get, set, result or error")
            return
        if to is None:
            to = self._addressToAccount(element)
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
                self._directed.pop(to.full, None)
                self._router.route(element, to)
        elif type in _SUBSCRIPTION:
            if to is None:
                self._sendBadRequest(element, f"presence of type {type} needs an address")
            elif not to.local or to.domain != self.jid.domain:
                # Ignored for accounts, whether they exist or not (RFC 6121 §8.5.1), so that nobody learns which do.
                self._sendError(element, StanzaError("service-unavailable", text="subscriptions are not supported"))
        elif type == "probe" or type == "error":
            # Dropped without an address: servers, not clients, send probes (RFC 6121 §4.3).
            if to is not None:
                self._router.route(element, to)
        else:
            self._sendBadRequest(element, "unknown type of presence")

    def _trackDirected(self, to: JID) -> bool:
        """
        Note that presence has been directed to an address (RFC 6121 §4.6.3).

        At the limit, it replaces the oldest address at the same bare JID, if there is one: a client that keeps changing
        its nick in a room directs presence to ever new addresses of that room.

        @return: whether it was noted.
        """
        directed = self._directed
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
        Broadcast initial or updated presence to every available resource of the account, this one included (RFC 6121
        §4.2.2, §4.4.2). After the initial one, send back the presence of the others.
        """
        priorities = [child for child in element.childElements() if child.name == "priority" and child.uri == ns.CLIENT]
        priority = 0
        if priorities:
            text = priorities[0].text().strip()
            if len(priorities) > 1 or not _PRIORITY.fullmatch(text) or not -128 <= int(text) <= 127:
                self._sendBadRequest(element, "the priority of presence must be a number from -128 to 127")
                return
            priority = int(text)
        presence = Rendered.of(element).withoutElement()
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
        Send unavailable presence to every available resource of the account, this one included (RFC 6121 §4.5.2), and
        to every address with directed presence (RFC 6121 §4.6.3).
        """
        rendered = Rendered.of(element)
        if self.priority is not None:
            self._broadcast(rendered)
            self.priority = None
            self.presence = None
        cost = rendered.tail.count(b"<") + len(rendered.tail) // 256
        if cost * len(self._directed) > _UNAVAILABLE_COST_LIMIT:
            element = stanza("presence", "unavailable", from_=self.fullText)
        self._sendDirectedUnavailable(element)

    def _sendDirectedUnavailable(self, element: Element) -> None:
        directed, self._directed = self._directed, {}
        for to in directed.values():
            copied = element.copy()
            copied.attributes["to"] = to.full
            self._router.route(copied, to)

    def streamLost(self, stream: IStream, clean: bool) -> None:
        """See L{ISession.streamLost}."""
        if stream is self.stream:
            self.end()

    def end(self) -> None:
        """
        End the session: remove it from the registry first, then send unavailable presence to everyone who has its
        presence. Idempotent.
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

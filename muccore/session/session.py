# -*- test-case-name: tests.session.test_session -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
A session: one bound resource of an account.

A session checks that what its client sends is a stanza (RFC 6120 §8), stamps C{from} on it, and gives it to the filters
of its domain, among them presence (L{muccore.im.presence}), and then to the router.

What it is sent goes to its stream, or to its stream management (XEP-0198), with which a session may be without a stream
for a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from zope.interface import implementer

from muccore.interfaces import IAccountArchive, IRouter, ISession, IStream, IUserDomain, IUserState, UserAgent
from muccore.session.clientstate import HeldStanzas, Out
from muccore.xmpp import jid, ns
from muccore.xmpp.element import Element, reply
from muccore.xmpp.errors import StanzaError, StreamError, errorReplyOrNone
from muccore.xmpp.jid import JID, InvalidJID
from muccore.xmpp.rendering import Rendered, toAttribute
from muccore.xmpp.stanzas import ID_LIMIT, checkIsStanza, iqProblem

if TYPE_CHECKING:
    from muccore.session.registry import Sessions
    from muccore.session.streammanagement import StreamManagement

_LANG: Final = (ns.XML, "lang")


@implementer(ISession)
class Session:
    """
    One bound resource of one account, with the attributes of L{ISession}.

    @ivar suspended: whether it handles nothing more, since the server stops (L{muccore.session.savedsessions}).
    """

    __slots__ = (
        "__weakref__", "_domain", "_out", "_router", "_sessions", "account", "carbonsSince", "directed", "ended",
        "fullText", "interested", "jid", "language", "management", "notifiedNodes", "presence", "priority",
        "prioritySince", "stream", "suspended", "userAgent", "userState", "wantsBlockList",
    )  # fmt: skip

    def __init__(
        self, sessions: Sessions, router: IRouter, domain: IUserDomain, jid: JID, stream: IStream | None
    ) -> None:
        self.jid = jid
        self.account = jid.bareJID()
        self.fullText = jid.full
        self.stream = stream
        self.management: StreamManagement | None = None
        self.language: str | None = None
        self.userAgent: UserAgent | None = None
        self.priority: int | None = None
        self.prioritySince = 0.0
        self.presence: Rendered | None = None
        self.userState: IUserState | None = None
        self.notifiedNodes: frozenset[str] = frozenset()
        self.wantsBlockList = False
        self.directed: dict[str, JID] = {}
        self.interested = False
        self.carbonsSince: float | None = None
        self.ended = False
        self.suspended = False
        self._out: Out | None = stream
        self._sessions = sessions
        self._router = router
        self._domain = domain

    @property
    def accountArchive(self) -> IAccountArchive | None:
        """See L{ISession}."""
        archive: IAccountArchive | None = self._domain.accountArchive
        return archive

    def __repr__(self) -> str:
        return f"<Session {self.fullText!r}>"

    def deliver(self, stanza: Rendered, to: bytes) -> None:
        """See L{IRoute.deliver<muccore.interfaces.IRoute.deliver>}. After the end it does nothing."""
        out = self._out
        if out is not None:
            out.send(stanza, to)

    def deliverAll(self, stanzas: Sequence[Rendered], to: bytes) -> None:
        """See L{IRoute.deliverAll<muccore.interfaces.IRoute.deliverAll>}. After the end it does nothing."""
        out = self._out
        if out is not None:
            out.sendAll(stanzas, to)

    def deliverTracked(self, stanza: Rendered, to: bytes, tag: str) -> None:
        """See L{ISession.deliverTracked}."""
        out = self._out
        if isinstance(out, HeldStanzas):
            # It would replace what comes from the same sender.
            out.flush()
        if out is None:
            self._domain.deliverySettled(self, [tag], False)
        elif self.management is not None:
            self.management.delivered = self.tellDelivered
            self.management.sendTracked(stanza, to, tag)
        elif self.stream is not None:
            self.stream.send(stanza, to)
            self._sessions.handover.add(self, tag)

    def messageHeld(self, message: Rendered) -> None:
        """Tell the domain of a message whose client is away. For L{HeldStanzas} and stream management."""
        self._domain.messageHeld(self, message)

    def tellDelivered(self, tags: Sequence[str]) -> None:
        """Tell the domain of tracked stanzas that the client has. For their trackers."""
        self._domain.deliverySettled(self, tags, True)

    def stanzaReceived(self, element: Element) -> None:
        """
        See L{ISession.stanzaReceived}.

        @raise StreamError: C{unsupported-stanza-type} or C{invalid-namespace} if it is no stanza, C{invalid-from} if
            its C{from} is not this session (RFC 6120 §8.1.2.1).
        """
        if self.ended or self.suspended:
            return
        name = element.name
        checkIsStanza(element)
        attributes = element.attributes
        sender = attributes.get("from")
        if sender != self.fullText:
            if sender is not None:
                self._checkSender(sender)
            attributes["from"] = self.fullText
        if self.management is not None:
            self.management.handled += 1
        if self.language is not None:
            attributes.setdefault(_LANG, self.language)
        if len(attributes.get("id", "")) > ID_LIMIT:
            self.sendError(element, StanzaError("policy-violation", text="the id is too long"), self.jid.domain)
            return
        address = attributes.get("to")
        to = None
        if address is not None:
            try:
                to = jid.parse(address)
            except InvalidJID as e:
                # `by`, since a malformed `from` does not tell who refuses (RFC 6120 §8.3.3.8).
                self.sendError(element, StanzaError("jid-malformed", text=str(e)), self.jid.domain)
                return
        if name != "presence":
            if name == "iq":
                problem = iqProblem(element)
                if problem is not None:
                    self.sendError(element, StanzaError("bad-request", text=problem))
                    return
                if attributes["type"] == "set" and self._answersStreamIQ(element, to):
                    return
            if to is None:
                # RFC 6120 §10.3.1, §10.3.3
                to = self.account
                attributes["to"] = to.full
        domain = self._domain
        if domain.outbound[name]:
            filtered = domain.filterOutbound(self, element, to)
            if filtered is None:
                return
            element = filtered
        if to is not None:
            self._router.route(element, to)

    def _answersStreamIQ(self, iq: Element, to: JID | None) -> bool:
        """Answer an IQ of type C{set} if it is about the stream."""
        if to is not None and to.full not in (self.jid.domain, self.jid.bare):
            return False
        if iq.child("session", ns.SESSION) is not None:
            # COMPAT: RFC 3921 §3.
            self.deliver(Rendered.of(reply(iq, "result")), toAttribute(self.fullText))
        elif iq.child("bind", ns.BIND) is not None:
            # RFC 6120 §7.6.2.2: one resource per stream.
            self.sendError(iq, StanzaError("not-allowed"))
        else:
            return False
        return True

    def _checkSender(self, sender: str) -> None:
        try:
            claimed = jid.parse(sender)
        except InvalidJID:
            raise StreamError("invalid-from") from None
        if claimed != self.jid and claimed != self.account:
            raise StreamError("invalid-from")

    def sendError(self, element: Element, error: StanzaError, by: str | None = None) -> None:
        """See L{ISession.sendError}."""
        answer = errorReplyOrNone(element, error, by)
        if answer is not None:
            self.deliver(Rendered.of(answer), toAttribute(self.fullText))

    def charge(self, sent: int, delay: float) -> None:
        """See L{ISession.charge}."""
        if self.stream is not None:
            self.stream.charge(sent, delay)

    def enableManagement(self, resumable: bool, maximum: int | None) -> StreamManagement:
        """See L{ISession.enableManagement}."""
        management = self._sessions.resumptions.enable(self, resumable, maximum)
        self.attachManagement(management)
        return management

    def attachManagement(self, management: StreamManagement) -> None:
        """Give everything from now on to stream management."""
        self.management = management
        management.held = self.messageHeld
        if isinstance(self._out, HeldStanzas):
            self._out.out = management
        else:
            self._out = management

    @property
    def active(self) -> bool:
        """See L{ISession.active}."""
        return self.stream is not None and not isinstance(self._out, HeldStanzas)

    def setActive(self, active: bool) -> None:
        """See L{ISession.setActive}."""
        out = self._out
        if isinstance(out, HeldStanzas):
            if active:
                self._out = out.out
                out.flush()
        elif not active and out is not None:
            self._out = HeldStanzas(out, self.messageHeld)

    def moveTo(self, stream: IStream) -> None:
        """See L{ISession.moveTo}."""
        self.stream = stream
        out = self._out
        if self.management is not None:
            self.management.moveTo(stream)
        elif isinstance(out, HeldStanzas):
            out.out = stream
        elif out is not None:
            self._out = stream

    def freeze(self) -> None:
        """
        Take the session out of the registry, with everything as it is: it was saved. Its stream does not concern it any
        more. L{thaw} undoes it.
        """
        self.setActive(True)
        self.ended = True
        self.stream = self._out = None
        self._sessions.handover.withdraw(self)
        self._sessions.remove(self)
        if self.management is not None:
            self._sessions.resumptions.sessionEnded(self, self.management)

    def thaw(self) -> None:
        """End the session after all."""
        self.ended = self.suspended = False
        self.end()

    def streamLost(self, stream: IStream, final: bool) -> bool:
        """See L{ISession.streamLost}."""
        if stream is not self.stream:
            return False
        self.stream = None
        # Those from before stream management was enabled.
        untaken = self._sessions.handover.withdraw(self)
        if self.management is not None:
            self.management.detach()
            # What it was not sent is for the next stream, on which a client is active (XEP-0352 §5.2).
            self.setActive(True)
            if not final and self._sessions.resumptions.hold(self):
                if untaken:
                    self._domain.deliverySettled(self, untaken, False)
                return True
        self._end(untaken)
        return False

    def end(self) -> None:
        """
        Remove the session from the registry, and redeliver what was not acknowledged; its domain is told in a later
        turn (L{muccore.session.endings}). Idempotent.
        """
        if not self.ended:
            self._end(self._sessions.handover.withdraw(self))

    def _end(self, untaken: list[str]) -> None:
        """
        End.

        @param untaken: the tags of tracked stanzas that the kernel has not taken.
        """
        if self.ended:
            return
        self.ended = True
        self.setActive(True)
        management, priority, since = self.management, self.priority, self.prioritySince
        if self.stream is not None and management is not None:
            management.detach()
        self.stream = self.management = self._out = None
        self._sessions.remove(self)
        if management is not None:
            self._sessions.resumptions.sessionEnded(self, management)
            untaken += management.withdrawTracked()
        self._sessions.endings.add(self)
        if untaken:
            # Before the others, which are newer.
            self._domain.deliverySettled(self, untaken, False)
        if management is not None:
            self._sessions.redelivery.add(self._domain, self.jid, management, priority, since)

    def tellEnd(self) -> None:
        """Tell the domain of the end. For L{Endings<muccore.session.endings.Endings>} only, once."""
        self._domain.sessionEnded(self)

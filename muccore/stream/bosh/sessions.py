# -*- test-case-name: tests.stream.bosh.test_sessions -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The BOSH sessions of a server, by their IDs, and their creation (XEP-0124 §7)."""

from __future__ import annotations

import secrets
from typing import Final

from muccore.log.eventlog import BOSH_REFUSED, Phrase
from muccore.net.connection import OUTBOX_LIMIT
from muccore.net.flush import FlushScheduler
from muccore.net.outbox import Outboxes
from muccore.stream.bosh.body import WRAPPER_SIZE, Body, renderRedirection, renderTermination
from muccore.stream.bosh.connection import BOSHConnection
from muccore.stream.bosh.errors import CODES, REMOTE_STREAM_ERROR, BindingError
from muccore.stream.bosh.requests import IResponder, Requests
from muccore.stream.bosh.stream import BOSHStream
from muccore.stream.bosh.terms import CONTENT, Terms
from muccore.stream.factory import C2SFactory
from muccore.stream.features import StreamFeatures
from muccore.xmpp import jid, ns
from muccore.xmpp.errors import StreamError
from muccore.xmpp.jid import InvalidJID
from muccore.xmpp.rendering import escapeAttribute

_SID_BYTES: Final = 18


class BOSHSessions:
    """
    Creates and finds the sessions. Their streams belong to another factory.

    @ivar features: what new streams offer, without STARTTLS.
    @ivar tlsRequired: whether sessions must be under TLS.
    @ivar outboxLimit: the limit for what waits for one client, in bytes.
    """

    def __init__(
        self, factory: C2SFactory, clock: FlushScheduler, features: StreamFeatures, tlsRequired: bool,
        outboxes: Outboxes | None = None,
    ) -> None:  # fmt: skip
        """
        @param clock: that of the factory.
        @param outboxes: bounds the outboxes of all connections together; C{None}: of these only.
        """
        self.features = features
        self.tlsRequired = tlsRequired
        self.outboxLimit = OUTBOX_LIMIT
        self._factory = factory
        self._clock = clock
        self._outboxes = outboxes or Outboxes()
        self._connections: dict[str, BOSHConnection] = {}

    def __len__(self) -> int:
        """Count the sessions."""
        return len(self._connections)

    @property
    def bodySize(self) -> int:
        """The limit for the body of a request, in bytes: that of a stanza, with its wrapper."""
        return self._factory.settings.stanzaSize + WRAPPER_SIZE

    def receive(self, data: bytes, responder: IResponder) -> bool:
        """
        Take a request.

        @param data: its body.
        @return: C{False} if its connection must be closed without an answer: it is not under TLS, but the session is
            (XEP-0124 §20.1).
        """
        try:
            body = Body(data)
        except BindingError as e:
            responder.respond(renderTermination(e.binding), CONTENT)
            return True
        sid = body.text("sid")
        if sid is None:
            self._tryCreate(body, responder)
            return True
        connection = self._connections.get(sid)
        if connection is None:
            responder.respond(renderTermination("item-not-found"), CONTENT)
        elif connection.secure and not responder.secure:
            return False
        else:
            connection.receive(body, responder)
        return True

    def _tryCreate(self, body: Body, responder: IResponder) -> None:
        """Create a session, or tell the client why not."""
        legacy = body.text("ver") is None
        try:
            answer = self._create(body, responder)
        except BindingError as e:
            responder.respond(renderTermination(e.binding), CONTENT, CODES.get(e.binding, 200) if legacy else 200)
        except StreamError as e:
            responder.respond(renderTermination(REMOTE_STREAM_ERROR, e.render()), CONTENT)
        else:
            if answer is not None:
                responder.respond(answer, CONTENT)

    def _create(self, body: Body, responder: IResponder) -> bytes | None:
        """
        Create a session.

        @return: the answer if there is to be none.
        @raise StreamError: why not.
        """
        if not body.rid:
            raise BindingError("bad-request", "The request ID is missing or invalid.")
        features = self._findHost(body)
        terms = Terms.of(body)
        factory = self._factory
        if factory.ending:
            raise BindingError("system-shutdown")
        if self.tlsRequired and not responder.secure:
            BOSH_REFUSED.log(responder.address, reason=Phrase("TLS is required"), origin="-")
            if responder.secureURI is not None:
                return renderRedirection(responder.secureURI)
            raise StreamError("policy-violation", "TLS is required.")
        condition = factory.admit(responder.address)
        if condition is not None:
            raise StreamError(condition, "Too many connections.")
        sid = secrets.token_urlsafe(_SID_BYTES)
        attributes = (
            f"{terms.render(sid, body.rid)} from='{escapeAttribute(features.domain)}' xmpp:version='1.0' "
            f"xmpp:restartlogic='true' xmlns:xmpp='{ns.XBOSH}'"
        )
        requests = Requests(body, responder, terms, attributes, self._clock.seconds())
        stream = BOSHStream(factory, responder.address, responder.secure, self.features)
        connection = BOSHConnection(
            stream, requests, responder.secure, responder.tls, self._clock, factory.wheel, self.outboxLimit,
            self._outboxes,
        )  # fmt: skip
        self._connections[sid] = connection
        connection.open(lambda: self._connections.pop(sid, None), body, responder)
        return None

    def _findHost(self, body: Body) -> StreamFeatures:
        """
        The features of the host that is named.

        @raise BindingError: C{improper-addressing} if there is none, C{host-unknown} if it is unknown.
        """
        to, hosts = body.text("to"), self.features.hosts
        if to is None:
            raise BindingError("improper-addressing", "The attribute 'to' is missing.")
        try:
            return hosts[to if to in hosts else jid.parse(to).full]
        except (InvalidJID, KeyError):
            raise BindingError("host-unknown") from None

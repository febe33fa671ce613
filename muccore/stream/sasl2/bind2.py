# -*- test-case-name: tests.stream.sasl2.test_bind2 -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Bind 2 (XEP-0386): a resource, and the features of its session, inside the log-in."""

from __future__ import annotations

import hashlib
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final, cast

from muccore.interfaces import ISession, IStream, StoreError
from muccore.interfaces.handlers import InvalidHandler
from muccore.interfaces.streams import InlineFeature
from muccore.log.logger import Logger
from muccore.stream.sasl2.heldstream import HeldStream
from muccore.xmpp import jid, ns
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.jid import JID, InvalidJID
from muccore.xmpp.specs import Spec

if TYPE_CHECKING:
    from muccore.stream.negotiation import Negotiation

implements: Final = (Spec(386, "Bind 2", "1.1.0", note="Of offline messages, only those in the archive are cleared."),)

_GENERATED_BYTES: Final = 9

Describe = Callable[[JID], Awaitable[bytes]]
"""See L{IStreamFeature<muccore.interfaces.IStreamFeature>}, C{describe}."""

_log: Final = Logger()


class Bind2:
    """Binds resources while clients log in."""

    def __init__(self, features: Iterable[InlineFeature], descriptions: Sequence[Describe] = ()) -> None:
        """
        @param features: what clients can ask of their sessions.
        @param descriptions: what clients are told of their accounts.
        @raise InvalidHandler: if two of them handle the same element.
        """
        self._descriptions = descriptions
        self._names = [feature.var for feature in features]
        self._elements: dict[tuple[str | None, str], Callable[[ISession, Element], bytes]] = {}
        for feature in features:
            for key, function in feature.elements.items():
                if key in self._elements:
                    raise InvalidHandler(f"two stream features handle the element {key} inline")
                self._elements[key] = function

    def offer(self) -> Element:
        """Make what is offered inside SASL2 (§3.1)."""
        element = Element((ns.BIND2, "bind"))
        if self._names:
            inline = element.add("inline")
            for name in self._names:
                inline.add("feature", var=name)
        return element

    async def bind(
        self, negotiation: Negotiation, element: Element, client: str
    ) -> tuple[ISession, bytes, HeldStream | None]:
        """
        Bind a resource, and enable what was asked for (§3.2). Earlier sessions of the same client end. If it is
        cancelled, so does this one.

        @param element: the C{<bind/>}.
        @param client: the id of the client, or C{""}.
        @return: the session, the rendered C{<bound/>}, and what holds the session's stanzas back until that is sent.
        @raise StanzaError: C{resource-constraint} above the limit of sessions, or if too much has arrived meanwhile.
        """
        held = HeldStream(cast(IStream, negotiation.host)) if self._descriptions else None
        tag = element.child("tag", ns.BIND2)
        assert negotiation.account is not None
        resource = makeResource(negotiation.account.full, "" if tag is None else tag.text().strip(), client)
        session = negotiation.bind(resource, client, held)
        answers = b""
        for child in element.childElements():
            function: Any = self._elements.get((child.uri, child.name))
            if function is not None:
                answers += function(session, child)
        if held is not None:
            try:
                answers = await self._describe(negotiation.account) + answers
                if held.full:
                    raise StanzaError("resource-constraint", text="Too much arrived before the end of the log-in.")
            except BaseException:
                session.streamLost(held, True)
                raise
        return session, f"<bound xmlns='{ns.BIND2}'>".encode() + answers + b"</bound>", held

    async def _describe(self, account: JID) -> bytes:
        told = b""
        for describe in self._descriptions:
            try:
                told += await describe(account)
            except StoreError as e:
                _log.error("{account} is not told of its archive: {error}", account=account.full, error=str(e))
        return told


def makeResource(account: str, tag: str, client: str) -> str:
    """
    Make a resource (§3.2.1): for one tag and client it is always the same. The id of the client cannot be found out
    by it: it is as random as a key.

    @param tag: what it begins with, unless no resource can.
    @param client: the id of the client; C{""} for one that is not known again.
    """
    if client:
        digest = hashlib.sha256(f"{account}\0{client}\0{tag}".encode()).digest()
        generated = urlsafe_b64encode(digest[:_GENERATED_BYTES]).decode("ascii")
    else:
        generated = secrets.token_urlsafe(_GENERATED_BYTES)
    if tag:
        try:
            return jid.prepareResource(f"{tag}/{generated}")
        except InvalidJID:
            pass
    return generated

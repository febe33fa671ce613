# Copyright (c) The muccore authors. See LICENSE for details.
"""Streams, as sessions use them, and the features that they offer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from typing import Any, NamedTuple

from zope.interface import Attribute, Interface

from muccore.xmpp.element import Element
from muccore.xmpp.errors import StreamError
from muccore.xmpp.rendering import Rendered


class IStream(Interface):
    """A stream of whole elements: the only way out of its session. After its end, calls do nothing."""

    address = Attribute("The network address of the peer, as text.")
    secure = Attribute("C{bool}: whether it is under TLS, or comes from a proxy that is.")

    def send(stanza: Rendered, to: bytes) -> None:
        """Send one stanza; C{to} is that of L{IRoute.deliver<muccore.interfaces.IRoute.deliver>}."""

    def sendAll(stanzas: Sequence[Rendered], to: bytes) -> None:
        """Send several stanzas; see L{IRoute.deliverAll<muccore.interfaces.IRoute.deliverAll>}."""

    def sendNonza(element: bytes) -> None:
        """Send a rendered element that is no stanza (XEP-0360); the prefix C{stream} is the stream namespace."""

    def isWaiting() -> bool:
        """Whether something that was sent in earlier turns has not been taken by the kernel. After its end, C{True}."""

    def charge(sent: int, delay: float) -> None:
        """
        Let the client wait for what its stanzas have caused: the next one is not handled before.

        @param sent: the bytes that others were sent.
        @param delay: seconds to wait at least.
        """

    def close(error: StreamError | None) -> None:
        """End the stream: send the error, if there is one, and the closing tag, then close the connection."""


class Stage(Enum):
    """
    The stage of a client's stream in which a feature is offered.

    @cvar LOGIN: before the log-in.
    @cvar BINDING: after the log-in, before a resource is bound.
    """

    __hash__ = object.__hash__

    LOGIN = 0
    BINDING = 1


class Offering(NamedTuple):
    """
    The stream to which features are offered.

    @ivar secure: whether it is under TLS.
    @ivar bindings: the L{ChannelBindings<muccore.net.tls.ChannelBindings>} of its connection, or C{None}.
    """

    secure: bool
    bindings: Any


class InlineFeature(NamedTuple):
    """
    What clients can ask of their session while a resource is bound (XEP-0386).

    @ivar var: the name under which it is offered.
    @ivar elements: C{{(namespace, name): function}}. A function is called with the new
        L{ISession<muccore.interfaces.ISession>} and the element, and returns the rendered answer, or C{b""} for none.
        It must neither send anything nor fail.
    """

    var: str
    elements: Mapping[tuple[str, str], Callable[[Any, Element], bytes]]


class IStreamFeature(Interface):
    """
    A feature of clients' streams (RFC 6120 §4.3.2).

    It is offered to every stream of a kind alike: what it offers is rendered once for each L{Offering}. It may also
    have these attributes:

      - C{inline}: an L{InlineFeature}.
      - C{describe(account)}: called with a bare L{JID<muccore.xmpp.jid.JID>}, whose client has bound a resource by
        XEP-0386; does what is due then, and returns a Deferred of what the client is told of its account, rendered, or
        C{b""}. If that fails with L{StoreError}, it is logged and left out. One follows the other, by C{order}.
    """

    stage = Attribute("The L{Stage} in which it is offered.")
    order = Attribute("Its place among the features of its stage, C{int}, lowest first; muccore's own are below 1000.")
    nonzas = Attribute(
        "C{{(namespace, name): function}} for elements that are no stanzas, from clients with a bound resource. A "
        "function is called with the L{ISession<muccore.interfaces.ISession>} and the element; it answers on the "
        "session's stream, and may raise L{StreamError}."
    )

    def offer(offering: Offering) -> Iterable[Element]:
        """Make what is offered: nothing to streams that may not use it."""

# -*- test-case-name: tests.stream.s2s.test_incoming -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
What streams between servers have in common: those of clients (L{muccore.stream.c2s}) with another namespace. Limits,
time slices, timeouts and closing are the same.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, cast

from muccore.interfaces import ISession
from muccore.net.peertls import certificateProblem
from muccore.stream.c2s import C2SStream
from muccore.stream.features import LANGUAGE
from muccore.stream.flowcontrol import PAYABLE, InputRate
from muccore.stream.s2s.policy import PeerPolicy
from muccore.xmpp import dialback, ns
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StreamError
from muccore.xmpp.rendering import escapeAttribute

if TYPE_CHECKING:
    from muccore.interfaces.federation import IPeerHost

_ID_BYTES: Final = 16

DIALBACK_NONZAS: Final = ((ns.DIALBACK, dialback.RESULT), (ns.DIALBACK, dialback.VERIFY))
"""The elements of dialback."""


def makeId() -> str:
    """Make the id of a stream, which no one must be able to predict: keys depend on it."""
    return os.urandom(_ID_BYTES).hex()


def renderAttributes(sender: str | None, to: str | None, id: str | None = None) -> bytes:
    """Render the attributes of a header; C{None} leaves one out."""
    given = {"from": sender, "to": to, "id": id}
    rendered = "".join(f" {name}='{escapeAttribute(value)}'" for name, value in given.items() if value)
    return dialback.DECLARATION + f"{rendered} version='1.0' xml:lang='{LANGUAGE}'".encode()


class PeerFeatures:
    """
    What streams between servers have in place of L{StreamFeatures}.

    @ivar host: this server.
    @ivar directTLS: for streams with TLS from the first byte; C{None} without a certificate.
    @ivar tls: the same.
    """

    channelBinding: Final = False

    def __init__(
        self, host: IPeerHost, policy: PeerPolicy, nonzas: Mapping[Any, Callable[[Any, Element], Any]],
        directTLS: Any = None,
    ) -> None:  # fmt: skip
        """@param nonzas: what the streams handle that are no stanzas, once a domain is authenticated."""
        self.host = host
        self.policy = policy
        self.nonzas = nonzas
        self.tls = self.directTLS = directTLS

    def header(self, to: str | None) -> bytes:
        """Render the attributes of a header of a stream that is rejected."""
        return renderAttributes(None, to, makeId())


class PeerStream(C2SStream):
    """A stream to or from another server."""

    __slots__ = ()

    content = ns.SERVER
    peerKind = "server"

    @property
    def features(self) -> PeerFeatures:
        """What the factory's streams have now, by the configuration of this moment."""
        return cast(PeerFeatures, self.factory.features)

    @property
    def isEncrypted(self) -> bool:
        """Whether it is under TLS."""
        return bool(self.transport.TLS)

    def certificateProblem(self, domain: str) -> str | None:
        """Say why its certificate does not prove that the peer serves a domain; C{None} if it does."""
        if not self.isEncrypted:
            return "it is not encrypted"
        return certificateProblem(self.transport, domain, self.features.policy.trust)

    def payFrom(self, bucket: Any) -> None:
        """
        Pay for further input from the bucket of a domain, not from those of the connection and its address. Exempt
        networks pay nothing.
        """
        settings = self.factory.settings
        if self._rate is not None:
            self._rate.payFrom(bucket)
        elif bucket is not None and self._host not in settings.exempt:
            self._rate = InputRate(bucket, None, PAYABLE, settings.stanzaCost)

    def bind(self, session: Any) -> None:
        """Pass everything to what is behind the stream."""
        self._parser.stanzaSize = self.factory.settings.stanzaSize
        # The methods of a session that a stream uses are those of a peer.
        self.attach(cast(ISession, session))


def checkVersion(header: Element) -> None:
    """@raise StreamError: C{unsupported-version} for what is older than RFC 6120."""
    major, dot, minor = header.attributes.get("version", "0.9").partition(".")
    if not (dot and major.isascii() and major.isdigit() and minor.isascii() and minor.isdigit() and major.strip("0")):
        raise StreamError("unsupported-version")



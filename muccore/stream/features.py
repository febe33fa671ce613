# -*- test-case-name: tests.stream.test_negotiation -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The server's header and stream features (RFC 6120 §4.3.2, §4.7), rendered once per configuration.
"""

from __future__ import annotations

import os
from typing import Final

from muccore.interfaces import ISessionBinder
from muccore.net.tls import ChannelBindings, ServerTLS
from muccore.stream.sasl.mechanisms import SASL
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from muccore.xmpp.rendering import escapeAttribute, render
from muccore.xmpp.specs import Spec

implements: Final = (Spec(440, "SASL Channel-Binding Type Capability", "1.0.0"),)
"""The specifications that this module implements."""

REQUIRED: Final = "required"
"""TLS mode: log-in only under TLS."""

OPTIONAL: Final = "optional"
"""TLS mode: log-in with or without TLS."""

OFF: Final = "off"
"""TLS mode: no STARTTLS."""

LANGUAGE: Final = "en"
"""The default language of the server's streams."""

LOGIN_TRIES: Final = 5
"""Default for failed log-ins after which the stream is closed."""

BINDING_TRIES: Final = 8
"""Refused channel bindings after which the stream is closed. A client has no reason for more than one per mechanism."""

_ID_BYTES: Final = 12
_PLUS: Final = "-PLUS"


class StreamFeatures:
    """
    What the streams of one configuration offer. Immutable: a new configuration creates a new one.

    @ivar domain: the prepared domain of the accounts.
    @ivar sasl: the log-in.
    @ivar binder: binds resources.
    @ivar tls: creates TLS connections, or C{None}.
    @ivar tlsMode: L{REQUIRED}, L{OPTIONAL} or L{OFF}, for STARTTLS.
    @ivar loginTries: failed log-ins after which the stream is closed.
    @ivar channelBinding: whether to offer channel binding.
    @ivar bindFeatures: the features after the log-in, rendered.
    """

    def __init__(
        self,
        domain: str,
        sasl: SASL,
        binder: ISessionBinder,
        tls: ServerTLS | None = None,
        tlsMode: str = REQUIRED,
        loginTries: int = LOGIN_TRIES,
        channelBinding: bool = True,
    ) -> None:
        """@raise ValueError: for STARTTLS without C{tls}."""
        if tls is None and tlsMode != OFF:
            raise ValueError("STARTTLS needs a certificate")
        self.domain = domain
        self.sasl = sasl
        self.binder = binder
        self.tls = tls
        self.tlsMode = tlsMode
        self.loginTries = loginTries
        self.channelBinding = channelBinding
        self._header = f" from='{escapeAttribute(domain)}' version='1.0' xml:lang='{LANGUAGE}'"
        features = _features()
        features.add("bind", ns.BIND)
        # COMPAT: clients of RFC 3921 request a session unless it is optional.
        features.add("session", ns.SESSION).add("optional")
        self.bindFeatures = render(features)
        self._loginFeatures: dict[tuple[bool, tuple[str, ...] | None], bytes] = {}

    def header(self, to: str | None) -> bytes:
        """
        Render the attributes of a stream's header, with an unpredictable id (RFC 6120 §4.7).

        @param to: the bare JID that the client gave as C{from}.
        """
        addressed = "" if to is None else f" to='{escapeAttribute(to)}'"
        return f"{self._header} id='{os.urandom(_ID_BYTES).hex()}'{addressed}".encode()

    def loginFeatures(self, secure: bool, bindings: ChannelBindings | None) -> bytes:
        """
        The features before the log-in, rendered.

        @param secure: whether the stream is under TLS.
        @param bindings: the channel bindings of that TLS connection.
        """
        key = (secure, None if bindings is None else bindings.types())
        rendered = self._loginFeatures.get(key)
        if rendered is None:
            rendered = self._loginFeatures[key] = self._renderLogin(secure, bindings)
        return rendered

    def _renderLogin(self, secure: bool, bindings: ChannelBindings | None) -> bytes:
        features = _features()
        if not secure and self.tlsMode != OFF:
            starttls = features.add("starttls", ns.TLS)
            if self.tlsMode == REQUIRED:
                starttls.add("required")
        if secure or self.tlsMode != REQUIRED:
            names = self.sasl.mechanisms(secure, bindings)
            if names:
                mechanisms = features.add("mechanisms", ns.SASL)
                for name in names:
                    mechanisms.add("mechanism", None, name)
            if bindings is not None and any(name.endswith(_PLUS) for name in names):
                types = features.add("sasl-channel-binding", ns.SASL_CHANNEL_BINDING)
                for type in bindings.types():
                    types.add("channel-binding", type=type)
        return render(features)


def _features() -> Element:
    return Element((None, "stream:features"))


__all__ = ["BINDING_TRIES", "LANGUAGE", "LOGIN_TRIES", "OFF", "OPTIONAL", "REQUIRED", "StreamFeatures"]

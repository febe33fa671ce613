# -*- test-case-name: tests.stream.test_negotiation -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The features of streams (RFC 6120 §4.3.2), with the header (§4.7): a registry, ordered by stage.

What a feature offers is rendered once per configuration. A feature of muccore itself may also have C{steps}, a L{Row}
for each state of the negotiation, for the elements with which a client uses it.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, Final

from muccore.interfaces import ISession, ISessionBinder
from muccore.interfaces.handlers import InvalidHandler
from muccore.interfaces.streams import InlineFeature, IStreamFeature, Offering, Stage
from muccore.net.tls import ChannelBindings, ServerTLS, TLSByName
from muccore.stream.accountaccess import AccountAccess
from muccore.stream.binding import ResourceBinding, SessionRequest
from muccore.stream.clientstate import ClientStateFeature
from muccore.stream.sasl.mechanisms import SASL
from muccore.stream.sasl.profile import SASLProfile
from muccore.stream.sasl2.bind2 import Bind2
from muccore.stream.sasl2.profile import SASL2Profile
from muccore.stream.starttls import OFF, REQUIRED, StartTLS
from muccore.stream.states import Row, State
from muccore.stream.streammanagement import StreamManagementFeature
from muccore.xmpp.element import Element
from muccore.xmpp.rendering import escapeAttribute, render

LANGUAGE: Final = "en"
"""The default language of the server's streams."""

LOGIN_TRIES: Final = 5
"""Default for failed log-ins after which the stream is closed."""

_ID_BYTES: Final = 12

_RANDOM_BYTES: Final = 64 * _ID_BYTES
"""Bytes that are requested from the kernel at once."""

BINDING_FEATURES: Final[tuple[Any, ...]] = (
    ResourceBinding(),
    SessionRequest(),
    StreamManagementFeature(),
    ClientStateFeature(),
)
"""The features of the server itself that are offered after the log-in, the same for all configurations."""

Nonza = Callable[[ISession, Element], Any]
"""Handles a nonza of a client with a bound resource; may raise L{StreamError}."""


_randomBytes = io.BytesIO()


def _random(size: int) -> bytes:
    """Random bytes, of which the kernel is asked for many at a time."""
    global _randomBytes
    taken = _randomBytes.read(size)
    if len(taken) < size:
        _randomBytes = io.BytesIO(os.urandom(_RANDOM_BYTES))
        taken = _randomBytes.read(size)
    return taken


class StreamFeatures:
    """
    What the streams of one host offer. Immutable: a new configuration creates a new one.

    @ivar domain: the prepared domain of the accounts.
    @ivar tls: creates TLS connections, or C{None}.
    @ivar tlsMode: see L{muccore.stream.starttls}.
    @ivar loginTries: failed log-ins after which the stream is closed.
    @ivar channelBinding: whether to offer channel binding.
    @ivar access: which accounts may not log in.
    @ivar hosts: the features of all hosts that streams can be opened to, by domain.
    @ivar steps: the elements that the features expect in each state.
    @ivar nonzas: the elements for sessions that are no stanzas.
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
        more: Sequence[Any] = (),
        hosts: Mapping[str, StreamFeatures] | None = None,
        access: AccountAccess | None = None,
    ) -> None:
        """
        @param more: features (L{IStreamFeature}) besides STARTTLS, SASL and resource binding.
        @param hosts: those of all hosts, which the caller fills in before the first stream; by default only these.
        @param access: which accounts may not log in; C{None}: all may.
        @raise ValueError: for STARTTLS without C{tls}.
        @raise InvalidHandler: if two features handle the same element.
        """
        if tls is None and tlsMode != OFF:
            raise ValueError("STARTTLS needs a certificate")
        self.domain = domain
        self.binder = binder
        self.access = AccountAccess() if access is None else access
        self.tls = tls
        self.tlsMode = tlsMode
        self.loginTries = loginTries
        self.channelBinding = channelBinding
        self.steps: Mapping[State, Row] = {state: {} for state in State}
        after = (*BINDING_FEATURES, *more)
        inline = inlineOf(after)
        described = [feature for feature in after if hasattr(feature, "describe")]
        descriptions = [feature.describe for feature in sorted(described, key=lambda feature: feature.order)]
        profiles = (SASLProfile(sasl, tlsMode), SASL2Profile(sasl, Bind2(inline, descriptions)))
        builtin = (StartTLS(tlsMode), *profiles, *BINDING_FEATURES)
        self._features: list[Any] = sorted((*builtin, *more), key=lambda feature: feature.order)
        for feature in self._features:
            for state, row in getattr(feature, "steps", {}).items():
                _merge(self.steps[state], row, feature)
        self.nonzas = mergeNonzas(self._features)
        self.hosts: Mapping[str, StreamFeatures] = {domain: self} if hosts is None else hosts
        self._header = f" from='{escapeAttribute(domain)}' version='1.0' xml:lang='{LANGUAGE}'"
        self._rendered: dict[tuple[Stage, bool, tuple[str, ...] | None, tuple[int, ...]], bytes] = {}

    @cached_property
    def directTLS(self) -> ServerTLS | TLSByName | None:
        """Creates TLS connections before a header names the host, with this one's certificate unless SNI does."""
        if self.tls is None or len(self.hosts) == 1:
            return self.tls
        return TLSByName(self.tls, {name: each.tls for name, each in self.hosts.items() if each.tls is not None})

    def header(self, to: str | None) -> bytes:
        """
        Render the attributes of a stream's header, with an unpredictable id (RFC 6120 §4.7).

        @param to: the bare JID that the client gave as C{from}.
        """
        addressed = "" if to is None else f" to='{escapeAttribute(to)}'"
        return f"{self._header} id='{_random(_ID_BYTES).hex()}'{addressed}".encode()

    def offer(
        self, stage: Stage, secure: bool, bindings: ChannelBindings | None, session: ISession | None = None
    ) -> bytes:
        """
        The features of a stage, rendered.

        @param secure: whether the stream is under TLS.
        @param bindings: the channel bindings of that TLS connection.
        @param session: the session that the stream has already: what that cannot use is left out.
        """
        done: tuple[int, ...] = ()
        if session is not None:
            done = tuple(feature.order for feature in self._features if _isDone(feature, session))
        key = (stage, secure, None if bindings is None else bindings.types(), done)
        rendered = self._rendered.get(key)
        if rendered is None:
            element = Element((None, "stream:features"))
            for feature in self._features:
                if feature.stage is stage and not (session is not None and _isDone(feature, session)):
                    element.children.extend(feature.offer(Offering(secure, bindings)))
            rendered = self._rendered[key] = render(element)
        return rendered


def _isDone(feature: Any, session: ISession) -> bool:
    """Whether a session cannot use a feature any more; some of muccore's can tell."""
    isDone = getattr(feature, "isDone", None)
    return isDone is not None and bool(isDone(session))


def inlineOf(features: Iterable[Any]) -> list[InlineFeature]:
    """What features let clients ask for while a resource is bound."""
    return [feature.inline for feature in features if hasattr(feature, "inline")]


def checkFeatures(features: Sequence[Any]) -> None:
    """
    Check that features can be offered together.

    @param features: with L{BINDING_FEATURES}.
    @raise InvalidHandler: if two features handle the same element.
    """
    mergeNonzas(features)
    Bind2(inlineOf(features))


def mergeNonzas(features: Iterable[Any]) -> dict[tuple[str | None, str], Nonza]:
    """
    Merge the tables of nonzas of features.

    @raise InvalidHandler: if two features handle the same nonza.
    """
    merged: dict[tuple[str | None, str], Nonza] = {}
    for feature in features:
        _merge(merged, feature.nonzas, feature)
    return merged


def _merge(into: dict[Any, Any], more: Mapping[Any, Any], feature: IStreamFeature) -> None:
    for key, function in more.items():
        if key in into:
            raise InvalidHandler(f"{feature!r} handles the element {key}, which another stream feature handles")
        into[key] = function

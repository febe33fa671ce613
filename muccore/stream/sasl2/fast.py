# -*- test-case-name: tests.stream.sasl2.test_fast -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Fast Authentication Streamlining Tokens (XEP-0484) on the wire, with the mechanisms of draft-schmaus-kitten-sasl-ht. TLS
early data is not supported: it is never read.
"""

from __future__ import annotations

import hmac
import re
from typing import TYPE_CHECKING, Final

from muccore.net.tls import END_POINT, EXPORTER
from muccore.stream.sasl.exchange import (
    Attempt,
    Outcome,
    SASLExchange,
    SASLFailure,
    Success,
    attemptNow,
    decodeUTF8,
    prepareUsername,
)
from muccore.stream.sasl.tokens import Token, Tokens
from muccore.xmpp import ns
from muccore.xmpp.datetimes import stamp
from muccore.xmpp.element import Element
from muccore.xmpp.rendering import render
from muccore.xmpp.specs import Spec

if TYPE_CHECKING:
    from muccore.net.tls import ChannelBindings
    from muccore.stream.sasl.mechanisms import SASL
    from muccore.stream.sasl2.request import Request

implements: Final = (Spec(484, "Fast Authentication Streamlining Tokens", "0.2.0", note="Without TLS early data."),)

MECHANISMS: Final = {"HT-SHA-256-EXPR": EXPORTER, "HT-SHA-256-ENDP": END_POINT, "HT-SHA-256-NONE": ""}
"""The mechanisms for tokens, strongest first, with their types of channel binding."""

_FAST: Final = (ns.FAST, "fast")
_REQUEST: Final = (ns.FAST, "request-token")
_BOOLEANS: Final = {"true": True, "1": True, "false": False, "0": False, None: False}
_COUNT: Final = re.compile(r"\+?0*[1-9][0-9]{0,9}", re.ASCII)


class TokenExchange(SASLExchange):
    """
    A log-in by a token.

    @ivar token: the token, after the success.
    @ivar invalidate: whether the client has given it back.
    """

    def __init__(
        self,
        sasl: SASL,
        tokens: Tokens,
        request: Request,
        bindings: ChannelBindings | None,
        attempt: Attempt | None,
    ) -> None:
        """@raise SASLFailure: C{malformed-request} if the C{<fast/>} is wrong, or the client has no id."""
        super().__init__()
        element = request.inline[_FAST]
        count, invalidate = element.attributes.get("count"), _BOOLEANS.get(element.attributes.get("invalidate"))
        if not request.client:
            raise SASLFailure("malformed-request", "A log-in by token needs the id of the user agent.")
        if invalidate is None or (count is not None and _COUNT.fullmatch(count) is None):
            raise SASLFailure("malformed-request", "The <fast/> is malformed.")
        self.token: Token | None = None
        self.invalidate = invalidate
        self._sasl = sasl
        self._tokens = tokens
        self._client = request.client
        self._mechanism = request.mechanism
        self._count = None if count is None else int(count)
        type = MECHANISMS[request.mechanism]
        self._binding = b"" if bindings is None or not type else bindings.data(type)
        self._attempt = attempt or attemptNow

    async def first(self, data: bytes) -> Outcome:
        """Check the user name and the hashed token."""
        given, zero, proof = data.partition(b"\0")
        name = decodeUTF8(given)
        if not name or not zero or not proof:
            raise SASLFailure("malformed-request", "The message is malformed.")
        self.claimed = name
        user = prepareUsername(name)
        account = self._sasl.account(user or name)

        def matches(secret: str) -> bool:
            return hmac.compare_digest(self._hash(secret, b"Initiator"), proof)

        async def check() -> Success:
            token = await self._tokens.check(
                account, self._client, self._mechanism, matches, self._count, self.invalidate
            )
            self.token = token
            return Success(user or "", self._hash(token.secret, b"Responder"))

        return await self._attempt(account, check)

    def _hash(self, secret: str, role: bytes) -> bytes:
        return hmac.digest(secret.encode("ascii"), role + self._binding, "sha256")


class Fast:
    """What SASL2 has to do with tokens."""

    def __init__(self, sasl: SASL, tokens: Tokens) -> None:
        self._sasl = sasl
        self._tokens = tokens

    def offer(self, bindings: ChannelBindings | None) -> Element:
        """Make what is offered inside SASL2 (§3.1)."""
        element = Element((ns.FAST, "fast"))
        for name in _available(bindings):
            element.add("mechanism", None, name)
        return element

    def begin(self, request: Request, bindings: ChannelBindings | None, attempt: Attempt | None) -> TokenExchange:
        """
        Begin a log-in by a token (§3.4).

        @raise SASLFailure: C{invalid-mechanism} if its mechanism is not one for tokens, or not available;
            C{malformed-request} for a wrong request.
        """
        if request.mechanism not in _available(bindings):
            raise SASLFailure("invalid-mechanism")
        return TokenExchange(self._sasl, self._tokens, request, bindings, attempt)

    def wanted(self, request: Request, bindings: ChannelBindings | None) -> str | None:
        """The mechanism of the token that a client asks for (§3.2), if it may have one."""
        element = request.inline.get(_REQUEST)
        mechanism: str | None = None if element is None else element.attributes.get("mechanism")
        return mechanism if request.client and mechanism in _available(bindings) else None

    async def answer(
        self, success: Success, client: str, wanted: str | None, used: TokenExchange | None
    ) -> bytes:
        """
        Give a client a token that it has asked for, or that replaces the one it has used (§3.5).

        @param success: that of the exchange.
        @param used: the exchange, if it was by a token.
        @return: the rendered C{<token/>}; C{b""} for none.
        @raise StoreError: if it cannot be stored.
        """
        if wanted is None and used is not None and used.token is not None and not used.invalidate:
            wanted = used.token.mechanism if self._tokens.isDue(used.token) else None
        if wanted is None:
            return b""
        proved = success.keys if used is None else used.token
        token = await self._tokens.issue(self._sasl.account(success.user), client, wanted, proved)
        if token is None:
            return b""
        return render(Element((ns.FAST, "token"), None, {"expiry": stamp(token.expires), "token": token.secret}))


def isRequested(request: Request) -> bool:
    """Whether a client wants to log in by a token."""
    return _FAST in request.inline


def _available(bindings: ChannelBindings | None) -> list[str]:
    types = ("", *(() if bindings is None else bindings.types()))
    return [name for name, type in MECHANISMS.items() if type in types]

# -*- test-case-name: tests.stream.sasl2.test_request -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""What a client asks for when it logs in by SASL2 (XEP-0388 §2.3), and the data of its elements (§2.2)."""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from dataclasses import dataclass
from typing import Final

from muccore.interfaces import UserAgent
from muccore.stream.sasl.exchange import SASLFailure
from muccore.xmpp import ns
from muccore.xmpp.element import Element

TEXT_LIMIT: Final = 64
"""Characters that are kept of the name of a client's software, and of that of its device."""

_UUID: Final = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")


@dataclass(frozen=True)
class Request:
    """
    An C{<authenticate/>}.

    @ivar mechanism: the name of the mechanism, C{""} for none.
    @ivar initial: the initial response, or C{None}.
    @ivar userAgent: what the client tells about itself, or C{None}.
    @ivar upgrades: the tasks that the client would like to perform (XEP-0480).
    @ivar inline: the elements in other namespaces, of each kind the first, by namespace and name.
    """

    mechanism: str
    initial: bytes | None
    userAgent: UserAgent | None
    upgrades: tuple[str, ...]
    inline: dict[tuple[str | None, str], Element]

    @property
    def client(self) -> str:
        """The id of the client, or C{""}."""
        return "" if self.userAgent is None else self.userAgent.id


def parseRequest(element: Element) -> Request:
    """
    Parse an C{<authenticate/>}.

    @raise SASLFailure: C{malformed-request} if the schema does not allow it, C{incorrect-encoding} if the initial
        response is not base64.
    """
    initial: bytes | None = None
    agent: UserAgent | None = None
    inline: dict[tuple[str | None, str], Element] = {}
    upgrades: dict[str, None] = {}
    seen: set[str] = set()
    for child in element.childElements():
        if child.uri == ns.SASL_UPGRADE and child.name == "upgrade":
            upgrades[child.text().strip()] = None
            continue
        if child.uri != ns.SASL2:
            inline.setdefault((child.uri, child.name), child)
            continue
        if child.name in seen:
            raise SASLFailure("malformed-request", f"There is more than one <{child.name}/>.")
        if child.name == "initial-response":
            initial = decodeData(child)
        elif child.name == "user-agent":
            agent = _parseUserAgent(child)
        else:
            raise SASLFailure("malformed-request", "Unexpected child element.")
        seen.add(child.name)
    return Request(element.attributes.get("mechanism", ""), initial, agent, tuple(upgrades), inline)


def decodeData(element: Element) -> bytes:
    """
    Decode the data of an element. No content is data of no length (§2.2).

    @raise SASLFailure: C{malformed-request} for child elements, C{incorrect-encoding} if it is not base64.
    """
    if any(not isinstance(child, str) for child in element.children):
        raise SASLFailure("malformed-request", "Unexpected child element.")
    try:
        # Whitespace should not be there, but the examples of the text have it.
        return b64decode("".join(element.text().split()), validate=True)
    except (binascii.Error, ValueError):
        raise SASLFailure("incorrect-encoding") from None


def _parseUserAgent(element: Element) -> UserAgent:
    id = element.attributes.get("id", "")
    if id and _UUID.fullmatch(id) is None:
        raise SASLFailure("malformed-request", "The id of the user agent is not a UUID.")
    texts = {name: element.child(name, ns.SASL2) for name in ("software", "device")}
    shown = {name: "" if child is None else child.text().strip()[:TEXT_LIMIT] for name, child in texts.items()}
    return UserAgent(id.lower(), **shown)

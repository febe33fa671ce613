# -*- test-case-name: tests.im.test_pushes -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The push services that an account has enabled (XEP-0357): requests, and the document that keeps them.

Each belongs to the client that has enabled it, which is known by its resource.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Final

from muccore.xmpp import ns
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.jid import JID
from muccore.xmpp.rendering import render
from muccore.xmpp.stanzas import parseAddress

KIND: Final = "push"
"""The kind of the document."""

KEY: Final = "services"
"""Its key."""

SERVICES_LIMIT: Final = 20
"""Services of one account; above it, that which was enabled longest ago makes room."""

NODE_SIZE: Final = 1023
"""Bytes of a node."""

OPTIONS_SIZE: Final = 4096
"""Bytes of publish options."""

Target = tuple[str, str]
"""A service and a node."""


@dataclass(frozen=True, slots=True)
class PushRegistration:
    """
    A service that is enabled.

    @ivar service: its address, prepared.
    @ivar node: where to publish; C{""} for none.
    @ivar resource: of the client that has enabled it.
    @ivar options: the publish options, a form as XML; C{""} for none. They may be a secret.
    """

    service: str
    node: str
    resource: str
    options: str = ""

    @property
    def target(self) -> Target:
        """What it is known by: it is enabled once."""
        return self.service, self.node

    def __repr__(self) -> str:
        return f"<PushRegistration at {self.service}>"


Registrations = Mapping[Target, PushRegistration]
"""Those of an account, that first which was enabled longest ago."""


def encode(registrations: Registrations) -> bytes | None:
    """The document; C{None} for none."""
    return json.dumps([asdict(each) for each in registrations.values()]).encode() if registrations else None


def decode(document: bytes | None) -> Registrations:
    """The registrations in a document."""
    found = [PushRegistration(**each) for each in json.loads(document or b"[]")]
    return {each.target: each for each in found}


def withRegistration(registrations: Registrations, added: PushRegistration) -> Registrations:
    """Add a registration, in place of one with the same target (§5)."""
    kept = {target: each for target, each in registrations.items() if target != added.target}
    for target in list(kept)[: max(0, len(kept) + 1 - SERVICES_LIMIT)]:
        del kept[target]
    return {**kept, added.target: added}


def parseEnable(enable: Element, client: JID) -> PushRegistration:
    """
    Read a request (§5) of a client.

    @raise StanzaError: C{bad-request}, C{jid-malformed} or C{policy-violation}.
    """
    service, node = parseTarget(enable)
    node = node or ""
    if len(node.encode()) > NODE_SIZE:
        raise StanzaError("policy-violation", text=f"A node may have at most {NODE_SIZE} bytes.")
    form, options = enable.child("x", ns.DATA), ""
    if form is not None:
        if _formType(form) != ns.PUBLISH_OPTIONS or form.get("type") != "submit":
            raise StanzaError("bad-request", text=f"The form has to be one of {ns.PUBLISH_OPTIONS}.")
        options = render(form, None).decode()
        if len(options.encode()) > OPTIONS_SIZE:
            raise StanzaError("policy-violation", text=f"Publish options may have at most {OPTIONS_SIZE} bytes.")
    return PushRegistration(service.full, node, client.resource, options)


def parseTarget(request: Element) -> tuple[JID, str | None]:
    """
    Read service and node of a request; a node of C{None} stands for all (§6).

    @raise StanzaError: C{bad-request} without a service, C{jid-malformed}.
    """
    address = request.get("jid")
    if not address:
        raise StanzaError("bad-request", text="There is no jid.")
    return parseAddress(address), request.get("node")


def _formType(form: Element) -> str | None:
    for field in form.childElements():
        if field.get("var") == "FORM_TYPE":
            value = field.child("value")
            return None if value is None else value.text()
    return None

# -*- test-case-name: tests.operations.transfer.prosody.test_vcards -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
vCards of the form that personal eventing publishes (vCard4, XEP-0292; avatars, XEP-0084), in which Prosody keeps them,
as vCards of XEP-0054. What that form cannot say, such as languages, is left out, as for clients of Prosody that ask for
such a vCard.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from muccore.xmpp import ns
from muccore.xmpp.element import Element

VCARD4: Final = "urn:ietf:params:xml:ns:vcard-4.0"
"""The namespace of vCard4 (RFC 6351)."""

_VALUES: Final[Mapping[str, tuple[str, str]]] = {
    "fn": ("FN", "text"), "nickname": ("NICKNAME", "text"), "bday": ("BDAY", "date"), "url": ("URL", "uri"),
    "title": ("TITLE", "text"), "role": ("ROLE", "text"), "note": ("DESC", "text"), "tz": ("TZ", "text"),
}  # fmt: skip
"""Properties with one value: their name in XEP-0054, and the type of the value."""

_NAME: Final = (
    ("FAMILY", "surname"), ("GIVEN", "given"), ("MIDDLE", "additional"), ("PREFIX", "prefix"), ("SUFFIX", "suffix"),
)  # fmt: skip
_ADDRESS: Final = (
    ("POBOX", "pobox"), ("EXTADD", "ext"), ("STREET", "street"), ("LOCALITY", "locality"), ("REGION", "region"),
    ("PCODE", "code"), ("CTRY", "country"),
)  # fmt: skip
_KINDS: Final = ("home", "work")


def vCardOf(vcard4: Element | None, avatar: Element | None, type: str | None) -> Element | None:
    """
    Make a vCard.

    @param vcard4: the published one, or C{None}.
    @param avatar: the C{<data/>} of the avatar, or C{None}.
    @param type: the media type of the avatar, if it is known.
    @return: C{None} if there is nothing in it.
    """
    card = Element((ns.VCARD_TEMP, "vCard"))
    for part in () if vcard4 is None else vcard4.childElements():
        if part.uri == VCARD4:
            _addProperty(card, part)
    data = "" if avatar is None else "".join(avatar.text().split())
    if data:
        photo = card.add("PHOTO")
        if type:
            photo.add("TYPE", text=type)
        photo.add("BINVAL", text=data)
    return card if card.children else None


def _addProperty(card: Element, part: Element) -> None:
    if part.name in _VALUES:
        name, type = _VALUES[part.name]
        text = part.childText(type) or part.childText("text")
        if text:
            card.add(name, text=text)
    elif part.name == "n":
        _addStructure(card, "N", _NAME, part)
    elif part.name == "adr":
        _addStructure(card, "ADR", _ADDRESS, part)
    elif part.name == "email":
        _addKinds(card, "EMAIL", part, "USERID", part.childText("text"))
    elif part.name == "tel":
        number = part.childText("uri") or part.childText("text") or ""
        _addKinds(card, "TEL", part, "NUMBER", number.removeprefix("tel:"))
    elif part.name == "org":
        organization = part.childText("text")
        if organization:
            card.add("ORG").add("ORGNAME", text=organization)
    elif part.name == "impp":
        uri = part.childText("uri") or ""
        if uri.startswith("xmpp:"):
            card.add("JABBERID", text=uri.removeprefix("xmpp:"))


def _addStructure(card: Element, name: str, fields: tuple[tuple[str, str], ...], part: Element) -> None:
    values = [(field, part.childText(source)) for field, source in fields]
    if any(value for _, value in values):
        made = card.add(name)
        _markKinds(made, part)
        for field, value in values:
            if value:
                made.add(field, text=value)


def _addKinds(card: Element, name: str, part: Element, field: str, value: str | None) -> None:
    if value:
        made = card.add(name)
        _markKinds(made, part)
        made.add(field, text=value)


def _markKinds(made: Element, part: Element) -> None:
    """Mark what a property is for: C{<parameters><type><text>home</text>}."""
    parameters = part.child("parameters")
    type = None if parameters is None else parameters.child("type")
    found = {each.text().strip().lower() for each in type.childElements()} if type is not None else set()
    for kind in _KINDS:
        if kind in found:
            made.add(kind.upper())

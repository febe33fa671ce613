# -*- test-case-name: tests.operations.transfer.ejabberd.test_values -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Terms of ejabberd as what they stand for: texts, addresses, times and elements."""

from __future__ import annotations

from typing import Final

from muccore.operations.transfer.ejabberd.terms import Atom, Term
from muccore.operations.transfer.foreignelements import DEPTH_LIMIT, checkText, foreignElement
from muccore.operations.transfer.pieces import DataError
from muccore.xmpp import ns
from muccore.xmpp.archivequeries import MICROSECONDS
from muccore.xmpp.element import Element
from muccore.xmpp.jid import JID, make

_ELEMENT: Final = "xmlel"
_TEXT: Final = "xmlcdata"
_JID: Final = "jid"
_MEGA: Final = 1_000_000


def textOf(term: Term) -> str:
    """
    The text in a binary; C{""} for the atoms C{undefined} and C{none}.

    @raise DataError: if it is something else, is no UTF-8, or has characters that XML does not allow.
    """
    if isinstance(term, Atom) and term in ("undefined", "none"):
        return ""
    if not isinstance(term, bytes):
        raise DataError("it is no text")
    try:
        return checkText(term.decode())
    except UnicodeDecodeError:
        raise DataError("it is no text in UTF-8") from None


def addressOf(term: Term) -> JID:
    """
    The address in C{{User, Host}}, C{{User, Host, Resource}} or a record C{jid}.

    @raise DataError: if it is something else.
    @raise InvalidJID: if it is invalid.
    """
    if isinstance(term, tuple) and len(term) == 7 and term[0] == _JID:
        term = term[1:4]
    if not (isinstance(term, tuple) and len(term) in (2, 3)):
        raise DataError("it is no address")
    return make(*map(textOf, term))


def timeOf(term: Term) -> int:
    """
    The microseconds in C{{MegaSeconds, Seconds, Microseconds}}.

    @raise DataError: if it is something else.
    """
    if isinstance(term, tuple) and len(term) == 3:
        mega, seconds, micro = term
        if isinstance(mega, int) and isinstance(seconds, int) and isinstance(micro, int) and 0 <= mega < _MEGA:
            return (mega * _MEGA + seconds) * MICROSECONDS + micro
    raise DataError("its time is not known")


def elementOf(term: Term) -> Element:
    """
    The element in C{{xmlel, Name, Attributes, Children}}.

    @raise DataError: if it is something else.
    """
    return _elementOf(term, ns.CLIENT, 0)


def _elementOf(term: Term, uri: str, depth: int) -> Element:
    if not (isinstance(term, tuple) and len(term) == 4 and term[0] == _ELEMENT) or depth > DEPTH_LIMIT:
        raise DataError("it is no element")
    _, name, attributes, children = term
    if not (isinstance(attributes, list) and isinstance(children, list)):
        raise DataError("it is no element")
    found: dict[str, str] = {}
    for attribute in attributes:
        if not (isinstance(attribute, tuple) and len(attribute) == 2):
            raise DataError("it is no element")
        found[textOf(attribute[0])] = textOf(attribute[1])
    uri = found.pop("xmlns", uri)
    prefixes = {
        key.removeprefix("xmlns:"): found.pop(key) for key in list(found) if key.startswith("xmlns:")
    }  # Of attributes; elements of others have been rewritten by its parser.
    split: dict[str | tuple[str, str], str] = {}
    for key, value in found.items():
        prefix, colon, local = key.partition(":")
        split[(prefixes[prefix], local) if colon and prefix in prefixes else key] = value
    made = foreignElement(uri, textOf(name), split)
    for child in children:
        if isinstance(child, tuple) and len(child) == 2 and child[0] == _TEXT:
            made.children.append(textOf(child[1]))
        else:
            made.children.append(_elementOf(child, uri, depth + 1))
    return made

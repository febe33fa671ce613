# -*- test-case-name: tests.im.test_archivepreferences -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
What users want to have archived (XEP-0441): rules, stanzas, and the document that keeps them.

Where the text leaves a choice: C{never} goes before C{always}, whichever is more exact, and what is in both lists is
answered in C{never} only.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from muccore.xmpp import ns
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.jid import JID
from muccore.xmpp.stanzas import parseAddress

ALWAYS: Final = "always"
NEVER: Final = "never"
ROSTER: Final = "roster"
DEFAULTS: Final = (ALWAYS, ROSTER, NEVER)
"""What may be archived of those who are in neither list: everything, what is from or to contacts, nothing."""

JIDS_LIMIT: Final = 1000
"""The maximum of addresses in both lists together."""


@dataclass(frozen=True, slots=True)
class ArchivePreferences:
    """
    The preferences of a user.

    @ivar default: one of L{DEFAULTS}.
    @ivar always: addresses, prepared; a bare JID stands for all its resources.
    @ivar never: likewise.
    """

    default: str
    always: frozenset[str] = frozenset()
    never: frozenset[str] = frozenset()

    def allows(self, other: JID, isContact: Callable[[str], bool]) -> bool:
        """
        Whether messages to or from an address are archived.

        @param isContact: whether a bare JID is in the roster.
        """
        if other.full in self.never or other.bare in self.never:
            return False
        if self.default == ALWAYS or other.full in self.always or other.bare in self.always:
            return True
        return self.default == ROSTER and isContact(other.bare)

    def toElement(self) -> Element:
        """The element that tells them."""
        prefs = Element((ns.MAM, "prefs"), None, {"default": self.default})
        for name, addresses in ((ALWAYS, self.always), (NEVER, self.never)):
            listed = prefs.add(name)
            for address in sorted(addresses):
                listed.add("jid", text=address)
        return prefs

    def encode(self) -> bytes:
        """Encode the document."""
        return json.dumps([self.default, sorted(self.always), sorted(self.never)], ensure_ascii=False).encode()

    @classmethod
    def decode(cls, document: bytes) -> ArchivePreferences:
        """Decode the document."""
        default, always, never = json.loads(document)
        return cls(default, frozenset(always), frozenset(never))


def parsePreferences(prefs: Element) -> ArchivePreferences:
    """
    Parse the element that sets them; a list that is missing is empty.

    @raise StanzaError: C{bad-request} without a known default, or with two lists of a name, C{jid-malformed} for an
        invalid address, C{policy-violation} for more than L{JIDS_LIMIT}.
    """
    default = prefs.get("default")
    if default not in DEFAULTS:
        raise StanzaError("bad-request", text="The default must be always, roster or never.")
    lists: dict[str, frozenset[str]] = {}
    count = 0
    for listed in prefs.childElements():
        if listed.uri != ns.MAM or listed.name not in (ALWAYS, NEVER) or listed.name in lists:
            raise StanzaError("bad-request", text="There is one list of each kind.")
        addresses = []
        for text in _addresses(listed):
            count += 1
            if count > JIDS_LIMIT:
                raise StanzaError("policy-violation", text=f"There may be {JIDS_LIMIT} addresses in the lists.")
            addresses.append(parseAddress(text).full)
        lists[listed.name] = frozenset(addresses)
    never = lists.get(NEVER, frozenset())
    return ArchivePreferences(default, lists.get(ALWAYS, frozenset()) - never, never)


def _addresses(listed: Element) -> Iterator[str]:
    for child in listed.childElements():
        if (child.uri, child.name) != (ns.MAM, "jid"):
            raise StanzaError("bad-request", text="The lists have nothing but addresses.")
        yield child.text().strip()

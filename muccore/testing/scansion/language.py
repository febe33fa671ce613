# -*- test-case-name: tests.testing.test_scansion_script -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The script language's constants, and a script as objects.

The language is that of Prosody's test tool scansion, with extensions; see C{docs/scenarios.md}.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from html import escape
from typing import Final, TypeAlias

from lxml import etree

from muccore.xmpp import ns
from muccore.xmpp.jid import JID
from muccore.xmpp.jid import parse as parseJID

SCANSION: Final = "https://matthewwild.co.uk/projects/scansion"
"""The namespace of the prefix C{scansion} in a script's XML."""

ANY: Final = "{scansion:any}"
"""Stands for any value."""

STRICT: Final = f"{{{SCANSION}}}strict"
"""The attribute that sets how closely an element is compared."""

STRICT_VALUES: Final = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
"""The values of L{STRICT}."""

VARIABLE: Final = re.compile(r"\$\{([^}\n]*)(\}?)")
"""A variable; the second group is empty if the closing brace is missing."""

PROPERTIES: Final = ("full JID", "bare JID", "JID", "username", "resource")
"""The properties of a client that a variable can name: C{${NAME's full JID}} and so on."""

_CAPTURE: Final = re.compile(r"\{scansion:capture:([A-Za-z_][\w.-]*)\}\Z")

_OPENING: Final = f"<script xmlns='{ns.CLIENT}' xmlns:stream='{ns.STREAM}' xmlns:scansion='{SCANSION}'>"
_CLOSING: Final = "</script>"


@dataclass(frozen=True)
class Position:
    """A line of a script; C{includedAt} is the line that includes the file, C{None} for the script's own lines."""

    source: str
    line: int
    includedAt: Position | None = None

    def __str__(self) -> str:
        place = f"{self.source}:{self.line}"
        return place if self.includedAt is None else f"{place} (included at {self.includedAt})"

    def at(self, line: int) -> Position:
        """Return the position of another line of the same file."""
        return replace(self, line=line)


class ScriptError(ValueError):
    """A script is not valid; C{str()} of it is C{file:line: what}."""

    def __init__(self, position: Position, what: str) -> None:
        ValueError.__init__(self, f"{position}: {what}")
        self.position = position


@dataclass(frozen=True)
class ClientDefinition:
    """
    One client of the script.

    @ivar name: its name in the script; may contain spaces.
    @ivar jid: its address as written in the script.
    @ivar resource: the resource to request; C{None}: the server generates one.
    @ivar host: where this client connects, if not where the others do.
    @ivar port: likewise.
    """

    name: str
    jid: str
    password: str = field(repr=False)
    resource: str | None = None
    host: str | None = None
    port: int | None = None

    @property
    def address(self) -> JID:
        """The bare JID, prepared."""
        return parseJID(self.jid).bareJID()


Lookup: TypeAlias = Callable[[str], str]
"""Returns the value of a variable: C{NAME's JID} or the name of a captured value."""


@dataclass(frozen=True)
class Markup:
    """
    The stanzas of one block, variables not yet replaced.

    @ivar position: of the first line.
    @ivar positions: of the first line of each stanza.
    @ivar uses: the captured values that it needs.
    @ivar captures: the names of the values that it captures.
    """

    position: Position
    text: str
    positions: Sequence[Position]
    uses: frozenset[str]
    captures: frozenset[str]

    def written(self, lookup: Lookup) -> str:
        """Return the XML to send: as written in the script, with the variables' values."""
        return VARIABLE.sub(lambda match: escape(lookup(match[1])), self.text).strip()

    def stanzas(self, lookup: Lookup) -> list[etree._Element]:
        """Return the stanzas, with the variables' values."""
        return parseStanzas(self.position, self.written(lookup))


@dataclass(frozen=True)
class Action:
    """One step of the client of a name."""

    name: str
    position: Position


class Connects(Action):
    """Connect, log in and bind; no presence is sent."""


class Disconnects(Action):
    """Close the stream."""


@dataclass(frozen=True)
class Sends(Action):
    """Send stanzas."""

    markup: Markup


@dataclass(frozen=True)
class Receives(Action):
    """Wait for stanzas."""

    markup: Markup


class ReceivesNothing(Action):
    """Check that nothing has arrived."""


@dataclass(frozen=True)
class Script:
    """
    A whole script.

    @ivar source: its file's name, for messages.
    @ivar title: its first comment line, or C{""}.
    @ivar clients: by name.
    @ivar actions: in order, those of included files among them.
    """

    source: str
    title: str
    clients: dict[str, ClientDefinition]
    actions: Sequence[Action]


def parseStanzas(position: Position, text: str) -> list[etree._Element]:
    """Parse stanzas, from C{position} on; L{ScriptError} if they are not XML, or there is text between them."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, remove_comments=True, remove_pis=True)
    try:
        # The opening tag stands on the text's first line, so that libxml2's line numbers match.
        root = etree.fromstring(f"{_OPENING}{text}\n{_CLOSING}", parser)
    except etree.XMLSyntaxError as e:
        # If the text ends inside an element, libxml2 reports the line after it.
        line = position.line + min((e.lineno or 1) - 1, text.count("\n"))
        raise ScriptError(position.at(line), f"not XML: {e.msg}") from None
    stanzas = list(root)
    if "".join([root.text or "", *(stanza.tail or "" for stanza in stanzas)]).strip():
        raise ScriptError(position, "text outside of any stanza")
    for stanza in stanzas:
        stanza.tail = None
    return stanzas


def capturedName(value: str) -> str | None:
    """Return the C{x} of C{{scansion:capture:x}}, or C{None} for any other text."""
    match = _CAPTURE.match(value)
    return match[1] if match else None


def requestedProperty(client: str, variable: str) -> str | None:
    """Return the one of L{PROPERTIES} that C{variable} names of this client, or C{None}."""
    for wanted in PROPERTIES:
        if variable == f"{client}'s {wanted}":
            return wanted
    return None

# -*- test-case-name: tests.testing.test_scansion_script -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The words of the language, and what a script is once it has been read.

The language is that of Prosody's test tool, scansion; C{docs/scenarios.md} describes what is understood of it here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from lxml import etree

from muccore import ns
from muccore.jid import JID
from muccore.jid import parse as parseJID

SCANSION: Final = "https://matthewwild.co.uk/projects/scansion"
"""The namespace that the prefix C{scansion} stands for inside a script's XML."""

ANY: Final = "{scansion:any}"
"""Stands for any value."""

STRICT: Final = f"{{{SCANSION}}}strict"
"""The attribute that says how closely an element is compared."""

STRICT_VALUES: Final = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
"""What L{STRICT} may say."""

VARIABLE: Final = re.compile(r"\$\{([^}\n]*)(\}?)")
"""A variable; the second group is empty if its end is missing."""

PROPERTIES: Final = ("full JID", "bare JID", "JID", "username", "resource")
"""What can be asked of a client: C{${NAME's full JID}} and so on."""

_CAPTURE: Final = re.compile(r"\{scansion:capture:([A-Za-z_][\w.-]*)\}\Z")

_OPENING: Final = f"<play xmlns='{ns.CLIENT}' xmlns:stream='{ns.STREAM}' xmlns:scansion='{SCANSION}'>"
_CLOSING: Final = "</play>"


class ScriptError(ValueError):
    """
    A script is not understood; C{str()} of it is C{file:line: what}.
    """

    def __init__(self, source: str, line: int, what: str) -> None:
        ValueError.__init__(self, f"{source}:{line}: {what}")
        self.source = source
        self.line = line
        self.what = what


@dataclass(frozen=True)
class ClientDefinition:
    """
    One client of the play.

    @ivar name: how the script calls it; may have blanks in it.
    @ivar jid: its address as the script writes it.
    @ivar resource: the resource to ask for, or C{None}: the server makes one up.
    @ivar host: where to connect instead of where the whole play does, or C{None}.
    @ivar port: likewise.
    """

    name: str
    jid: str
    password: str = field(repr=False)
    resource: str | None
    host: str | None
    port: int | None
    line: int

    @property
    def address(self) -> JID:
        """
        The bare JID, prepared.
        """
        return parseJID(self.jid).bareJID()


Lookup: TypeAlias = Callable[[str], str]
"""Gives the value of a variable: C{NAME's JID} or the name of something captured."""


@dataclass(frozen=True)
class Markup:
    """
    The stanzas of one block, with variables still in them.

    @ivar line: where its first line stands.
    @ivar lines: for each stanza the line on which it begins.
    @ivar uses: the captured values that it needs.
    @ivar captures: the names of the values that it captures.
    """

    source: str
    line: int
    text: str
    lines: Sequence[int]
    uses: frozenset[str]
    captures: frozenset[str]

    def written(self, lookup: Lookup) -> str:
        """
        The XML as it goes to the server: as the script writes it, with the variables' values.
        """
        return VARIABLE.sub(lambda match: _escaped(lookup(match[1])), self.text).strip()

    def stanzas(self, lookup: Lookup) -> list[etree._Element]:
        """
        The stanzas, with the variables' values.
        """
        return parseStanzas(self.source, self.line, self.written(lookup))


@dataclass(frozen=True)
class Connects:
    """
    A client connects, logs in and binds; it sends no presence.
    """

    name: str
    line: int


@dataclass(frozen=True)
class Disconnects:
    """
    A client ends its stream.
    """

    name: str
    line: int


@dataclass(frozen=True)
class Sends:
    """
    A client sends stanzas.
    """

    name: str
    line: int
    markup: Markup


@dataclass(frozen=True)
class Receives:
    """
    A client receives stanzas.
    """

    name: str
    line: int
    markup: Markup


@dataclass(frozen=True)
class ReceivesNothing:
    """
    Nothing has come for a client.
    """

    name: str
    line: int


Action: TypeAlias = Connects | Disconnects | Sends | Receives | ReceivesNothing


@dataclass(frozen=True)
class Script:
    """
    A whole script.

    @ivar source: its file's name, for messages.
    @ivar title: its first comment line, or C{""}.
    @ivar characters: by name.
    @ivar actions: in order.
    """

    source: str
    title: str
    characters: dict[str, ClientDefinition]
    actions: Sequence[Action]


def _escaped(value: str) -> str:
    return (
        value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
        .replace("'", "&apos;")
    )


def parseStanzas(source: str, line: int, text: str) -> list[etree._Element]:
    """
    Parse stanzas.

    @raise ScriptError: if they are no XML, or there is text between them.
    """
    parser = etree.XMLParser(resolve_entities=False, no_network=True, remove_comments=True, remove_pis=True)
    try:
        # The opening tag stands on the text's first line, so that libxml2 counts lines as the script does.
        play = etree.fromstring(f"{_OPENING}{text}\n{_CLOSING}", parser)
    except etree.XMLSyntaxError as e:
        # Where the text ends inside an element, libxml2 complains of the line behind it.
        last = line + text.count("\n")
        raise ScriptError(source, min(line + (e.lineno or 1) - 1, last), f"this is no XML: {e.msg}") from None
    stanzas = list(play)
    if "".join([play.text or "", *(stanza.tail or "" for stanza in stanzas)]).strip():
        raise ScriptError(source, line, "text outside of any stanza")
    for stanza in stanzas:
        stanza.tail = None
    return stanzas


def capturedName(value: str) -> str | None:
    """
    The C{x} of C{{scansion:capture:x}}, or C{None} for any other text.
    """
    match = _CAPTURE.match(value)
    return match[1] if match else None


def askedOf(character: str, variable: str) -> str | None:
    """
    The one of L{PROPERTIES} that C{variable} asks of a character, or C{None} if it asks nothing of this one.
    """
    for wanted in PROPERTIES:
        if variable == f"{character}'s {wanted}":
            return wanted
    return None

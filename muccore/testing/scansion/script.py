# -*- test-case-name: tests.testing.test_scansion_script -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The parser of scripts. It reports every mistake that can be found before anything connects."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from typing import Final, TypeAlias, cast

from lxml import etree

from muccore.testing.scansion.language import (
    ANY,
    STRICT,
    STRICT_VALUES,
    VARIABLE,
    Action,
    ClientDefinition,
    Connects,
    Disconnects,
    Markup,
    Position,
    Receives,
    ReceivesNothing,
    Script,
    ScriptError,
    Sends,
    capturedName,
    parseStanzas,
    requestedProperty,
)
from muccore.xmpp.jid import InvalidJID, prepareResource
from muccore.xmpp.jid import parse as parseJID

_PLACEHOLDER: Final = re.compile(r"\{scansion:([^}]*)\}?")
_SEPARATOR: Final = re.compile(r"-{5,}\Z")
_HEADING: Final = re.compile(r"\[\s*(\w+)\s*\]\s*(.*)\Z")
_PROPERTIES: Final = ("jid", "password", "resource", "connect_host", "connect_port")

_Values: TypeAlias = dict[str, tuple[int, str]]
"""Properties below a heading: for each its line and its value."""


def _lineOf(element: etree._Element, begin: int) -> int:
    return begin + cast(int, element.sourceline) - 1


class _Reader:
    """
    Reads one file, line by line.

    @ivar origin: the file's position; its line is not used.
    @ivar lines: what is left to fill in and to read.
    @ivar clients: those of the whole script; likewise C{actions} and C{captured}.
    """

    def __init__(self, text: str, origin: Position, including: _Reader | None = None) -> None:
        self.origin = origin
        # Not splitlines(): some of its line ends are ordinary characters in XML.
        self.lines = text.removeprefix("\ufeff").replace("\r\n", "\n").removesuffix("\n").split("\n")
        self.at = 0
        self.title = ""
        self.clients: dict[str, ClientDefinition] = {} if including is None else including.clients
        self.actions: list[Action] = [] if including is None else including.actions
        self.captured: set[str] = set() if including is None else including.captured

    def error(self, line: int, what: str) -> ScriptError:
        return ScriptError(self.origin.at(line), what)

    def nextLine(self) -> tuple[int, str] | None:
        """Skip comments and empty lines; return the next line and its number."""
        while self.at < len(self.lines):
            line = self.lines[self.at].rstrip()
            self.at += 1
            if line.startswith("#"):
                # Lines that begin with two of them are scansion's tags.
                self.title = self.title or ("" if line.startswith("##") else line[1:].strip())
            elif line and not line.startswith("//"):
                return self.at, line
        return None

    def indented(self) -> Iterator[tuple[int, str]]:
        """Yield the indented lines from here on. Comments (not indented) and empty lines do not end them."""
        while self.at < len(self.lines):
            line = self.lines[self.at].rstrip()
            if line and not line[0].isspace() and not line.startswith(("#", "//")):
                return
            self.at += 1
            if line and line[0].isspace():
                yield self.at, line

    def read(self) -> None:
        included = self.origin.includedAt is not None
        while (found := self.nextLine()) is not None:
            if _SEPARATOR.match(found[1]):
                break
            self.readHeading(*found)
        else:
            if not included:
                raise self.error(len(self.lines), "the line of dashes between clients and actions is missing")
        if not self.clients and not included:
            raise self.error(self.at, "no client is defined above this line")
        while (found := self.nextLine()) is not None:
            self.readAction(*found)

    def readHeading(self, line: int, text: str) -> None:
        match = _HEADING.match(text)
        if match is None:
            raise self.error(line, f"expected '[Client] NAME', '[Include] FILE' or dashes, found {text.strip()!r}")
        kind, name = match.groups()
        if kind == "Include":
            self.include(line, name)
        elif kind == "Client":
            self.readClient(line, name)
        else:
            raise self.error(line, f"unknown heading [{kind}]; there are [Client] and [Include]")

    def properties(self, known: Sequence[str] = ()) -> _Values:
        """Read the properties below a heading: those known; or else any, joining the values of repeated ones."""
        found: _Values = {}
        for number, entry in self.indented():
            if entry.strip().startswith(("#", "//")):
                continue
            key, colon, value = entry.strip().partition(":")
            key = key.strip()
            if not colon:
                raise self.error(number, f"expected 'PROPERTY: VALUE', found {entry.strip()!r}")
            if known and key not in known:
                raise self.error(number, f"unknown property {key!r}; there are {', '.join(known)}")
            if key in found and known:
                raise self.error(number, f"duplicate property {key}")
            first, begin = found.get(key, (number, ""))
            found[key] = first, begin + value.strip()
        return found

    def readClient(self, line: int, name: str) -> None:
        if not name:
            raise self.error(line, "the client has no name")
        if name in self.clients:
            raise self.error(line, f"duplicate client {name!r}")
        found = self.properties(_PROPERTIES)
        for required in ("jid", "password"):
            if not found.get(required, (0, ""))[1]:
                raise self.error(found.get(required, (line, ""))[0], f"client {name!r} has no {required}")
        number, address = found["jid"]
        try:
            parsed = parseJID(address)
            if not parsed.local:
                raise InvalidJID("it has no localpart")
            resource: str | None = parsed.resource or None
            if "resource" in found:
                number, text = found["resource"]
                if resource is not None:
                    raise self.error(number, "the jid already contains a resource")
                resource = prepareResource(text)
        except InvalidJID as e:
            raise self.error(number, f"not a valid address for {name!r}: {e}") from None
        number, text = found.get("connect_port", (line, ""))
        if text and not (text.isascii() and text.isdigit() and 0 < int(text) < 65536):
            raise self.error(number, f"expected a port number, found {text!r}")
        host = found.get("connect_host", (0, ""))[1] or None
        self.clients[name] = ClientDefinition(
            name, address, found["password"][1], resource, host, int(text) if text else None
        )

    def include(self, line: int, file: str) -> None:
        position = self.origin.at(line)
        if not file:
            raise ScriptError(position, "no file to include")
        path = os.path.join(os.path.dirname(self.origin.source), file)
        including: Position | None = position
        while including is not None:
            if os.path.realpath(including.source) == os.path.realpath(path):
                raise ScriptError(position, f"{file} includes itself")
            including = including.includedAt
        values = self.properties()
        origin = Position(path, 0, position)
        try:
            reader = _Reader(_readFile(origin), origin, self)
        except OSError as e:
            raise ScriptError(position, f"cannot read {path}: {e.strerror}") from None
        for name, (number, value) in values.items():
            if not reader.replace(name, value):
                raise self.error(number, f"{file} has no ${{{name}}}")
        reader.read()

    def replace(self, parameter: str, value: str) -> int:
        """Replace C{${parameter}} by its value and C{${parameter's} by C{${value's}. Return how many there were."""
        text = "\n".join(self.lines)
        plain, possessive = f"${{{parameter}}}", f"${{{parameter}'s "
        self.lines = text.replace(plain, value).replace(possessive, f"${{{value}'s ").split("\n")
        return text.count(plain) + text.count(possessive)

    def subjects(self, line: int, text: str) -> tuple[list[str], str]:
        """Split an action into the clients' names and the rest of the line."""
        names: list[str] = []
        rest = text
        while True:
            # Names may contain spaces, and one may begin like another: the longest matches.
            for name in sorted(self.clients, key=len, reverse=True):
                if rest.startswith((f"{name} ", f"{name}, ")):
                    break
            else:
                raise self.error(line, f"no client's name at the beginning of {rest!r}")
            names.append(name)
            rest = rest.removeprefix(name)
            if not rest.startswith((", ", " and ")):
                return names, rest[1:]
            rest = rest[2:] if rest[0] == "," else rest[5:]

    def readAction(self, line: int, text: str) -> None:
        if text[0].isspace():
            raise self.error(line, "indented lines belong below 'NAME sends:' or 'NAME receives:'")
        heading = _HEADING.match(text)
        if heading is not None and heading[1] == "Include":
            self.include(line, heading[2])
            return
        if heading is not None:
            raise self.error(line, "clients are defined above the line of dashes")
        names, predicate = self.subjects(line, text)
        verb, colon, rest = predicate.partition(":")
        verb, rest = " ".join(verb.split()), rest.strip()
        if len(names) > 1:
            verb = re.sub(r"\A(connect|disconnect|receive)\b", r"\1s", verb)
        position = self.origin.at(line)
        if verb in ("connects", "disconnects") and not colon:
            kind = Connects if verb == "connects" else Disconnects
            self.actions += [kind(name, position) for name in names]
        elif (verb == "receives nothing" and not rest) or (verb == "receives" and rest == "nothing"):
            self.actions += [ReceivesNothing(name, position) for name in names]
        elif verb == "sends" and colon and len(names) == 1:
            self.actions.append(Sends(names[0], position, self.readMarkup(line, rest, False)))
        elif verb == "receives" and colon:
            markup = self.readMarkup(line, rest, True)
            self.actions += [Receives(name, position, markup) for name in names]
        else:
            raise self.error(
                line,
                "the actions are 'connects', 'disconnects', 'sends:', 'receives:' and 'receives nothing', "
                f"not {predicate!r}",
            )

    def readMarkup(self, line: int, first: str, received: bool) -> Markup:
        # Skipped lines stay as empty ones to keep line numbers right.
        begin = line if first else 0
        lines = [first] if first else []
        for number, text in self.indented():
            begin = begin or number
            lines.extend([""] * (number - begin - len(lines)))
            lines.append(text)
        if not lines:
            raise self.error(line, "there is no XML below this line")
        markup = "\n".join(lines)
        position = self.origin.at(begin)
        uses = {match[1] for match in self.variables(begin, markup)}
        # The values will be escaped, so any letter can stand for them here.
        stanzas = parseStanzas(position, VARIABLE.sub("x", markup))
        if not stanzas:
            raise ScriptError(position, "there is no stanza in this block")
        captures = self.captures(begin, markup, stanzas, received)
        self.captured |= captures
        positions = [self.origin.at(_lineOf(stanza, begin)) for stanza in stanzas]
        return Markup(position, markup, positions, frozenset(uses & self.captured), captures)

    def variables(self, line: int, text: str) -> Iterator[re.Match[str]]:
        for match in VARIABLE.finditer(text):
            number = line + text.count("\n", 0, match.start())
            if not match[2]:
                raise self.error(number, "'${' without its '}'")
            if match[1] not in self.captured and not any(requestedProperty(name, match[1]) for name in self.clients):
                raise self.error(
                    number, f"unknown variable {match[0]}: not a client's property, and not captured above"
                )
            yield match

    def captures(self, line: int, text: str, stanzas: Sequence[etree._Element], received: bool) -> frozenset[str]:
        for match in _PLACEHOLDER.finditer(text):
            number = line + text.count("\n", 0, match.start())
            if not received:
                raise self.error(number, f"{match[0]} matches what is received; it cannot be sent")
            if match[0] != ANY and capturedName(match[0]) is None:
                raise self.error(
                    number, f"unknown placeholder {match[0]}; there are {ANY} and {{scansion:capture:NAME}}"
                )
        names: set[str] = set()
        for element in (element for stanza in stanzas for element in stanza.iter(etree.Element)):
            number = _lineOf(element, line)
            strict = element.get(STRICT)
            if strict is not None and (not received or strict not in STRICT_VALUES):
                raise self.error(number, "scansion:strict is 'true' or 'false', in what is received only")
            values = [*map(str, element.attrib.values()), element.text or "", *(child.tail or "" for child in element)]
            for value in map(str.strip, values):
                name = capturedName(value)
                if name is not None:
                    names.add(name)
                elif value != ANY and _PLACEHOLDER.search(value):
                    raise self.error(number, f"a placeholder has to be the whole value, not a part of {value!r}")
        return frozenset(names)


def _readFile(origin: Position) -> str:
    with open(origin.source, "rb") as file:
        data = file.read()
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as e:
        raise ScriptError(origin.at(data.count(b"\n", 0, e.start) + 1), "not UTF-8") from None


def parse(text: str, source: str = "script") -> Script:
    """Parse a script, whose path C{source} is for messages and includes; L{ScriptError} for the first mistake."""
    reader = _Reader(text, Position(source, 0))
    reader.read()
    return Script(source, reader.title, reader.clients, reader.actions)


def load(path: str) -> Script:
    """Read a script from a file; L{ScriptError} for the first mistake, L{OSError} if it cannot be read."""
    return parse(_readFile(Position(path, 0)), path)

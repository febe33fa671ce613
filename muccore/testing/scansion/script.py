# -*- test-case-name: tests.testing.test_scansion_script -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Reading scripts: text to L{Script}, with everything checked that can be checked before anybody connects.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final, cast

from lxml import etree

from muccore.jid import InvalidJID, prepareResource
from muccore.jid import parse as parseJID
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
    Receives,
    ReceivesNothing,
    Script,
    ScriptError,
    Sends,
    askedOf,
    capturedName,
    parseStanzas,
)

_PLACEHOLDER: Final = re.compile(r"\{scansion:([^}]*)\}?")
_SEPARATOR: Final = re.compile(r"-{5,}\Z")
_CLIENT: Final = re.compile(r"\[\s*(\w+)\s*\]\s*(.*)\Z")


def _lineOf(element: etree._Element, begin: int) -> int:
    return begin + cast(int, element.sourceline) - 1


class _Reader:
    """
    Reads one script, line by line.
    """

    def __init__(self, text: str, source: str) -> None:
        self.source = source
        # Not splitlines(): that knows line ends that are ordinary characters in XML.
        self.lines = text.replace("\r\n", "\n").removesuffix("\n").split("\n")
        self.at = 0
        self.title = ""
        self.characters: dict[str, ClientDefinition] = {}
        self.actions: list[Action] = []
        self.captured: set[str] = set()

    def error(self, line: int, what: str) -> ScriptError:
        return ScriptError(self.source, line, what)

    def nextLine(self) -> tuple[int, str] | None:
        """
        The next line that says something, and its number; comments and empty lines are passed over.
        """
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
        """
        The indented lines from here on. Comments (not indented) and empty lines do not end them.
        """
        while self.at < len(self.lines):
            line = self.lines[self.at].rstrip()
            if line and not line[0].isspace() and not line.startswith(("#", "//")):
                return
            self.at += 1
            if line and line[0].isspace():
                yield self.at, line

    def read(self) -> Script:
        while (found := self.nextLine()) is not None:
            line, text = found
            if _SEPARATOR.match(text):
                break
            self.readCharacter(line, text)
        else:
            raise self.error(
                len(self.lines), "the line of dashes between the clients and what they do is missing"
            )
        if not self.characters:
            raise self.error(line, "no client is defined above this line")
        while (found := self.nextLine()) is not None:
            self.readAction(*found)
        return Script(self.source, self.title, self.characters, self.actions)

    def readCharacter(self, line: int, text: str) -> None:
        match = _CLIENT.match(text)
        if match is None:
            raise self.error(line, f"expected '[Client] NAME' or a line of dashes, found {text.strip()!r}")
        kind, name = match.groups()
        if kind != "Client":
            raise self.error(line, f"characters of the kind [{kind}] are not known; there is only [Client]")
        if not name:
            raise self.error(line, "the client has no name")
        if name in self.characters:
            raise self.error(line, f"there is a client {name!r} already")
        found: dict[str, tuple[int, str]] = {}
        for number, entry in self.indented():
            key, colon, value = entry.strip().partition(":")
            key = key.strip()
            if entry.strip().startswith(("#", "//")):
                continue
            if not colon:
                raise self.error(number, f"expected 'PROPERTY: VALUE', found {entry.strip()!r}")
            if key not in ("jid", "password", "resource", "connect_host", "connect_port"):
                raise self.error(
                    number,
                    f"unknown property {key!r}; there are jid, password, resource, connect_host, connect_port",
                )
            if key in found:
                raise self.error(number, f"{key} is there twice")
            found[key] = number, value.strip()
        self.characters[name] = self.character(name, line, found)

    def character(self, name: str, line: int, found: dict[str, tuple[int, str]]) -> ClientDefinition:
        for required in ("jid", "password"):
            if not found.get(required, (0, ""))[1]:
                raise self.error(found.get(required, (line, ""))[0], f"client {name!r} has no {required}")
        number, address = found["jid"]
        resource: str | None = None
        try:
            parsed = parseJID(address)
            if not parsed.local:
                raise InvalidJID("it has no localpart")
            resource = parsed.resource or None
            if "resource" in found:
                number, text = found["resource"]
                if resource is not None:
                    raise self.error(number, "the jid names a resource already")
                resource = prepareResource(text)
        except InvalidJID as e:
            raise self.error(number, f"this cannot be the address of {name!r}: {e}") from None
        number, text = found.get("connect_port", (line, ""))
        if text and not (text.isascii() and text.isdigit() and 0 < int(text) < 65536):
            raise self.error(number, f"expected a port number, found {text!r}")
        return ClientDefinition(
            name,
            address,
            found["password"][1],
            resource,
            found.get("connect_host", (0, ""))[1] or None,
            int(text) if text else None,
            line,
        )

    def readAction(self, line: int, text: str) -> None:
        if text[0].isspace():
            raise self.error(line, "indented lines stand below 'NAME sends:' or 'NAME receives:' only")
        if _CLIENT.match(text):
            raise self.error(line, "clients are defined above the line of dashes")
        # Names may have blanks in them, and one may begin as another does: the longest is meant.
        for name in sorted(self.characters, key=len, reverse=True):
            if text.startswith(f"{name} "):
                break
        else:
            raise self.error(line, f"no client's name stands at the beginning of {text!r}")
        verb, colon, rest = text[len(name) + 1 :].partition(":")
        verb, rest = " ".join(verb.split()), rest.strip()
        if verb in ("connects", "disconnects") and not colon:
            self.actions.append(Connects(name, line) if verb == "connects" else Disconnects(name, line))
        elif (verb == "receives nothing" and not rest) or (verb == "receives" and rest == "nothing"):
            self.actions.append(ReceivesNothing(name, line))
        elif verb == "sends" and colon:
            self.actions.append(Sends(name, line, self.readMarkup(line, rest, False)))
        elif verb == "receives" and colon:
            self.actions.append(Receives(name, line, self.readMarkup(line, rest, True)))
        else:
            raise self.error(
                line,
                f"{name!r} can do 'connects', 'disconnects', 'sends:', 'receives:' and 'receives nothing', "
                f"not {text[len(name) + 1 :]!r}",
            )

    def readMarkup(self, line: int, first: str, received: bool) -> Markup:
        # Lines that are passed over stay as empty ones, so that line numbers keep counting.
        begin = line if first else 0
        lines = [first] if first else []
        for number, text in self.indented():
            begin = begin or number
            lines.extend([""] * (number - begin - len(lines)))
            lines.append(text)
        if not lines:
            raise self.error(line, "there is no XML below this line")
        markup = "\n".join(lines)
        uses = {match[1] for match in self.variables(begin, markup)}
        # Whatever the values will be, they are escaped: one letter stands for them here.
        stanzas = parseStanzas(self.source, begin, VARIABLE.sub("x", markup))
        if not stanzas:
            raise self.error(begin, "there is no stanza in this block")
        captures = self.captures(begin, markup, stanzas, received)
        self.captured |= captures
        numbers = [_lineOf(stanza, begin) for stanza in stanzas]
        return Markup(self.source, begin, markup, numbers, frozenset(uses & self.captured), captures)

    def variables(self, line: int, text: str) -> Iterator[re.Match[str]]:
        for match in VARIABLE.finditer(text):
            number = line + text.count("\n", 0, match.start())
            if not match[2]:
                raise self.error(number, "'${' without its '}'")
            if match[1] not in self.captured and not any(askedOf(name, match[1]) for name in self.characters):
                raise self.error(
                    number,
                    f"nothing is called {match[0]}: no client has such a property and no block above captures it",
                )
            yield match

    def captures(
        self, line: int, text: str, stanzas: Sequence[etree._Element], received: bool
    ) -> frozenset[str]:
        for match in _PLACEHOLDER.finditer(text):
            number = line + text.count("\n", 0, match.start())
            if not received:
                raise self.error(number, f"{match[0]} stands for what is received; it cannot be sent")
            if match[0] != ANY and capturedName(match[0]) is None:
                raise self.error(
                    number, f"{match[0]} is not known; there are {ANY} and {{scansion:capture:NAME}}"
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


def parse(text: str, source: str = "script") -> Script:
    """
    Read a script.

    @param source: its name, for messages.
    @raise ScriptError: for the first thing that is not understood.
    """
    return _Reader(text.removeprefix("\ufeff"), source).read()


def load(path: str) -> Script:
    """
    Read a script's file.

    @raise ScriptError: likewise.
    @raise OSError: if the file cannot be read.
    """
    with open(path, "rb") as file:
        data = file.read()
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as e:
        raise ScriptError(path, data.count(b"\n", 0, e.start) + 1, "this is no UTF-8") from None
    return parse(text, path)

# -*- test-case-name: tests.operations.transfer.ejabberd.test_terms -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Erlang terms as text, each ended by a period, as C{file:consult/1} reads them and C{io:format("~p.~n")} writes them
(Erlang Reference Manual, "Data Types"): read without executing anything.

Files are read as Latin-1, as that writes them. So bytes of a binary that happen to be printable stand as themselves.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeAlias, Union

from muccore.operations.transfer.pieces import IReadable, PieceParser, Unexpected, readPieces

Term: TypeAlias = Union["Atom", int, float, bytes, tuple["Term", ...], list["Term"], "ImproperList", dict[Any, "Term"]]
"""
A term: binaries are C{bytes}, and strings are lists of characters, as in Erlang. Atoms are never equal to other terms.
"""

DEPTH_LIMIT: Final = 200
"""The maximum depth of tuples, lists and maps."""


class Atom(str):
    """An atom."""

    __slots__ = ()


class ImproperList(tuple["Term", ...]):
    """C{[Element, ... | Tail]}, with the tail as its last element."""

    __slots__ = ()


TRUE: Final = Atom("true")
"""The atom C{true}."""

FALSE: Final = Atom("false")
"""The atom C{false}."""

UNDEFINED: Final = Atom("undefined")
"""The atom C{undefined}."""


def readTerms(file: IReadable) -> Iterator[Term]:
    """
    Read terms one after the other: a file of any size is read in pieces.

    @raise DataError: if there is anything else, such as a process identifier; what precedes it has been yielded.
    """
    return readPieces(file, _Parser)


_SPACE: Final = re.compile(rb"(?:[\x00-\x20]++|%[^\n]*+(?:\n|\Z))*+")
_ATOM: Final = re.compile(rb"[a-z\xdf-\xf6\xf8-\xff][A-Za-z0-9_@\xc0-\xd6\xd8-\xf6\xf8-\xff]*+")
_NUMBER: Final = re.compile(rb"([+-]?+)(?:([0-9]++)(?:(\.[0-9]++(?:[eE][+-]?+[0-9]++)?+)|\#([0-9A-Za-z]++))?+)")
_QUOTED: Final = {
    quote: re.compile(quote + rb"((?:[^" + quote + rb"\\]++|\\.)*+)" + quote, re.DOTALL) for quote in (b'"', b"'")
}
_PLAIN: Final = re.compile(rb"<<\"([^\"\\]*+)\">>")
_SPECIFIERS: Final = re.compile(rb"[ \t\r\n]*+(?::([0-9]++))?+[ \t\r\n]*+(?:/([a-z0-9-]++))?+")
_ESCAPE: Final = re.compile(
    rb"\\(?:([0-7]{1,3})|x([0-9A-Fa-f]{2})|x\{([0-9A-Fa-f]{1,6})\}|\^([\x40-\x7f])|(.))", re.DOTALL
)
_ESCAPED: Final = {
    "b": "\b", "d": "\x7f", "e": "\x1b", "f": "\f", "n": "\n", "r": "\r", "s": " ", "t": "\t", "v": "\v",
}  # fmt: skip


class _Parser(PieceParser[Term]):
    """A parser of what a buffer holds."""

    def hasMore(self, atEnd: bool) -> bool:
        """See L{PieceParser}."""
        start = self.offset
        if self._peek():
            return True
        if not atEnd and b"%" in self.data[start:]:
            # A comment may continue after the buffer.
            raise Unexpected("a term does not begin", start)
        return False

    def piece(self, atEnd: bool) -> Term:
        """Parse a term and its period, which space, a comment or the end of the file follows."""
        term = self._term(0)
        after = self.data[self.offset + 1 : self.offset + 2] if self._peek() == b"." else b"."
        if after not in b"\x00 \t\r\n\v\f%" or (not after and not atEnd):
            raise Unexpected("a term does not end", self.offset)
        self.offset += 1
        return term

    def _peek(self) -> bytes:
        """The next byte after space and comments; none at the end."""
        first = self.data[self.offset : self.offset + 1]
        if first <= b" " or first == b"%":
            found = _SPACE.match(self.data, self.offset)
            assert found is not None
            self.offset = found.end()
            first = self.data[self.offset : self.offset + 1]
        return first

    def _accept(self, mark: bytes) -> bool:
        """Pass a mark, if it is the next thing."""
        if self._peek() != mark[:1] or not self.data.startswith(mark, self.offset):
            return False
        self.offset += len(mark)
        return True

    def _expect(self, mark: bytes) -> None:
        if not self._accept(mark):
            raise Unexpected(f"there is no {mark.decode()}", self.offset)

    def _term(self, depth: int) -> Term:
        if depth > DEPTH_LIMIT:
            raise Unexpected("terms are too deep", self.offset)
        first = self._peek()
        start = self.offset
        if first == b"{":
            self.offset += 1
            return tuple(self._sequence(b"}", depth))
        if first == b"[":
            self.offset += 1
            return self._list(depth)
        if first == b'"':
            return [ord(character) for character in self._string(b'"')]
        if first == b"'":
            return Atom(self._string(b"'"))
        if first == b"<" and self._accept(b"<<"):
            plain = _PLAIN.match(self.data, start)
            if plain is not None:
                self.offset = plain.end()
                return plain.group(1)
            return self._binary(start)
        if first == b"#" and self._accept(b"#{"):
            return self._map(depth)
        name = _ATOM.match(self.data, start)
        if name is not None:
            self.offset = name.end()
            return Atom(name.group().decode("latin-1"))
        return self._number()

    def _sequence(self, end: bytes, depth: int) -> Iterator[Term]:
        """Parse terms with commas between them, up to a mark."""
        if self._accept(end):
            return
        yield self._term(depth + 1)
        while not self._accept(end):
            self._expect(b",")
            yield self._term(depth + 1)

    def _list(self, depth: int) -> Term:
        items: list[Term] = []
        if self._accept(b"]"):
            return items
        while True:
            items.append(self._term(depth + 1))
            if self._accept(b"]"):
                return items
            if self._accept(b"|"):
                tail = self._term(depth + 1)
                self._expect(b"]")
                return [*items, *tail] if isinstance(tail, list) else ImproperList((*items, tail))
            self._expect(b",")

    def _map(self, depth: int) -> Term:
        start = self.offset
        found: dict[Any, Term] = {}
        if self._accept(b"}"):
            return found
        while True:
            key = self._term(depth + 1)
            self._expect(b"=>")
            value = self._term(depth + 1)
            try:
                found[key] = value
            except TypeError:
                raise Unexpected("a key of a map is a list or a map", start) from None
            if self._accept(b"}"):
                return found
            self._expect(b",")

    def _binary(self, start: int) -> bytes:
        """Parse the segments of a binary: strings and bytes (Erlang Reference Manual, "Bit Syntax Expressions")."""
        parts: list[bytes] = []
        if self._accept(b">>"):
            return b""
        while True:
            if self._peek() == b'"':
                parts.append(self._stringSegment())
            else:
                value = self._number()
                if not isinstance(value, int) or not 0 <= value <= 255 or self._specifiers(start):
                    raise Unexpected("a binary has something else than strings and bytes", start)
                parts.append(bytes((value,)))
            if self._accept(b">>"):
                return b"".join(parts)
            self._expect(b",")

    def _stringSegment(self) -> bytes:
        start = self.offset
        content = self._quoted(b'"')
        specifiers = self._specifiers(start)
        try:
            if specifiers == b"utf8":
                return _unescape(content, start, _eitherEncoding).encode()
            if not specifiers:
                return _unescape(content, start, _latin1).encode("latin-1")
        except UnicodeEncodeError:
            pass
        raise Unexpected("a string is not valid in a binary", start)

    def _specifiers(self, start: int) -> bytes:
        """Parse size and type of a segment of a binary; return the type, if it is not the usual one."""
        found = _SPECIFIERS.match(self.data, self.offset)
        assert found is not None
        self.offset = found.end()
        if found.group(1) not in (None, b"8"):
            raise Unexpected("a binary has something else than strings and bytes", start)
        return found.group(2) or b""

    def _quoted(self, quote: bytes) -> bytes:
        found = _QUOTED[quote].match(self.data, self.offset)
        if found is None:
            raise Unexpected("a string or an atom does not end", self.offset)
        self.offset = found.end()
        return found.group(1)

    def _string(self, quote: bytes) -> str:
        start = self.offset
        return _unescape(self._quoted(quote), start, _latin1)

    def _number(self) -> int | float:
        self._peek()
        start = self.offset
        if self.data.startswith(b"$", start):
            return self._character()
        found = _NUMBER.match(self.data, start)
        if found is None:
            raise Unexpected("there is no term", start)
        sign, digits, fraction, inBase = found.groups()
        try:
            if len(found.group()) > 4000:
                raise ValueError
            if fraction:
                value: int | float = float(digits + fraction)
            elif inBase:
                if not 2 <= int(digits) <= 36:
                    raise ValueError
                value = int(inBase, int(digits))
            else:
                value = int(digits)
        except ValueError:
            raise Unexpected("a number is not valid", start) from None
        self.offset = found.end()
        return -value if sign == b"-" else value

    def _character(self) -> int:
        """Parse a character as its number."""
        start = self.offset
        escape = _ESCAPE.match(self.data, start + 1)
        if escape is not None:
            self.offset = escape.end()
            return ord(_unescape(escape.group(), start, _latin1))
        if start + 1 == len(self.data):
            raise Unexpected("there is no term", start)
        self.offset = start + 2
        return self.data[start + 1]


def _latin1(raw: bytes) -> str:
    return raw.decode("latin-1")


def _eitherEncoding(raw: bytes) -> str:
    """Decode what stands in a binary that is UTF-8: C{~tp} writes it so to a file in UTF-8, or else in Latin-1."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return _latin1(raw)


def _unescape(content: bytes, start: int, decode: Callable[[bytes], str]) -> str:
    """
    Resolve the escapes of a string.

    @param start: its offset.
    @param decode: for what is not escaped.
    """
    if b"\\" not in content:
        return decode(content)
    parts, done = [], 0
    for found in _ESCAPE.finditer(content):
        parts.append(decode(content[done : found.start()]))
        octal, two, braced, control, other = found.groups()
        try:
            if octal is not None:
                parts.append(chr(int(octal, 8)))
            elif control is not None:
                parts.append(chr(ord(control) & 31))
            elif other is not None:
                parts.append(_ESCAPED.get(_latin1(other), _latin1(other)))
            else:
                parts.append(chr(int(two or braced, 16)))
        except ValueError:
            raise Unexpected("an escape is no character", start) from None
        done = found.end()
    return "".join([*parts, decode(content[done:])])

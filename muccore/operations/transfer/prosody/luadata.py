# -*- test-case-name: tests.operations.transfer.prosody.test_luadata -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Data in the syntax of Lua (Lua 5.4 manual §3.1, §3.4.9), as Prosody keeps it in its files: read without executing
anything. There are tables, strings, numbers, booleans and nil, and no operators but those of Prosody's infinities.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias, Union

from muccore.operations.transfer.foreignelements import checkText
from muccore.operations.transfer.pieces import DataError, IReadable, PieceParser, Unexpected, readPieces

LuaValue: TypeAlias = Union[str, int, float, bool, "LuaTable", None]
"""
A value. A string is UTF-8; bytes that are not are surrogates (as C{os.fsdecode} makes them), so that nothing is lost.
"""

DEPTH_LIMIT: Final = 128
"""The maximum depth of tables; Prosody writes 127."""

FILE_LIMIT: Final = 64 * 2**20
"""The maximum size in bytes of a file that is read as a whole."""


@dataclass(slots=True, repr=False)
class LuaTable:
    """
    A table, by kinds of keys: C{1} and C{true} are different keys.

    @ivar values: of the keys 1, 2, 3 and so on, up to the first that is missing.
    @ivar named: by keys that are strings.
    @ivar numbers: by keys that are other numbers.
    @ivar flags: by keys that are booleans.
    """

    values: list[LuaValue] = field(default_factory=list)
    named: dict[str, LuaValue] = field(default_factory=dict)
    numbers: dict[int | float, LuaValue] = field(default_factory=dict)
    flags: dict[bool, LuaValue] = field(default_factory=dict)

    def text(self, name: str) -> str | None:
        """
        The string of this name; C{None} if there is none, or something else.

        @raise DataError: if it has characters that XML does not allow, or is no UTF-8.
        """
        value = self.named.get(name)
        return checkText(value) if isinstance(value, str) else None

    def number(self, name: str) -> int | float | None:
        """The number of this name; C{None} if there is none, or something else."""
        value = self.named.get(name)
        return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None

    def table(self, name: str) -> LuaTable | None:
        """The table of this name; C{None} if there is none, or something else."""
        value = self.named.get(name)
        return value if isinstance(value, LuaTable) else None


def parseDocument(data: bytes) -> LuaValue:
    """
    Parse C{return VALUE}.

    @raise DataError: if it is anything else.
    """
    if len(data) > FILE_LIMIT:
        raise DataError(f"it is larger than {FILE_LIMIT} bytes")
    parser = _Parser(data)
    try:
        return parser.document()
    except Unexpected as error:
        raise error.locate(data) from None


def readItems(file: IReadable) -> Iterator[LuaValue]:
    """
    Read the arguments of a list of calls C{item(VALUE);}, one after the other: a file of any size is read in pieces.

    @raise DataError: if there is anything else; what precedes it has been yielded.
    """
    return readPieces(file, _Parser)


_SPACE: Final = re.compile(rb"(?:[ \t\r\n\v\f]++|--\[(=*+)\[.*?\]\1\]|--(?!\[=*+\[)[^\n]*+)*+", re.DOTALL)
_BETWEEN: Final = re.compile(rb"[ \t\r\n\v\f;]*+")
_NAME: Final = re.compile(rb"[A-Za-z_][A-Za-z0-9_]*+")
_STRING: Final = re.compile(
    rb"\"([^\"\\\r\n]*+)\"|"
    rb"\"((?:[^\"\\\r\n]++|\\z[ \t\r\n\v\f]*+|\\\r\n|\\\n\r|\\.)*+)\"|"
    rb"'((?:[^'\\\r\n]++|\\z[ \t\r\n\v\f]*+|\\\r\n|\\\n\r|\\.)*+)'|"
    rb"\[(=*+)\[(?:\r\n|\n\r|[\r\n])?+(.*?)\]\4\]",
    re.DOTALL,
)
_ESCAPE: Final = re.compile(
    rb"\\(?:([0-9]{1,3})|x([0-9A-Fa-f]{2})|u\{([0-9A-Fa-f]{1,9})\}|z[ \t\r\n\v\f]*+|(\r\n|\n\r|.))", re.DOTALL
)
_ESCAPED: Final = {
    b"a": b"\a", b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v", b"\\": b"\\", b'"': b'"',
    b"'": b"'", b"\n": b"\n", b"\r": b"\n", b"\r\n": b"\n", b"\n\r": b"\n",
}  # fmt: skip
_LINE_BREAK: Final = re.compile(rb"\r\n|\n\r|\r")
_NUMBER: Final = re.compile(
    rb"(-?)[ \t]*+(?:0[xX]([0-9A-Fa-f]*+(?:\.[0-9A-Fa-f]*+)?+(?:[pP][+-]?+[0-9]++)?+)|"
    rb"([0-9]*+\.?+[0-9]*+(?:[eE][+-]?+[0-9]++)?+))(?![A-Za-z0-9_.])"
)
_NOT_FINITE: Final = re.compile(rb"\((-?[01])/0\)")
_FIELD: Final = re.compile(
    rb"[ \t\r\n]*+\[\"([^\"\\\r\n]*+)\"\][ \t]*+=[ \t]*+"
    rb"(?:(?:\"([^\"\\\r\n]*+)\"|(-?[0-9]{1,18})|(true|false))[ \t]*+;)?+"
)
"""A field with a plain name, and its value if that is as plain: what Prosody mostly writes, at once."""

_WORDS: Final[dict[bytes, bool | None]] = {b"true": True, b"false": False, b"nil": None}
_RESERVED: Final = frozenset(
    b"and break do else elseif end false for function goto if in local nil not or repeat return then true until "
    b"while".split()
)


class _Parser(PieceParser[LuaValue]):
    """A parser of what a buffer holds."""

    def hasMore(self, atEnd: bool) -> bool:
        """See L{PieceParser}; a comment may continue after the buffer."""
        passed = _BETWEEN.match(self.data, self.offset)
        assert passed is not None
        self.offset = passed.end()
        while self.data.startswith(b"--", self.offset):
            start = self.offset
            self._skip()
            if self.offset == start or (self.offset == len(self.data) and not atEnd):
                raise Unexpected("a comment does not end", start)
            passed = _BETWEEN.match(self.data, self.offset)
            assert passed is not None
            self.offset = passed.end()
        return self.offset < len(self.data)

    def piece(self, atEnd: bool) -> LuaValue:
        """Parse C{item(VALUE)}, where a table or a string needs no parentheses (§3.4.10)."""
        self._expectWord(b"item")
        if self._peek() in b"{\"'[":
            return self.value(0)
        self._expect(b"(")
        value = self.value(0)
        self._expect(b")")
        return value

    def document(self) -> LuaValue:
        """Parse C{return VALUE}."""
        self._expectWord(b"return")
        value = self.value(0)
        while self._peek() == b";":
            self.offset += 1
        if self._peek():
            raise Unexpected("there is something after the value", self.offset)
        return value

    def _expectWord(self, word: bytes) -> None:
        self._skip()
        found = _NAME.match(self.data, self.offset)
        if found is None or found.group() != word:
            raise Unexpected(f"there is no {word.decode()}", self.offset)
        self.offset = found.end()

    def value(self, depth: int) -> LuaValue:
        """Parse a value."""
        first = self._peek()
        start = self.offset
        if first == b"{":
            if depth == DEPTH_LIMIT:
                raise Unexpected("tables are too deep", start)
            return self._table(depth)
        if first in b"\"'[" and first:
            return self._string()
        name = _NAME.match(self.data, start)
        if name is not None:
            if name.group() not in _WORDS:
                raise Unexpected("there is a name instead of a value", start)
            self.offset = name.end()
            return _WORDS[name.group()]
        return self._number()

    def _skip(self) -> None:
        passed = _SPACE.match(self.data, self.offset)
        assert passed is not None
        self.offset = passed.end()

    def _peek(self) -> bytes:
        """The next byte after space and comments; none at the end."""
        data, offset = self.data, self.offset
        first = data[offset : offset + 1]
        if not first or first in b" \t\r\n\v\f-":
            self._skip()
            first = data[self.offset : self.offset + 1]
        return first

    def _expect(self, mark: bytes) -> None:
        if self._peek() != mark:
            raise Unexpected(f"there is no {mark.decode()}", self.offset)
        self.offset += 1

    def _table(self, depth: int) -> LuaTable:
        self.offset += 1
        table = LuaTable()
        values = table.values
        position, gaps = 0, False
        while True:
            start = self.offset
            field = _FIELD.match(self.data, start)
            if field is not None:
                if self._isPlain(table, field):
                    continue
                self._set(table, _text(field.group(1)), self.value(depth + 1), start)
            elif (first := self._peek()) == b"}":
                break
            elif first == b"[" and self.data[self.offset + 1 : self.offset + 2] not in (b"[", b"="):
                self.offset += 1
                key = self.value(depth + 1)
                self._expect(b"]")
                self._expect(b"=")
                self._set(table, key, self.value(depth + 1), start)
                gaps = gaps or not isinstance(key, str)
            elif (name := _NAME.match(self.data, self.offset)) is not None and name.group() not in _RESERVED:
                self.offset = name.end()
                self._expect(b"=")
                self._set(table, _text(name.group()), self.value(depth + 1), start)
            else:
                position += 1
                value = self.value(depth + 1)
                if value is not None and len(values) == position - 1:
                    values.append(value)
                elif value is not None:
                    table.numbers[position] = value
                    gaps = True
            following = self._peek()
            if following and following in b";,":
                self.offset += 1
            elif following != b"}":
                raise Unexpected("a table does not end", self.offset)
        self.offset += 1
        if gaps:
            _joinValues(table)
        return table

    def _isPlain(self, table: LuaTable, field: re.Match[bytes]) -> bool:
        """Pass a field, and put its value if it has a plain one; otherwise only its name is passed."""
        name, text, number, word = field.groups()
        self.offset = field.end()
        if text is not None:
            table.named[_text(name)] = _text(text)
        elif number is not None:
            table.named[_text(name)] = int(number)
        elif word is not None:
            table.named[_text(name)] = _WORDS[word]
        return self.data[self.offset - 1 : self.offset] == b";"

    def _set(self, table: LuaTable, key: LuaValue, value: LuaValue, start: int) -> None:
        if isinstance(key, str):
            kept: dict[Any, LuaValue] = table.named
        elif isinstance(key, bool):
            kept = table.flags
        elif isinstance(key, (int, float)) and not math.isnan(key):
            kept = table.numbers
        else:
            raise Unexpected("a key is no string, number or boolean", start)
        if value is None:
            kept.pop(key, None)
        else:
            kept[key] = value

    def _string(self) -> str:
        found = _STRING.match(self.data, self.offset)
        if found is None:
            raise Unexpected("a string does not end", self.offset)
        plain, double, single, _, bracketed = found.groups()
        if plain is not None:
            content = plain
        elif bracketed is not None:
            content = _LINE_BREAK.sub(b"\n", bracketed)
        else:
            try:
                content = _ESCAPE.sub(_unescape, double if double is not None else single)
            except ValueError as error:
                raise Unexpected(str(error), self.offset) from None
        self.offset = found.end()
        return _text(content)

    def _number(self) -> int | float:
        start = self.offset
        special = _NOT_FINITE.match(self.data, start)
        if special is not None:
            self.offset = special.end()
            return {b"1": math.inf, b"-1": -math.inf}.get(special.group(1), math.nan)
        found = _NUMBER.match(self.data, start)
        if found is None or found.end() == start:
            raise Unexpected("there is no value", start)
        sign, hexadecimal, decimal = found.groups()
        try:
            value = _hexadecimal(hexadecimal) if hexadecimal is not None else _decimal(decimal)
        except (ValueError, OverflowError):
            raise Unexpected("a number is not valid", start) from None
        self.offset = found.end()
        return -value if sign else value


def _joinValues(table: LuaTable) -> None:
    """Move numbered values that follow the list to its end."""
    while len(table.values) + 1 in table.numbers:
        table.values.append(table.numbers.pop(len(table.values) + 1))
    for key in [key for key in table.numbers if 1 <= key <= len(table.values) and key == int(key)]:
        # The value at a position has precedence over one that is set there explicitly.
        del table.numbers[key]


def _text(content: bytes) -> str:
    return content.decode("utf-8", "surrogateescape")


def _unescape(found: re.Match[bytes]) -> bytes:
    decimal, hexadecimal, point, other = found.groups()
    if decimal is not None:
        if int(decimal) > 255:
            raise ValueError("an escape is too large")
        return bytes((int(decimal),))
    if hexadecimal is not None:
        return bytes((int(hexadecimal, 16),))
    if point is not None:
        try:
            return chr(int(point, 16)).encode("utf-8", "surrogatepass")
        except (ValueError, OverflowError):
            raise ValueError("an escape is no character") from None
    if other is None:
        return b""
    if other not in _ESCAPED:
        raise ValueError("an escape is not known")
    return _ESCAPED[other]


def _decimal(digits: bytes) -> int | float:
    if len(digits) > 400:
        raise ValueError
    if digits.isdigit() and len(digits) <= 19 and int(digits) < 2**63:
        return int(digits)
    return float(digits)


def _hexadecimal(digits: bytes) -> int | float:
    if digits.isalnum() and not re.search(rb"[pP]", digits):
        # Larger ones wrap around (§3.1).
        value = int(digits, 16) % 2**64
        return value - 2**64 if value >= 2**63 else value
    return float.fromhex(digits.decode())

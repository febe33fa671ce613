# Copyright (c) The muccore authors. See LICENSE for details.
"""A writer of data in the syntax of Lua, for tests: values that Hypothesis makes, in any of the ways to write them."""

from __future__ import annotations

import math
import random
from typing import Any

from hypothesis import strategies as st

from muccore.operations.transfer.prosody.luadata import LuaTable, LuaValue

_SPACES = ("", "", "", " ", "\n\t", "--\n", "-- a comment ]]\r\n", "--[[ two\nlines ]]", "--[==[ ]] ]==]", "--[= \n")
_ESCAPES = {7: "\\a", 8: "\\b", 9: "\\t", 10: "\\n", 11: "\\v", 12: "\\f", 13: "\\r", 34: '\\"', 39: "\\'", 92: "\\\\"}

SCALARS = st.one_of(
    st.text(st.characters(codec="utf-8"), max_size=8),
    st.binary(max_size=4).map(lambda data: data.decode("utf-8", "surrogateescape")),
    st.integers(-(2**63) + 1, 2**63 - 1),
    st.floats(allow_nan=False),
    st.booleans(),
)
"""Values that are no tables."""


def table(values: Any, named: Any, numbers: Any, flags: Any) -> LuaTable:
    """A table without ambiguity: numbers do not continue the list."""
    kept = {key: value for key, value in numbers.items() if not 1 <= key <= len(values) + 1}
    return LuaTable(list(values), dict(named), kept, dict(flags))


VALUES: st.SearchStrategy[LuaValue] = st.recursive(
    SCALARS,
    lambda inner: st.builds(
        table,
        st.lists(inner, max_size=4),
        st.dictionaries(st.text(max_size=4), inner, max_size=4),
        st.dictionaries(st.integers(-5, 50) | st.floats(allow_nan=False), inner, max_size=2),
        st.dictionaries(st.booleans(), inner, max_size=2),
    ),
    max_leaves=12,
)
"""Any values."""


class LuaWriter:
    """Writes values in ways that a random number chooses."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def _choose(self, *choices: Any) -> Any:
        return self._random.choice(choices)

    def space(self) -> str:
        """Something between tokens."""
        return str(self._choose(*_SPACES))

    def write(self, value: LuaValue) -> bytes:
        """Write a value."""
        if isinstance(value, LuaTable):
            return self._table(value)
        if isinstance(value, str):
            return self._string(value.encode("utf-8", "surrogateescape"))
        if isinstance(value, bool):
            return str(value).lower().encode()
        return self._number(value).encode() if value is not None else b"nil"

    def _number(self, value: float) -> str:
        if isinstance(value, int):
            sign = "-" if value < 0 else ""
            return str(self._choose(f"{value}", f"{sign}{abs(value):#x}"))
        if math.isinf(value):
            return "(1/0)" if value > 0 else "(-1/0)"
        sign = "-" if math.copysign(1, value) < 0 else ""
        decimal = repr(value) if not value.is_integer() or "e" in repr(value) else f"{value:.1f}"
        return str(self._choose(decimal, f"{sign}{abs(value).hex()}"))

    def _string(self, content: bytes) -> bytes:
        style = self._choose("escaped", "quoted", "brackets")
        if style == "brackets" and b"]" not in content and b"\r" not in content:
            return b"[==[\n" + content + b"]==]"
        quote = self._choose(b'"', b"'")
        parts = [quote]
        for byte in content:
            escape = _ESCAPES.get(byte)
            if escape is not None:
                parts.append(self._choose(escape, f"\\{byte:03}", f"\\x{byte:02X}").encode())
            elif style == "escaped" or byte < 32:
                parts.append(f"\\{byte:03}".encode())
            else:
                parts.append(bytes((byte,)))
        parts.append(self._choose(b"", b"\\z \n\t"))
        return b"".join([*parts, quote])

    def _table(self, value: LuaTable) -> bytes:
        entries = [self.write(each) for each in value.values]
        keyed = [(self._key(key), item) for key, item in value.named.items()]
        keyed += [(b"[ " + self.write(key) + b"]", item) for key, item in value.numbers.items()]
        keyed += [(b"[ " + self.write(key) + b"]", item) for key, item in value.flags.items()]
        for key, item in keyed:
            at = self._random.randint(0, len(entries))
            entries.insert(at, key + self.space().encode() + b"=" + self.space().encode() + self.write(item))
        parts = [b"{"]
        for entry in entries:
            parts += [self.space().encode(), entry, self.space().encode(), self._choose(b";", b",")]
        if entries and self._choose(True, False):
            parts.pop()
        return b"".join([*parts, self.space().encode(), b"}"])

    def _key(self, key: str) -> bytes:
        if key.isascii() and key.isalpha() and len(key) == 1:
            return str(self._choose(key, f'["{key}"]')).encode()
        return b"[ " + self._string(key.encode("utf-8", "surrogateescape")) + b" ]"

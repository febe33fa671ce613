# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of C{muccore.operations.transfer.prosody.luadata}."""

from __future__ import annotations

import io
import math

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from muccore.operations.transfer import pieces
from muccore.operations.transfer.pieces import DataError
from muccore.operations.transfer.prosody import luadata
from muccore.operations.transfer.prosody.luadata import LuaTable, LuaValue, parseDocument, readItems
from tests.operations.transfer.prosody.luawriter import VALUES, LuaWriter


class DocumentTests(SynchronousTestCase):
    """Values after C{return}."""

    def parse(self, text: str | bytes) -> LuaValue:
        """Parse a value."""
        return parseDocument(b"return " + (text.encode() if isinstance(text, str) else text))

    def assertWrong(self, text: str | bytes) -> None:
        """Check that something is refused."""
        with self.assertRaises(DataError):
            self.parse(text)

    @settings(max_examples=150)
    @given(VALUES, st.integers(0))
    def test_anything(self, value: LuaValue, seed: int) -> None:
        """What is written in any way is read as it was; differences of kind count."""
        writer = LuaWriter(seed)
        text = f"return{writer.space()}\n".encode() + writer.write(value) + writer.space().encode()
        self.assertEqual(repr(_flat(parseDocument(text))), repr(_flat(value)))

    def test_prosody(self) -> None:
        """A file as Prosody 0.12 writes it."""
        table = self.parse(
            '{\n\t[false] = {\n\t\t["version"] = 6;\n\t\t["pending"] = {};\n\t};\n\t["juliet@localhost"] = {\n'
            '\t\t"caf\\195\\169";\n\t\t["groups"] = {\n\t\t\t["Friends"] = true;\n\t\t};\n\t};\n};\n'
        )
        juliet = LuaTable(["café"], {"groups": LuaTable(named={"Friends": True})})
        kept = LuaTable(named={"version": 6, "pending": LuaTable()})
        self.assertEqual(table, LuaTable(named={"juliet@localhost": juliet}, flags={False: kept}))

    def test_strings(self) -> None:
        """Escapes and long brackets (§3.1)."""
        for text, expected in (
            (r'"\a\b\f\n\r\t\v\\\"\'"', "\a\b\f\n\r\t\v\\\"'"),
            (r"'\65\066\x43\u{44}\u{1F319}'", "ABCD\U0001f319"),
            (r'"\0651"', "A1"),
            ('"a\\z  \n\t b"', "ab"),
            ('"a\\\nb\\\r\nc"', "a\nb\nc"),
            ("[[a\\n\r\nb]]", "a\\n\nb"),
            ("[==[\n]]]=]]==]", "]]]=]"),
            ("'it \"is\"'", 'it "is"'),
            (b'"\xc3\xa9\xff"', "é\udcff"),
            (r'"\255"', "\udcff"),
        ):
            self.assertEqual(self.parse(text), expected)
        for wrong in ('"a', '"a\nb"', r'"\300"', r'"\q"', r'"\u{110000}"', r'"\xG1"', "[[a", "[=[a]]", "\"a'", r'"a\"'):
            self.assertWrong(wrong)

    def test_numbers(self) -> None:
        """Numbers (§3.1), with those that Prosody writes as quotients."""
        for text, expected in (
            ("0", 0), ("-17", -17), ("3.", 3.0), (".5", 0.5), ("1e3", 1000.0), ("0x10", 16), ("0xA.8p1", 21.0),
            ("9223372036854775808", 2.0**63), ("0xffffffffffffffff", -1), ("(1/0)", math.inf), ("(-1/0)", -math.inf),
        ):  # fmt: skip
            found = self.parse(text)
            self.assertEqual((found, type(found)), (expected, type(expected)))
        undefined = self.parse("(0/0)")
        assert isinstance(undefined, float)
        self.assertTrue(math.isnan(undefined))
        for wrong in ("1x", "0x", "1.2.3", "--1", "(2/0)", "1e", ".", "-", "1" * 500):
            self.assertWrong(wrong)

    def test_keys(self) -> None:
        """Keys of several kinds are not mixed up; a value at a position has precedence, and nil is no value."""
        self.assertEqual(
            self.parse("{[1] = 'x', 'a', [true] = 't', [3] = 'c', [2.0] = 'b', [5] = 'e', ['1'] = 's', n = nil}"),
            LuaTable(["a", "b", "c"], {"1": "s"}, {5: "e"}, {True: "t"}),
        )
        text = '{["a"] = "x"; ["b"]=-5;["c"] = true;\n["d"] = 1.5; ["e"] = nil; ["f"] = {"y";}, ["g"] = "z", ["h"] = 7}'
        named = {"a": "x", "b": -5, "c": True, "d": 1.5, "f": LuaTable(["y"]), "g": "z", "h": 7}
        self.assertEqual(self.parse(text), LuaTable(named=named))
        self.assertEqual(self.parse("{nil, 'b'}"), LuaTable(numbers={2: "b"}))
        for wrong in (
            "{[nil] = 1}",
            "{[(0/0)] = 1}",
            "{[{}] = 1}",
            "{end = 1}",
            "{a = }",
            "{a 1}",
            "{1 2}",
            "{,}",
            '{["a"] = }',
            '{["a"] = 1 2}',
        ):
            self.assertWrong(wrong)

    def test_access(self) -> None:
        """Values of another kind are none; a string that is no text for XML is an error."""
        table = LuaTable(named={"a": "x", "b": 1, "c": True, "d": LuaTable(), "e": "\udcff", "f": "\0"})
        self.assertEqual([table.text(name) for name in "abcdg"], ["x", None, None, None, None])
        self.assertEqual([table.number(name) for name in "abcd"], [None, 1, None, None])
        self.assertEqual([table.table(name) for name in "abcd"], [None, None, None, LuaTable()])
        for name in "ef":
            with self.assertRaises(DataError):
                table.text(name)

    def test_code(self) -> None:
        """Nothing is executed: what is more than data is refused."""
        for wrong in (
            "os.execute('true')", "f{}", "(1)", "1 + 1", "{} .. {}", "function() end", "#x", "not true", "{f()}", "x",
            "...", "1 return 2", "{[f()] = 1}", "",
        ):  # fmt: skip
            self.assertWrong(wrong)
        for wrong in (b"x = 1 return x", b"local x = 1", b"return", b"", b"returnx", b"while true do end"):
            with self.assertRaises(DataError):
                parseDocument(wrong)

    def test_limits(self) -> None:
        """Depth and size are limited."""
        self.parse("{" * 128 + "}" * 128)
        self.assertWrong("{" * 129 + "}" * 129)
        self.assertWrong("{" * 100000)
        self.patch(luadata, "FILE_LIMIT", 100)
        self.assertWrong('"' + "x" * 100 + '"')

    def test_line(self) -> None:
        """What is wrong is told with its line, but not what it says."""
        with self.assertRaises(DataError) as caught:
            self.parse("{\n\n secret\n}")
        self.assertEqual(str(caught.exception), "there is no = in line 4")


class ItemsTests(SynchronousTestCase):
    """Lists of items."""

    def read(self, data: bytes) -> list[LuaValue]:
        """Read a file in small pieces."""
        self.patch(pieces, "_CHUNK", 7)
        return list(readItems(io.BytesIO(data)))

    @settings(max_examples=80)
    @given(st.lists(VALUES, max_size=4), st.integers(0))
    def test_anything(self, values: list[LuaValue], seed: int) -> None:
        """Items are read as they were written, wherever the parts of the file end."""
        writer = LuaWriter(seed)
        text = b"".join(
            f"{writer.space()}\nitem{writer.space()}(".encode() + writer.write(value) + f"{writer.space()})".encode()
            + (b"", b";", b";\n")[seed % 3]
            for value in values
        )  # fmt: skip
        self.assertEqual(repr([_flat(each) for each in self.read(text)]), repr([_flat(each) for each in values]))

    def test_forms(self) -> None:
        """Tables and strings need no parentheses; between items may be comments and what a failed write has left."""
        data = b"item{1};item 'a'-- item(2)\n   --[[\n\n item(3)]]item[[b]]\n\n      item(4)   "
        self.assertEqual(self.read(data), [LuaTable([1]), "a", "b", 4])
        self.assertEqual(self.read(b""), [])
        self.assertEqual(self.read(b"-- nothing"), [])

    def test_torn(self) -> None:
        """An item that was not written to its end is an error after those that precede it."""
        found = []
        with self.assertRaises(DataError) as caught:
            for item in readItems(io.BytesIO(b"item(1);\nitem(2);\nitem({\n'a")):
                found.append(item)
        self.assertEqual(found, [1, 2])
        self.assertEqual(str(caught.exception), "a string does not end in line 4")

    def test_wrong(self) -> None:
        """Other statements are refused."""
        for wrong in (b"return 1", b"item(1, 2)", b"item()", b"print('a')", b"item", b"item(1).x()", b"--[[ a"):
            with self.assertRaises(DataError):
                self.read(wrong)


def _flat(value: LuaValue) -> object:
    """A value in which only the order of keys does not matter."""
    if not isinstance(value, LuaTable):
        return value
    kinds: list[object] = [[_flat(each) for each in value.values]]
    for keyed in (value.named, value.numbers, value.flags):
        kinds.append(sorted((repr(key), _flat(item)) for key, item in keyed.items()))
    return kinds

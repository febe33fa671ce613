# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of C{muccore.operations.transfer.ejabberd.terms}."""

from __future__ import annotations

import io
import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from muccore.operations.transfer import pieces
from muccore.operations.transfer.ejabberd.terms import Atom, ImproperList, Term, readTerms
from muccore.operations.transfer.pieces import DataError

_SPACES = ("", "", "", " ", "\n  ", "% a comment }.\n")
_WORDS = ("true", "undefined", "muc_room", "a@b", "Not plain", "with 'quotes'", "a\\b", "", "é")

_SCALARS = st.one_of(
    st.sampled_from(_WORDS).map(Atom),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.binary(max_size=8),
    st.text(max_size=8).map(str.encode),
    st.text(max_size=3).map(lambda text: [ord(each) for each in text]),
)
TERMS: st.SearchStrategy[Any] = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4).map(tuple),
        st.lists(inner, max_size=4),
        st.dictionaries(st.binary(max_size=3) | st.integers(), inner, max_size=3),
    ),
    max_leaves=12,
)


class _Writer:
    """Writes terms in ways that a random number chooses."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def space(self) -> bytes:
        """Something between tokens."""
        return self._random.choice(_SPACES).encode()

    def write(self, term: Term) -> bytes:
        """Write a term, with space around it."""
        return self.space() + self._write(term) + self.space()

    def _write(self, term: Any) -> bytes:
        if isinstance(term, Atom):
            plain = term.isascii() and term[:1].islower() and term.replace("_", "a").replace("@", "a").isalnum()
            return term.encode() if plain else b"'" + self._escaped(term.encode("latin-1"), b"'") + b"'"
        if isinstance(term, bytes):
            return b"<<" + self.space() + self._binary(term) + b">>"
        if isinstance(term, tuple):
            return b"{" + b",".join(map(self.write, term)) + b"}"
        if isinstance(term, list):
            printable = term and all(isinstance(each, int) and 32 <= each < 127 for each in term)
            if printable and self._random.random() < 0.5:
                return b'"' + self._escaped(bytes(term), b'"') + b'"'
            return b"[" + (b",".join(map(self.write, term)) if term else self.space()) + b"]"
        if isinstance(term, dict):
            return b"#{" + b",".join(self.write(key) + b"=>" + self.write(term[key]) for key in term) + b"}"
        if isinstance(term, int) and self._random.random() < 0.2:
            return f"{'-' * (term < 0)}16#{abs(term):X}".encode()
        if isinstance(term, float):
            mantissa, _, exponent = repr(term).partition("e")
            point = "" if "." in mantissa else ".0"
            return f"{mantissa}{point}{'e' * bool(exponent)}{exponent}".encode()
        return str(term).encode()

    def _binary(self, content: bytes) -> bytes:
        style = self._random.randrange(4)
        try:
            text = content.decode()
        except UnicodeDecodeError:
            text = ""
        if style == 0 and text:
            return b'"' + self._escaped(content, b'"') + b'"/utf8'
        if style == 1 and text:
            return b'"' + "".join(f"\\x{{{ord(each):x}}}" for each in text).encode() + b'"/utf8'
        if style == 2 and content:
            return b'"' + self._escaped(content, b'"') + b'"'
        return b",".join(f"{byte}".encode() for byte in content)

    def _escaped(self, content: bytes, quote: bytes) -> bytes:
        return content.replace(b"\\", b"\\\\").replace(quote, b"\\" + quote).replace(b"\n", b"\\n")


class TermsTests(SynchronousTestCase):
    """Files with terms."""

    def read(self, data: bytes) -> list[Term]:
        """Read a file in small pieces."""
        self.patch(pieces, "_CHUNK", 7)
        return list(readTerms(io.BytesIO(data)))

    @settings(max_examples=150)
    @given(st.lists(TERMS, max_size=3), st.integers(0))
    def test_anything(self, terms: list[Term], seed: int) -> None:
        """Terms are read as they were written, in any way and wherever the parts of the file end."""
        writer = _Writer(seed)
        data = b"".join(writer.write(each) + b"." + (b"\n", b" % {\n", b"\t")[seed % 3] for each in terms)
        self.assertEqual(repr(self.read(data)), repr(terms))

    def test_ejabberd(self) -> None:
        """Lines as ejabberd 23.01 writes them."""
        data = (
            b'{muc_room,{<<"orchard">>,<<"conference.localhost">>},\n          [{subject,[{text,<<>>,\n'
            b"                           <<87,226,152,186>>}]},\n           {max_users,200},\n"
            b"           {vcard_xupdate,undefined},\n           "
            b'{affiliations,[{{<<"t">>,<<>>},{outcast,<<"\xc3\xbc">>}}]}]}.\n'
        )
        room, key, options = Atom("muc_room"), (b"orchard", b"conference.localhost"), [
            (Atom("subject"), [(Atom("text"), b"", "W\N{WHITE SMILING FACE}".encode())]),
            (Atom("max_users"), 200),
            (Atom("vcard_xupdate"), Atom("undefined")),
            (Atom("affiliations"), [((b"t", b""), (Atom("outcast"), "ü".encode()))]),
        ]  # fmt: skip
        self.assertEqual(self.read(data), [(room, key, options)])

    def test_forms(self) -> None:
        """Other ways to write something."""
        for text, expected in (
            (rb'"a\n\x41\x{263A}\101\s\^a\q"', [97, 10, 65, 0x263A, 65, 32, 1, 113]),
            (b"[$a, $\\n, $ , $\\x{263A}]", [97, 10, 32, 0x263A]),
            (b"[1|[2, 3]]", [1, 2, 3]),
            (b"[1|a]", ImproperList((1, Atom("a")))),
            (b'<<"a", 10, "b">>', b"a\nb"),
            (b'<<"a", 7:8>>', b"a\x07"),
            ('<<"é\\x{263A}"/utf8>>'.encode(), "é\u263a".encode()),
            ('<<"é"/utf8>>'.encode("latin-1"), "é".encode()),
            (b'<<"\xe9\\351">>', b"\xe9\xe9"),
            (b"'Any \\' atom'", Atom("Any ' atom")),
            (b"2.5e-3", 0.0025), (b"-16#fF", -255), (b"+7", 7), (b"{}", ()), (b"#{}", {}),
        ):  # fmt: skip
            [found] = self.read(text + b".")
            self.assertEqual((found, type(found)), (expected, type(expected)))
        self.assertEqual(self.read(b"a.%\nb. % c"), ["a", "b"])
        self.assertEqual(self.read(b"% nothing"), [])

    def test_wrong(self) -> None:
        """What is no data, or is not well formed, is refused."""
        for wrong in (
            b"<0.1.0>.", b"#Ref<0.1.2>.", b"f().", b"X.", b"1 + 1.", b"fun() -> 1 end.", b"#r{a=1}.", b"a", b"{a.",
            b"[a,].", b"{,}.", b'"a.', b"'a.", b"1.5", b"a.b.", b"a b.", b'<<"\\x{263A}">>.', b"<<256>>.", b"<<a>>.",
            b"<<1:16>>.", b'<<"\\x{D800}"/utf8>>.', b"37#1.", b"2#3.", b"[1|2,3].", b"#{a}.", b"#{[] => 1}.", b"$",
            b'"\\x{110000}".', b".", b"1" * 5000 + b".",
        ):  # fmt: skip
            with self.assertRaises(DataError):
                self.read(wrong)

    def test_depth(self) -> None:
        """Depth is limited."""
        self.read(b"{" * 200 + b"}" * 200 + b".")
        for mark in (b"{", b"[", b"#{1=>"):
            with self.assertRaises(DataError):
                self.read(mark * 10000)

    def test_kinds(self) -> None:
        """Atoms, binaries and strings are never equal."""
        found = self.read(b'true. <<"true">>. "true". \'true\'.')
        self.assertEqual([found[0] == each for each in found], [True, False, False, True])

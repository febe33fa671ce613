# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of C{muccore.operations.transfer.ejabberd.values}."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from muccore.operations.transfer.ejabberd.values import addressOf, elementOf, textOf, timeOf
from muccore.operations.transfer.pieces import DataError
from muccore.xmpp.jid import InvalidJID
from muccore.xmpp.rendering import render
from tests.operations.transfer.ejabberd.tablefiles import term


class ValueTests(SynchronousTestCase):
    """What terms stand for."""

    def test_texts(self) -> None:
        """Binaries are text in UTF-8; some atoms stand for none."""
        for text, expected in (('<<"a">>', "a"), ("<<195,169>>", "é"), ("undefined", ""), ("none", ""), ("<<>>", "")):
            self.assertEqual(textOf(term(text)), expected)
        for wrong in ("<<255>>", "a", '"a"', "1"):
            with self.assertRaises(DataError):
                textOf(term(wrong))

    def test_addresses(self) -> None:
        """Addresses are prepared; that of a domain has no user."""
        for text, expected in (
            ('{<<"Romeo">>,<<"montague.lit">>}', "romeo@montague.lit"),
            ('{<<"romeo">>,<<"montague.lit">>,<<"x">>}', "romeo@montague.lit/x"),
            ('{<<>>,<<"montague.lit">>,<<>>}', "montague.lit"),
            ('{jid,<<"R">>,<<"M.lit">>,<<>>,<<"r">>,<<"m.lit">>,<<>>}', "r@m.lit"),
        ):
            self.assertEqual(addressOf(term(text)).full, expected)
        for wrong in ("{}", '<<"a@b">>', "{1,2}", '{jid,<<"a">>,<<"b">>}'):
            with self.assertRaises((DataError, InvalidJID)):
                addressOf(term(wrong))

    def test_times(self) -> None:
        """Times are those of C{erlang:timestamp/0}."""
        self.assertEqual(timeOf(term("{1796,26094,660195}")), 1_796_026_094_660_195)
        for wrong in ("{1,2}", "17", "{-1,0,0}", "{1.0,2,3}", "{100000000,0,0}"):
            with self.assertRaises(DataError):
                timeOf(term(wrong))

    def test_elements(self) -> None:
        """Elements have namespaces, attributes and text."""
        text = (
            '{xmlel,<<"message">>,[{<<"xmlns">>,<<"jabber:client">>},{<<"xml:lang">>,<<"en">>}],'
            '[{xmlcdata,<<"a<">>},{xmlel,<<"x">>,[{<<"xmlns">>,<<"urn:x">>},{<<"xmlns:y">>,<<"urn:y">>},'
            '{<<"y:z">>,<<"1">>}],[{xmlel,<<"b">>,[],[]}]}]}'
        )
        self.assertEqual(
            render(elementOf(term(text))),
            b"<message xml:lang='en'>a&lt;<x xmlns='urn:x' xmlns:a6='urn:y' a6:z='1'><b/></x></message>",
        )

    def test_noElements(self) -> None:
        """What is no element is refused."""
        deep = '{xmlel,<<"x">>,[],[]}'
        for _ in range(70):
            deep = f'{{xmlel,<<"x">>,[],[{deep}]}}'
        for wrong in (
            "{}", "x", '{xmlel,<<"x">>,[]}', '{xmlel,<<"a b">>,[],[]}', '{xmlel,x,[],[]}', '{xmlel,<<"x">>,[a],[]}',
            '{xmlel,<<"x">>,[],[a]}', '{xmlel,<<"x">>,{},[]}', '{xmlel,<<"x">>,[],[{xmlcdata,<<0>>}]}', deep,
        ):  # fmt: skip
            with self.assertRaises(DataError):
                elementOf(term(wrong))

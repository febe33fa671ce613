# Copyright (c) The muccore authors. See LICENSE for details.
"""Files with tables of ejabberd, for tests."""

from __future__ import annotations

import io
import os

from twisted.trial.unittest import SynchronousTestCase

from muccore.operations.transfer.ejabberd.terms import Term, readTerms

TABLES = "{tables,[{muc_room,[{record_name,muc_room},{attributes,[name_host,opts]}]}]}.\n"
"""What a file begins with."""


def term(text: str) -> Term:
    """Parse a term."""
    [found] = readTerms(io.BytesIO(text.encode() + b"."))
    return found


def row(text: str) -> tuple[Term, ...]:
    """Parse a row."""
    found = term(text)
    assert isinstance(found, tuple)
    return found


def write(test: SynchronousTestCase, *rows: str) -> str:
    """Write a file with rows, and return its path."""
    path = os.path.abspath(test.mktemp())
    with open(path, "w", encoding="utf-8") as file:
        file.write(TABLES + "".join(f"{each}.\n" for each in rows))
    return path


def address(user: str, host: str) -> str:
    """An account, room or the like."""
    return f'{{<<"{user}">>,<<"{host}">>}}'


def archived(
    archive: str, packet: str, id: str = "1", nick: str = "<<>>", type: str = "chat", time: str = "{1,2,3}"
) -> str:
    """A row of an archive; the peer is C{romeo@montague.lit/x}."""
    peer = '{<<"romeo">>,<<"montague.lit">>,<<"x">>},{<<"romeo">>,<<"montague.lit">>,<<>>}'
    return f'{{archive_msg,\n    {archive},\n    <<"{id}">>,{time},{peer},\n    {packet},\n    {nick},{type}}}'


def message(body: str, **attributes: str) -> str:
    """A message as it is stored."""
    pairs = {"xmlns": "jabber:client", **attributes}
    listed = ",".join(f'{{<<"{key}">>,<<"{value}">>}}' for key, value in pairs.items())
    return f'{{xmlel,<<"message">>,[{listed}],[{{xmlel,<<"body">>,[],[{{xmlcdata,<<"{body}">>}}]}}]}}'

# -*- test-case-name: tests.operations.transfer.prosody.test_archives -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Stored messages of Prosody: elements with a key and a time."""

from __future__ import annotations

import math
from typing import Final

from muccore.operations.transfer.foreignmessages import StoredMessage
from muccore.operations.transfer.pieces import DataError
from muccore.operations.transfer.prosody.luadata import LuaTable, LuaValue
from muccore.operations.transfer.prosody.stanzas import elementOf
from muccore.xmpp.archivequeries import MICROSECONDS
from muccore.xmpp.datetimes import parseStamp

_LAST: Final = 253402300800
"""The end of the year 9999, in seconds since the epoch."""


def stored(value: LuaValue, number: int) -> StoredMessage:
    """
    Read a message.

    @param number: its number, by which Prosody refers to items without a key, as its version 0.9 had them.
    @raise DataError: if it is none.
    """
    element = elementOf(value)
    assert isinstance(value, LuaTable), "it is an element"
    # Stanzas have no such attributes.
    stamped = element.attributes.pop("stamp", "")
    element.attributes.pop("stamp_legacy", None)
    when = value.number("when")
    try:
        seconds = parseStamp(stamped) if when is None else when
    except ValueError:
        raise DataError("its time is not known") from None
    if not (math.isfinite(seconds) and 0 <= seconds < _LAST):
        raise DataError("its time is not known")
    return StoredMessage(element, round(seconds * MICROSECONDS), value.text("key") or str(number))

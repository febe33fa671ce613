# -*- test-case-name: tests.operations.transfer.ejabberd.test_archives -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Archived messages of ejabberd: rows of its table C{archive_msg}."""

from __future__ import annotations

from typing import Final

from muccore.im.archivepreferences import ALWAYS, NEVER, ROSTER, ArchivePreferences
from muccore.interfaces import ArchiveItem
from muccore.operations.transfer.ejabberd.terms import Atom, Term
from muccore.operations.transfer.ejabberd.values import addressOf, elementOf, textOf, timeOf
from muccore.operations.transfer.foreignmessages import StoredMessage, accountItem, roomItem
from muccore.operations.transfer.pieces import DataError
from muccore.xmpp.jid import JID

_FIELDS: Final = 9
_GROUPCHAT: Final = "groupchat"
_DEFAULTS: Final = {"always": ALWAYS, "never": NEVER, "roster": ROSTER}


def archiveItem(row: tuple[Term, ...], archive: JID) -> ArchiveItem | None:
    """
    Make an item of a row.

    @param archive: whose archive it is.
    @return: C{None} if it is no part of an archive of ours.
    @raise DataError: if it is something else.
    @raise InvalidJID: if an address is invalid.
    """
    if len(row) != _FIELDS:
        raise DataError("it is no row of this table")
    _, _, id, time, peer, _, packet, nick, type = row
    found = StoredMessage(elementOf(packet), timeOf(time), textOf(id))
    if not found.id:
        raise DataError("it has no id")
    if type != _GROUPCHAT:
        return accountItem(found, archive)
    # It is as the occupant has sent it.
    found.author = addressOf(peer).bare
    found.element.attributes["from"] = archive.withResource(textOf(nick)).full
    return roomItem(found, archive)


def preferencesOf(row: tuple[Term, ...]) -> tuple[str, ArchivePreferences]:
    """
    An account, and what it wants to have archived: a row of C{archive_prefs}.

    @raise DataError: if it is something else.
    @raise InvalidJID: if an address is invalid.
    """
    if len(row) != 5 or not isinstance(row[2], Atom) or row[2] not in _DEFAULTS:
        raise DataError("what is to be archived is not known")
    never = _addresses(row[4])
    preferences = ArchivePreferences(_DEFAULTS[str(row[2])], _addresses(row[3]) - never, never)
    return addressOf(row[1]).bare, preferences


def _addresses(term: Term) -> frozenset[str]:
    if not isinstance(term, list):
        raise DataError("what is to be archived is not known")
    return frozenset(addressOf(each).full for each in term)

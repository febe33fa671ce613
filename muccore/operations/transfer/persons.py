# -*- test-case-name: tests.operations.transfer.test_persons -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
C{muccorectl export-user}: everything that belongs to a person, in one document of XEP-0227: the account, if there is
one here, and what rooms have of them.
"""

from __future__ import annotations

import argparse
import json
import os
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Any, Final

from muccore.config.plugins import globalReactor
from muccore.config.schema import Settings
from muccore.interfaces import AuditEntry, AuditQuery, IAuditStore, RoomRecord
from muccore.muc.model.personalrows import isOf
from muccore.operations.newfile import newFile
from muccore.operations.progress import Progress
from muccore.operations.refused import Refused
from muccore.operations.transfer.documentnodes import affiliationNode, data, messageNode, subjectNode
from muccore.operations.transfer.documentwriter import DocumentWriter
from muccore.operations.transfer.exporting import lines
from muccore.operations.transfer.openstores import checkReadable, opened
from muccore.operations.transfer.records import Problem, User
from muccore.operations.transfer.storereader import StoreReader, archived
from muccore.server.stores import ServerStores
from muccore.stream.sasl.tokens import KIND as TOKENS
from muccore.xmpp import ns
from muccore.xmpp.archivequeries import stampOf
from muccore.xmpp.jid import InvalidJID, parse

NAME: Final = "export-user"
HELP: Final = "write everything that belongs to a person to a file: the account, and what rooms have of them"

_ENTRIES: Final = 500


def addArguments(parser: argparse.ArgumentParser) -> None:
    """Declare its arguments."""
    parser.add_argument("user", metavar="JID", help="the address of the person, of this server or another")
    parser.add_argument("file", metavar="FILE", help="the file to write, which only its owner can read")
    parser.add_argument("--force", action="store_true", help="replace FILE if it exists")


def personIn(text: str) -> str:
    """
    The bare JID that is named.

    @raise Refused: if it is no address of a user.
    """
    try:
        address = parse(text)
    except InvalidJID as e:
        raise Refused(f"{text!r} is no address: {e}") from None
    if not address.local:
        raise Refused(f"{text}: write the whole address, as in juliet@example.org")
    return address.bare


@dataclass
class _Found:
    """What was found."""

    rooms: int = 0
    messages: int = 0
    entries: int = 0
    problems: Counter[Problem] = field(default_factory=Counter)


async def exportPerson(settings: Settings, options: argparse.Namespace, beside: bool) -> list[str]:
    """
    Write the document.

    @param beside: whether the server runs.
    @return: what was found, and a line for each problem.
    @raise Refused: if nothing was found, or the file cannot be written.
    @raise StoreError: if a store cannot be read.
    """
    checkReadable(settings)
    person, path = personIn(options.user), os.path.abspath(options.file)
    stores = ServerStores(settings, globalReactor())
    async with opened(stores, beside, audit=True):
        reader = StoreReader(stores, settings)
        isHere = person in await reader.users()
        with newFile(path, options.force) as file:
            writer, found = DocumentWriter(file), _Found()
            await _writeAccount(writer, reader, person, isHere, found)
            await _writeRooms(writer, stores, person, found)
            if stores.audit is not None:
                await _writeEntries(writer, stores.audit, person, found)
            writer.finish()
            if not (isHere or found.rooms or found.entries):
                raise Refused(f"{person}: there is no such account, and nothing of it in rooms")
    account = "an account" if isHere else "no account"
    told = f"{account}, {found.rooms} rooms with {found.messages} messages, {found.entries} entries of audit trails"
    return [f"{path}: {told}", *lines(found.problems)]


async def _writeAccount(writer: DocumentWriter, reader: StoreReader, person: str, isHere: bool, found: _Found) -> None:
    if not isHere:
        writer.write(User(account=person))
        return
    user, problems = await reader.user(person)
    # What somebody could log in with is left out: the document is for the person, and may go a long way.
    documents = {place: content for place, content in user.documents.items() if place[0] != TOKENS}
    found.problems.update([*problems, *writer.write(replace(user, keys=(), documents=documents))])
    async for part in reader.nodes(person):
        found.problems.update(writer.write(part))
    async for messages in reader.messages(person):
        found.problems.update(writer.write(messages))


async def _writeRooms(writer: DocumentWriter, stores: ServerStores, person: str, found: _Found) -> None:
    names = [name async for name in _roomNames(stores)]
    with Progress(NAME, len(names), "rooms") as progress:
        for number, name in enumerate(names):
            record = await stores.rooms.load(name)
            nodes = [] if record is None else _roomNodes(name, record, person)
            messages = None if stores.archive is None else archived(stores.archive, name, author=person)
            first = None if messages is None else await anext(messages, None)
            if nodes or first is not None:
                found.rooms += 1
                with writer.within("room", ns.MUCCORE_DATA, jid=name):
                    writer.append(*nodes)
                    while messages is not None and first is not None:
                        writer.append(*_messageNodes(name, first.items, found))
                        first = await anext(messages, None)
            progress.advance(number + 1)


async def _roomNames(stores: ServerStores) -> AsyncIterator[str]:
    last = ""
    while names := await stores.rooms.names(last, _ENTRIES):
        for last in names:
            yield last


def _roomNodes(name: str, record: RoomRecord, person: str) -> list[Any]:
    """What a room has of a person, but for messages."""
    nodes = []
    affiliate = record.affiliates.get(person)
    if affiliate is not None:
        nodes.append(affiliationNode(person, affiliate))
    if record.subject is not None and record.subject.author == person:
        nodes.append(subjectNode(name, record.subject))
    if record.creator == person:
        nodes.append(data("creator", "", jid=person))
    for extension, rows in sorted(record.states.items()):
        for key, value in sorted(rows.items()):
            if isOf(person, key):
                nodes.append(data("state", json.dumps(value), extension=extension, key=key))
    return nodes


def _messageNodes(room: str, items: Any, found: _Found) -> list[Any]:
    nodes = []
    for item in items:
        try:
            nodes.append(messageNode(item, True))
        except ValueError as e:
            found.problems[Problem(room, "a message", f"it cannot be written as XML: {e}")] += 1
    found.messages += len(nodes)
    return nodes


async def _writeEntries(writer: DocumentWriter, audit: IAuditStore, person: str, found: _Found) -> None:
    before: int | None = None
    while True:
        page = await audit.query(AuditQuery(who=person, before=before, limit=_ENTRIES))
        writer.append(*map(_entryNode, page.entries))
        found.entries += len(page.entries)
        if page.complete or not page.entries:
            return
        before = page.entries[-1].id


def _entryNode(entry: AuditEntry) -> Any:
    """An entry of an audit trail, which the person made or is the target of."""
    values = {"room": entry.room, "stamp": stampOf(entry.time), "kind": entry.kind, "actor": entry.actor,
              "target": entry.target, "reason": entry.reason}  # fmt: skip
    details = json.dumps(dict(entry.details), sort_keys=True) if entry.details else ""
    return data("act", details, **{name: value for name, value in values.items() if value})

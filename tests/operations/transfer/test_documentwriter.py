# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of C{muccore.operations.transfer.documentwriter}, and of the way there and back."""

from __future__ import annotations

import io
import os
import tempfile
from typing import Any

from hypothesis import Phase, given, settings
from twisted.internet import reactor
from twisted.trial.unittest import SynchronousTestCase, TestCase

from muccore.config.load import load
from muccore.operations.transfer.documentsource import DocumentSource
from muccore.operations.transfer.documentwriter import DocumentWriter
from muccore.operations.transfer.openstores import opened
from muccore.operations.transfer.records import Messages, Problem, Room, User
from muccore.server.stores import ServerStores
from tests.configuration import ConfigurationFile
from tests.operations.transfer.strategies import RECORDS
from tests.operations.transfer.transferstores import (
    JULIET,
    MemoryStores,
    exported,
    now,
    postgresqlPlace,
    put,
    sample,
    userItem,
)
from tests.storage.postgres import missing


def recordsIn(document: bytes) -> list[Any]:
    """The records of a document."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(document)
        file.flush()
        return list(DocumentSource(file.name).records())


def written(*records: Any) -> tuple[str, list[str]]:
    """The document of records, and the problems."""
    file = io.BytesIO()
    writer = DocumentWriter(file)
    problems = [str(problem) for record in records for problem in writer.write(record)]
    writer.finish()
    return file.getvalue().decode(), problems


class RoundTripTests(SynchronousTestCase):
    """From stores into a document, into other stores, and into another document."""

    def setUp(self) -> None:
        """Write a configuration."""
        self.path = ConfigurationFile(self, storage={"archive": "memory:"}).path

    @settings(max_examples=25, phases=[Phase.explicit, Phase.reuse, Phase.generate])
    @given(RECORDS)
    def test_same(self, records: list[Any]) -> None:
        """The second document is the first one, whatever accounts and rooms have."""
        configuration = load(self.path)
        first, second = MemoryStores(), MemoryStores()
        given = now(put(records, first, configuration))
        self.assertEqual(dict(given.problems), {})
        document = now(exported(first, configuration))
        came = recordsIn(document)
        self.assertEqual([each for each in came if isinstance(each, Problem)], [])
        self.assertEqual(now(put(came, second, configuration)), given)
        self.assertEqual(now(exported(second, configuration)), document)
        for one, other in zip(_content(first), _content(second), strict=True):
            for name, content in one.items():
                self.assertEqual(content, other[name])


def _content(stores: MemoryStores) -> list[dict[str, Any]]:
    """What is in stores, but for what differs by nature."""
    rosters = {account: {jid: item for jid, (_, item) in found.rows.items()}
               for account, found in stores.rosters._rosters.items()}  # fmt: skip
    archives = {name: [(item, item.stanza.head + item.stanza.tail) for item in found.items.values()]
                for name, found in stores.archive._archives.items()}  # fmt: skip
    nodes = {(service, name): (found.content, list(found.items.values()))
             for service, each in stores.pubSub._services.items() for name, found in each.items()}  # fmt: skip
    return [nodes, stores.accounts._keys, stores.userData._documents, stores.rooms._rooms, rosters, archives,
            stores.rooms._preferences]  # fmt: skip


class BackendTests(TestCase):
    """The same through databases."""

    async def through(self, **storage: str) -> None:
        """The document of the sample comes back from some stores."""
        configuration = load(ConfigurationFile(self, storage={"archive": "memory:"}).path)
        expected = MemoryStores()
        await put(sample(), expected, configuration)
        document = await exported(expected, configuration)
        backend = storage.pop("backend")
        files = ConfigurationFile(self, auth={"backend": backend}, storage=storage)
        if os.path.isabs(backend):
            os.makedirs(files.folder, exist_ok=True)
        other = load(files.path)
        stores = ServerStores(other, reactor)
        async with opened(stores, False):
            summary = await put(recordsIn(document), stores, other)
            self.assertEqual((summary.users, summary.rooms, summary.messages), (2, 2, 5))
            self.assertEqual(dict(summary.problems), {})
        stores = ServerStores(other, reactor)
        async with opened(stores, False):
            self.assertEqual(await exported(stores, other), document)

    async def test_sqlite(self) -> None:
        """SQLite."""
        await self.through(backend="sqlite:accounts.db", affiliations="sqlite:rooms.db", archive="sqlite:archive.db")

    async def test_postgresql(self) -> None:
        """PostgreSQL, with the archive in SQLite."""
        place = postgresqlPlace(self)
        await self.through(backend=place, affiliations=place, archive="sqlite:archive.db")

    test_postgresql.skip = missing()  # type: ignore[attr-defined]


class WriterTests(SynchronousTestCase):
    """Documents."""

    def test_empty(self) -> None:
        """A document without anything is one."""
        text, _ = written()
        self.assertTrue(text.startswith("<?xml version='1.0' encoding='utf-8'?>\n"), text)
        self.assertEqual(recordsIn(text.encode()), [])

    def test_hosts(self) -> None:
        """What is of one host, and comes together, is in one element; a record that follows adds to the first."""
        text, _ = written(
            User(account="a@x.lit"), User(account="b@x.lit"), Room(room="r@y.lit"), User(account="a@x.lit"),
            User(account="a@x.lit", disabled=True),
        )  # fmt: skip
        self.assertEqual((text.count("<host "), text.count("<user ")), (3, 3))

    def test_namespaces(self) -> None:
        """No prefixes are made up, which other programs might not expect."""
        records = sample()
        text, _ = written(*records)
        self.assertNotIn("xmlns:ns", text)
        self.assertIn('<offline-messages xmlns="urn:xmpp:pie:0"><message xmlns="jabber:client"', text)

    def test_impossible(self) -> None:
        """What cannot be in XML is a problem; the rest is written."""
        bad = userItem("b\0", "")
        text, problems = written(
            User(account=JULIET), Messages(JULIET, (userItem("a", ""), bad, userItem("c", ""))),
            User(account="bad@localhost", documents={("k", "\1"): b""}),
            Messages("bad@localhost", (userItem("d", ""),)), User(account="other@localhost"),
        )  # fmt: skip
        self.assertEqual(len(problems), 2)
        found = [each for each in recordsIn(text.encode()) if isinstance(each, (User, Messages))]
        self.assertEqual([each.account for each in found if isinstance(each, User)], [JULIET, "other@localhost"])
        self.assertEqual([item.id for each in found if isinstance(each, Messages) for item in each.items], ["a", "c"])

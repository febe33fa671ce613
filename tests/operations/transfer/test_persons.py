# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of C{muccorectl export-user}."""

from __future__ import annotations

import os
import stat
from typing import Any

from lxml import etree
from twisted.internet.defer import succeed

from muccore.interfaces import AuditEntry, RoomChange
from muccore.operations.transfer.documentsource import DocumentSource
from muccore.operations.transfer.records import Messages, NodeItems, User
from muccore.xmpp import ns
from tests.operations.transfer.commandtestcase import TransferCommandTestCase
from tests.operations.transfer.transferstores import CAVE, JULIET, NOON, ROMEO, now, roomItem, sample


class ExportUserTests(TransferCommandTestCase):
    """The command."""

    def setUp(self) -> None:
        """Fill the stores."""
        super().setUp()
        self.fill(sample())
        now(self.stores.userData.change(JULIET, {("fast", "client"): b"a token"}))
        rows: dict[tuple[str, str], Any] = {("hats-assigned", f"{ROMEO} urn:hat"): True}
        now(self.stores.rooms.change(CAVE, RoomChange(states=rows)))
        entries = [AuditEntry(CAVE, "i", NOON + n, "ban", JULIET, ROMEO, "villain <&>", {"a": "b"}) for n in range(600)]
        now(self.stores.audit.append([*entries, AuditEntry(CAVE, "i", NOON, "ban", JULIET, "other@x.lit")]))

    def document(self) -> Any:
        """The document as it is."""
        return etree.parse(self.path).getroot()

    def rooms(self) -> list[Any]:
        """What it has of rooms."""
        return self.document().findall(f".//{{{ns.MUCCORE_DATA}}}room")

    def test_account(self) -> None:
        """The account comes with everything but what one could log in with, and what rooms have of it."""
        lines = self.succeed("export-user", "Juliet@localhost", self.path)
        told = "an account, 2 rooms with 2 messages, 601 entries of audit trails"
        self.assertEqual(lines, [f"{self.path}: {told}"])
        self.assertEqual(stat.S_IMODE(os.stat(self.path).st_mode), 0o600)
        records = list(DocumentSource(self.path).records())
        user = records[0]
        assert isinstance(user, User)
        messages = next(each for each in records if isinstance(each, Messages))
        nodes = [(each.node, len(each.items)) for each in records if isinstance(each, NodeItems)]
        self.assertEqual(nodes, [("notes <&>", 2), ("urn:xmpp:avatar:data", 1)])
        self.assertEqual((user.account, user.keys, len(user.roster), len(user.offline)), (JULIET, (), 4, 2))
        self.assertNotIn(("fast", "client"), user.documents)
        self.assertEqual([item.id for item in messages.items], ["a", "b"])
        cave, heath = self.rooms()
        self.assertEqual((cave.get("jid"), heath.get("jid")), (CAVE, "heath@conference.localhost"))
        self.assertEqual([etree.QName(child).localname for child in cave],
                         ["item", "message", "creator", "result", "result"])  # fmt: skip
        self.assertEqual(cave[0].get("affiliation"), "owner")
        self.assertEqual([child.get("id") for child in cave[3:]], ["r1", "r2"])
        acts = self.document().findall(f".//{{{ns.MUCCORE_DATA}}}act")
        self.assertEqual((len(acts), acts[0].get("kind"), acts[0].get("target")), (601, "ban", "other@x.lit"))

    def test_stranger(self) -> None:
        """A user of another server is what rooms have of them."""
        item = roomItem("r9", "by Romeo", NOON + 9, "romeo", ROMEO)
        now(self.stores.archive.append(CAVE, [item] + [roomItem(f"s{n}", "", NOON, "r", ROMEO) for n in range(300)]))
        lines = self.succeed("export-user", f"{ROMEO}/orchard", self.path)
        told = "no account, 1 rooms with 301 messages, 600 entries of audit trails"
        self.assertEqual(lines, [f"{self.path}: {told}"])
        (cave,) = self.rooms()
        item, state = cave[:2]
        self.assertEqual((item.get("affiliation"), item.get("nick")), ("member", "Third \"Witch\" 'of' Ⅲ"))
        self.assertEqual((state.get("extension"), state.text), ("hats-assigned", "true"))
        act = self.document().find(f".//{{{ns.MUCCORE_DATA}}}act")
        self.assertEqual((act.get("reason"), act.text), ("villain <&>", '{"a": "b"}'))

    def test_nobody(self) -> None:
        """Of whom nothing is known, no file is written; what is no address is refused."""
        self.assertRefusal("there is no such account", "export-user", "nobody@localhost", self.path)
        self.assertRefusal("write the whole address", "export-user", "juliet", self.path)
        self.assertRefusal("is no address", "export-user", "@", self.path)
        self.assertFalse(os.path.exists(self.path))

    def test_existing(self) -> None:
        """A file is replaced only if that is wanted."""
        self.succeed("export-user", JULIET, self.path)
        self.assertRefusal("it exists", "export-user", JULIET, self.path)
        self.succeed("export-user", JULIET, self.path, "--force")

    def test_beside(self) -> None:
        """While the server runs, archives are only read."""
        opened: list[str] = []
        self.patch(self.stores.archive, "openReading", lambda: succeed(opened.append("openReading")))
        with self.serverRunning():
            self.succeed("export-user", JULIET, self.path)
        self.assertEqual(opened, ["openReading"])

# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of C{muccorectl purge-user} while no server runs."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import succeed

from muccore.im.accountrecords import AccountRecords
from muccore.interfaces import ArchiveQuery, RoomChange
from tests.operations.transfer.commandtestcase import TransferCommandTestCase
from tests.operations.transfer.transferstores import CAVE, JULIET, NOON, ROMEO, now, roomItem, sample


class PurgeUserTests(TransferCommandTestCase):
    """The command, for accounts of this server."""

    def setUp(self) -> None:
        """Fill the stores."""
        super().setUp()
        self.fill(sample())
        rows: dict[tuple[str, str], Any] = {
            ("hats-assigned", f"{JULIET} urn:hat"): True, ("hats-assigned", f"{ROMEO} urn:hat"): True,
            ("timed-mutes", JULIET): [None, True, None],
        }  # fmt: skip
        now(self.stores.rooms.change(CAVE, RoomChange(states=rows)))
        items = [roomItem(f"s{n}", "words", NOON + 9) for n in range(400)]
        now(self.stores.archive.append(CAVE, [*items, roomItem("last", "words", NOON + 9, "romeo", ROMEO)]))
        # It is not open then.
        self.patch(self.stores.archive, "deleteUnopened", lambda name: succeed(self.deleted.append(name)))
        self.deleted: list[str] = []

    def archive(self, **query: Any) -> list[tuple[str, bool]]:
        """The messages of the room."""
        page = now(self.stores.archive.query(CAVE, ArchiveQuery(limit=999, **query)))
        return [(item.id, item.retracted) for item in page.items]

    def test_account(self) -> None:
        """The account goes, with what it has; rooms lose what is about it, but for sanctions; messages stay."""
        lines = self.succeed("purge-user", "Juliet@localhost")
        self.assertEqual(lines, [f"{JULIET}: deleted; contacts and rooms are told when the server starts",
                                 f"{JULIET}: removed from 2 rooms"])  # fmt: skip
        self.assertEqual(now(self.stores.accounts.users()), ["nurse@localhost"])
        self.assertEqual(now(self.stores.userData.kinds(JULIET)), [])
        self.assertEqual(self.deleted, [JULIET])
        removal = now(AccountRecords(self.stores.userData, "localhost").removal("juliet"))
        self.assertFalse(removal.credentials)
        record = now(self.stores.rooms.load(CAVE))
        self.assertEqual(record.states["hats-assigned"], {f"{ROMEO} urn:hat": True})
        self.assertIn("timed-mutes", record.states)
        self.assertEqual(len(self.archive(author=JULIET)), 402)

    def test_size(self) -> None:
        """The size of the room follows."""
        before = now(self.stores.rooms.load(CAVE)).size
        self.succeed("purge-user", JULIET)
        self.assertEqual(now(self.stores.rooms.load(CAVE)).size, before - 32 - len(f"{JULIET} urn:hat") - 4)

    def test_retracted(self) -> None:
        """Messages are replaced by tombstones: nothing of what they say is left, nor can it be found."""
        lines = self.succeed("purge-user", JULIET, "--messages", "retract")
        self.assertEqual(lines[1], f"{JULIET}: removed from 2 rooms; 401 messages retracted")
        self.assertEqual({retracted for _, retracted in self.archive(author=JULIET)}, {True})
        self.assertEqual(self.archive(text="words"), [("last", False)])
        item = now(self.stores.archive.get(CAVE, "s5"))
        self.assertNotIn(b"words", item.stanza.tail)
        self.assertIn(b"<retracted", item.stanza.tail)

    def test_removed(self) -> None:
        """Or nothing of them is left at all."""
        lines = self.succeed("purge-user", JULIET, "--messages", "remove")
        self.assertEqual(lines[1], f"{JULIET}: removed from 2 rooms; 402 messages removed")
        self.assertEqual(self.archive(), [("r3", False), ("last", False)])

    def test_again(self) -> None:
        """It can be done again, also after the account is gone."""
        self.succeed("purge-user", JULIET)
        lines = self.succeed("purge-user", JULIET, "--messages", "remove")
        self.assertEqual(lines, [f"{JULIET}: removed from 2 rooms; 402 messages removed"])

    def test_unknown(self) -> None:
        """If it cannot be known whether the server runs, nothing is removed."""
        self.files.configure(storage={"affiliations": "memory:"})
        self.assertRefusal("set [server] control_socket", "purge-user", JULIET)

    def test_refused(self) -> None:
        """What rooms have of users of other servers is removed by the running server; addresses have to be whole."""
        self.assertRefusal("start the server first", "purge-user", ROMEO)
        self.assertRefusal("write the whole address", "purge-user", "juliet")

# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of C{muccore.operations.transfer.storewriter}."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from muccore.config.load import load
from muccore.im.accountrecords import AccountRecords
from muccore.interfaces import Affiliate, ArchiveQuery, RosterItem, StoreUnavailable, Subject
from muccore.operations.transfer import archivemerge
from muccore.operations.transfer.records import Messages, OfflineMessage, Problem, Room, User
from muccore.operations.transfer.storewriter import MERGE, SKIP, StoreWriter
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from tests.configuration import ConfigurationFile
from tests.operations.transfer.transferstores import (
    CAVE,
    JULIET,
    NOON,
    ROMEO,
    MemoryStores,
    exported,
    keysOf,
    message,
    now,
    put,
    roomItem,
    sample,
    settings,
    userItem,
)


class StoreWriterTestCase(SynchronousTestCase):
    """Stores in memory."""

    def setUp(self) -> None:
        """Make the stores."""
        self.settings = load(ConfigurationFile(self, storage={"archive": "memory:"}).path)
        self.stores = MemoryStores()

    def put(self, *records: Any, existing: str = SKIP, **how: Any) -> Any:
        """Write records; return the summary."""
        return now(put(records, self.stores, self.settings, existing, **how))

    def problems(self, *records: Any, **how: Any) -> list[str]:
        """The problems of records, as text."""
        return sorted(map(str, self.put(*records, **how).problems))

    def archive(self, name: str = JULIET, **query: Any) -> list[str]:
        """The ids in an archive."""
        page = now(self.stores.archive.query(name, ArchiveQuery(**query)))
        return [item.id for item in page.items]


class NewTests(StoreWriterTestCase):
    """Accounts and rooms that did not exist."""

    def test_all(self) -> None:
        """Everything comes; what is retracted is so here, and words find the rest."""
        summary = self.put(*sample())
        self.assertEqual((summary.users, summary.rooms, summary.messages, summary.existing), (2, 2, 5, []))
        self.assertEqual(dict(summary.problems), {})
        self.assertTrue(now(self.stores.accounts.checkPassword(JULIET, "r0m30")))
        self.assertEqual(now(AccountRecords(self.stores.userData, "localhost").disabled()), ["juliet"])
        self.assertEqual(now(self.stores.rooms.preferences("invitations")), {JULIET: True})
        page = now(self.stores.archive.query(CAVE, ArchiveQuery()))
        self.assertEqual([item.retracted for item in page.items], [False, True, False])
        self.assertEqual(self.archive(CAVE, text="brinded cat"), ["r1"])
        self.assertEqual(self.archive(CAVE, author=JULIET), ["r1", "r2"])
        record = now(self.stores.rooms.load(CAVE))
        self.assertEqual((record.name, record.public, record.temporary), ("The Cave <&>", False, False))
        self.assertGreater(record.size, 1000)
        self.assertEqual(record.states["vcard"]["hashes"], [hashlib.sha1(b"heart").hexdigest()])

    def test_partsThatFollow(self) -> None:
        """A record of the same account or room after its messages adds to it."""
        self.put(
            User(account=JULIET), Messages(JULIET, (userItem("a", "1"),)),
            User(account=JULIET, keys=keysOf("r0m30", "SHA-1"), roster={ROMEO: RosterItem()}),
            Messages(JULIET, (userItem("b", "2"),)),
            Room(room=CAVE, affiliates={JULIET: Affiliate("owner")}), Messages(CAVE, (roomItem("a", "1"),)),
            Room(room=CAVE, settings=settings(), affiliates={ROMEO: Affiliate("member")}),
        )  # fmt: skip
        self.assertEqual(self.archive(), ["a", "b"])
        self.assertTrue(now(self.stores.accounts.checkPassword(JULIET, "r0m30")))
        self.assertIn(ROMEO, now(self.stores.rosters.load(JULIET)).rows)
        self.assertEqual(list(now(self.stores.rooms.load(CAVE)).affiliates), [JULIET, ROMEO])
        self.assertEqual(now(self.stores.rooms.load(CAVE)).name, "The Cave <&>")

    def test_password(self) -> None:
        """A password makes keys for all hashes; without one, or with one that cannot be used, nobody can log in."""
        self.assertEqual(self.problems(User(account=JULIET, password="r0m30", keys=keysOf("x", "SHA-1"))), [])
        self.assertTrue(now(self.stores.accounts.checkPassword(JULIET, "r0m30")))
        self.assertIn("is not known", self.problems(User(account="a@localhost"))[0])
        self.assertIn("not allowed", self.problems(User(account="b@localhost", password="\0"))[0])
        self.assertEqual(len(now(self.stores.accounts.users())), 3)
        self.assertEqual(self.stores.accounts.missingHashes, frozenset())

    def test_elsewhere(self) -> None:
        """What belongs to no host of this server does not come, nor the messages of it."""
        found = self.problems(
            User(account=ROMEO), Messages(ROMEO, (userItem("a", "1"),)), Room(room="cave@montague.lit"),
            Messages("cave@montague.lit", (roomItem("a", "1"),)),
        )  # fmt: skip
        self.assertEqual(found, [
            "cave@montague.lit: all of it: the rooms of this server are at conference.localhost",
            f"{ROMEO}: all of it: the accounts of this server are at localhost",
        ])  # fmt: skip
        self.assertEqual(now(self.stores.archive.names("", 5)), [])

    def test_leftovers(self) -> None:
        """A new account has nothing of what an earlier one of its name has left, nor has a room."""
        self.put(User(account=JULIET, password="1"))
        now(self.stores.accounts.delete(JULIET))
        now(self.stores.userData.change(JULIET, {("k", "a"): b"old"}))
        now(self.stores.archive.append(JULIET, [userItem("old", "old")]))
        now(self.stores.archive.append(CAVE, [roomItem("old", "old")]))
        self.put(User(account=JULIET, password="2"), Room(room=CAVE), Messages(CAVE, (roomItem("a", "1"),)))
        self.assertEqual((self.archive(), self.archive(CAVE)), ([], ["a"]))
        self.assertEqual(now(self.stores.userData.kinds(JULIET)), [])

    def test_beingRemoved(self) -> None:
        """An account of a name that is being removed does not come; one that was removed is no longer reserved."""
        records = AccountRecords(self.stores.userData, "localhost")
        now(records.beginRemoval("juliet", 2**40))
        self.assertIn("is being removed", self.problems(User(account=JULIET, password="1"))[0])
        now(records.endRemoval("juliet"))
        self.assertEqual(self.problems(User(account=JULIET, password="1")), [])
        self.assertFalse(now(records.isReserved("juliet", 0)))

    def test_impossibleStates(self) -> None:
        """A contact is in a state of RFC 6121, whatever another server has kept."""
        request = b"<presence type='subscribe'/>"
        roster = {f"{ask}{kind}@x": RosterItem("", (), kind, ask, request=request)
                  for kind in ("none", "to", "from", "both") for ask in (False, True)}  # fmt: skip
        self.put(User(account=JULIET, roster=roster))
        found = {jid: item for jid, (_, item) in now(self.stores.rosters.load(JULIET)).rows.items()}
        self.assertEqual({jid for jid, item in found.items() if item.ask}, {"Truenone@x", "Truefrom@x"})
        asking = {jid for jid, item in found.items() if item.request}
        self.assertEqual(asking, {f"{ask}{kind}@x" for kind in ("none", "to") for ask in (False, True)})

    def test_offlineOrder(self) -> None:
        """Offline messages keep their order, also those of one moment."""
        waiting = [OfflineMessage(NOON, message(str(n), from_=ROMEO, to=JULIET)) for n in range(20)]
        self.put(User(account=JULIET, offline=(*waiting[:10], *waiting[:1], *waiting[10:])))
        keys = now(self.stores.userData.keys(JULIET, "offline"))
        bodies = [now(self.stores.userData.get(JULIET, "offline", key)) for key in keys]
        self.assertEqual(len(bodies), 21)
        self.assertIn(b"<body>19</body>", bodies[-1])

    def test_badRoom(self) -> None:
        """A room without owner comes with a warning, a vCard that is none does not, nor do settings that are none."""
        vCard = Element((ns.VCARD_TEMP, "vCard"))
        vCard.add("PHOTO").add("BINVAL", text="!")
        found = self.problems(Room(room=CAVE, vCard=vCard))
        self.assertEqual(len(found), 2, found)
        self.assertIn("an owner", found[0])
        self.assertIn("the vCard", found[1])
        self.assertIn("cannot be understood", self.problems(Room(room=f"x{CAVE}", settings={"contacts": 5}))[-1])

    def test_noArchive(self) -> None:
        """Without an archive that is said, once for what comes at once."""
        self.stores.archive = None
        found = self.problems(*sample())
        self.assertEqual(len(found), 2)
        self.assertIn("no archive is configured", found[0])

    def test_twiceInOneArchive(self) -> None:
        """A message that comes twice is there once."""
        self.put(User(account=JULIET), Messages(JULIET, (userItem("a", "1"), userItem("a", "1"), userItem("b", "2"))))
        self.assertEqual(self.archive(), ["a", "b"])


class DryRunTests(StoreWriterTestCase):
    """What would come."""

    def test_nothingChanges(self) -> None:
        """The summary is the same, and nothing has changed."""
        real = MemoryStores()
        tried = self.put(*sample(), dryRun=True)
        done = now(put(sample(), real, self.settings))
        self.assertEqual(tried, done)
        self.assertEqual(now(exported(self.stores, self.settings)), now(exported(MemoryStores(), self.settings)))
        self.assertEqual(now(self.stores.archive.names("", 5)), [])
        self.assertEqual(now(self.stores.userData.accounts("", 5)), [])

    def test_problems(self) -> None:
        """Problems are found as well."""
        records = [User(account="a@localhost"), User(account=ROMEO), Room(room=CAVE)]
        self.assertEqual(self.problems(*records, dryRun=True), self.problems(*records))


class ExistingTests(StoreWriterTestCase):
    """Accounts and rooms that exist."""

    def setUp(self) -> None:
        """Write the sample."""
        super().setUp()
        self.put(*sample())
        self.before = now(exported(self.stores, self.settings))

    def assertUnchanged(self) -> None:
        """Nothing has changed."""
        self.assertEqual(now(exported(self.stores, self.settings)), self.before)

    def test_skipped(self) -> None:
        """They are left out, with their messages, and told."""
        summary = self.put(
            User(account=JULIET, roster={"new@x": RosterItem()}), Messages(JULIET, (userItem("z", "z", NOON + 9),)),
            Room(room=CAVE, affiliates={"new@x": Affiliate("owner")}), Messages(CAVE, (roomItem("z", "z", NOON + 9),)),
        )  # fmt: skip
        self.assertEqual((summary.existing, summary.messages), ([JULIET, CAVE], 0))
        self.assertUnchanged()

    def test_sameAgain(self) -> None:
        """To merge what is there already changes nothing."""
        summary = self.put(*sample(), existing=MERGE)
        self.assertEqual((summary.users, summary.rooms, summary.messages), (0, 0, 0))
        self.assertEqual(len(summary.existing), 4)
        self.assertEqual(dict(summary.problems), {})
        self.assertUnchanged()

    def test_mergedAccount(self) -> None:
        """What an account does not have is added; what it has stays, its password and its vCard."""
        other = Element((ns.VCARD_TEMP, "vCard"))
        other.add("FN", text="Somebody else")
        self.put(
            User(
                account=JULIET, password="other", vCard=other, blocked=frozenset(["new.lit"]),
                roster={ROMEO: RosterItem("R"), "new@x": RosterItem("New")}, preferences={"other": 1, "new": 2},
                offline=(OfflineMessage(NOON, message("3", from_=ROMEO, to=JULIET)),),
            ),
            Messages(JULIET, (userItem("b", "Bye", NOON + 1), userItem("c", "New", NOON - 5))),
            existing=MERGE,
        )  # fmt: skip
        self.assertTrue(now(self.stores.accounts.checkPassword(JULIET, "r0m30")))
        rows = now(self.stores.rosters.load(JULIET)).rows
        self.assertEqual((rows[ROMEO][1].name, rows["new@x"][1].name), ("Romeo", "New"))
        self.assertIn(b"Juliet", now(self.stores.userData.get(JULIET, "vcard", "xml")))
        self.assertIn("new.lit", now(self.stores.userData.keys(JULIET, "blocked")))
        self.assertEqual(len(now(self.stores.userData.keys(JULIET, "offline"))), 3)
        self.assertEqual(now(self.stores.rooms.preferences("new")), {JULIET: 2})
        self.assertNotEqual(now(self.stores.rooms.preferences("other")), {JULIET: 1})
        # What follows the last message there is appended, whatever its time is.
        self.assertEqual(self.archive(), ["a", "b", "c"])

    def test_noTokens(self) -> None:
        """A file brings no tokens to log in with to an account that was there; to a new one it does."""
        documents = {("fast", "client"): b"a token", ("other", "k"): b"x"}
        self.put(User(account=JULIET, documents=documents), existing=MERGE)
        self.assertEqual(now(self.stores.userData.keys(JULIET, "fast")), [])
        self.assertEqual(now(self.stores.userData.get(JULIET, "other", "k")), b"x")
        self.put(User(account="new@localhost", password="1", documents=documents))
        self.assertEqual(now(self.stores.userData.keys("new@localhost", "fast")), ["client"])

    def test_mergedArchive(self) -> None:
        """If the last message there does not come, later ones are appended, and earlier ones are a problem."""
        items = [userItem("c", "", NOON - 1), userItem("a", ""), userItem("d", "", NOON + 2), userItem("e", "", NOON)]
        found = self.problems(User(account=JULIET), Messages(JULIET, tuple(items)), existing=MERGE)
        self.assertEqual(self.archive(), ["a", "b", "d"])
        self.assertEqual(len(found), 1)
        self.assertIn("2 messages in the archive", found[0])

    def test_mergedRoom(self) -> None:
        """What a room does not have is added; its settings, subject and entries stay."""
        before = now(self.stores.rooms.load(CAVE))
        room = Room(
            room=CAVE, settings=settings(name="Other"), subject=Subject("Other", "x", 1.0),
            affiliates={ROMEO: Affiliate("outcast"), "new@x": Affiliate("member", None, "r")},
            states={"hats": {"a": 1, "n": 2}, "new": {"k": []}},
        )  # fmt: skip
        self.put(room, existing=MERGE)
        after = now(self.stores.rooms.load(CAVE))
        self.assertEqual(after.affiliates, {**before.affiliates, "new@x": Affiliate("member", None, "r")})
        self.assertEqual((after.settings, after.subject), (before.settings, before.subject))
        self.assertEqual(after.states["hats"], {"a": {"b": "ä"}, "n": 2})
        self.assertEqual(after.states["new"], {"k": []})
        grown = 32 + len("new@x") + 1 + 32 + 1 + 1 + 32 + 1 + 2
        self.assertEqual(after.size, before.size + grown)
        self.assertEqual(json.dumps(after.settings), json.dumps(before.settings))


class InterruptedTests(StoreWriterTestCase):
    """A process that is killed."""

    def test_everyMoment(self) -> None:
        """Wherever it ends, the same again, without what exists, completes it."""
        now(put(sample(), complete := MemoryStores(), self.settings))
        expected = now(exported(complete, self.settings))
        for moment in range(200):
            self.stores = MemoryStores()
            left = [moment]
            for store in (self.stores.accounts, self.stores.rooms, self.stores.rosters, self.stores.userData,
                          self.stores.archive):  # fmt: skip
                _limit(store, left)
            writer = StoreWriter(self.stores, self.settings, SKIP)
            try:
                for record in sample():
                    now(writer.write(record))
                now(writer.finish())
            except StoreUnavailable:
                left[0] = 10**9
                self.assertEqual(self.problems(*sample()), [])
                self.assertEqual(now(exported(self.stores, self.settings)), expected, f"after {moment} writes")
            else:
                self.assertGreater(moment, 10)
                return
        self.fail("it does not end")


_WRITES = ("_add", "delete", "save", "setPreference", "change", "removeAccount", "append", "retract")


def _limit(store: Any, left: list[int]) -> None:
    """Let a store fail after some writes."""

    def limited(write: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            left[0] -= 1
            if left[0] < 0:
                raise StoreUnavailable("killed")
            return write(*args, **kwargs)

        return call

    for name in _WRITES:
        if hasattr(store, name):
            setattr(store, name, limited(getattr(store, name)))


class LargeTests(StoreWriterTestCase):
    """Archives that are larger than what a store takes at once."""

    def test_waits(self) -> None:
        """What is being written is bounded."""
        self.patch(archivemerge, "SIZE_AT_ONCE", 3000)
        waiting: list[Any] = []
        most = []

        def append(name: str, items: Any) -> Any:
            answer: Deferred[None] = Deferred()
            waiting.append(answer)
            most.append(len(waiting))
            return answer

        self.patch(self.stores.archive, "append", append)
        merge = archivemerge.ArchiveMerge(self.stores.archive, JULIET, exists=False, dryRun=False)

        async def write() -> int:
            for number in range(50):
                await merge.append([userItem(str(number), "x" * 500)])
            count, problems = await merge.finish()
            self.assertEqual(problems, [])
            return count

        writing = Deferred.fromCoroutine(write())
        while waiting:
            waiting.pop(0).callback(None)
        self.assertEqual(self.successResultOf(writing), 50)
        self.assertTrue(2 < max(most) < 6, most)


class UnlistedTests(StoreWriterTestCase):
    """Records that do not belong together."""

    def test_strangeMessages(self) -> None:
        """Messages that do not follow their account are left out."""
        records = sample()
        messages = next(each for each in records if isinstance(each, Messages))
        self.put(records[0], replace(messages, archive=CAVE))
        self.assertEqual(self.archive(CAVE), [])
        self.assertEqual(Problem("a", "b", "c"), Problem("a", "b", "c"))

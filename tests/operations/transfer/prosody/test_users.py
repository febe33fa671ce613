# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of C{muccore.operations.transfer.prosody.users}."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from muccore.im.archivepreferences import ArchivePreferences
from muccore.interfaces import RosterItem
from muccore.operations.transfer.prosody.users import HostUsers
from muccore.operations.transfer.records import Messages, NodeItems, Problem, Record, User, UserNode
from muccore.xmpp.rendering import render
from muccore.xmpp.scramkeys import ScramKeys
from tests.operations.transfer.prosody.datafolder import WrittenFolder, archived, element, problems, stored, user


class UserTests(SynchronousTestCase):
    """Romeo's account, and others."""

    def setUp(self) -> None:
        """Romeo has a password."""
        self.folder = WrittenFolder(self)
        self.put("accounts", '{["password"] = "secret"}')

    def put(self, store: str, content: str, name: str = "romeo", ending: str = ".dat") -> None:
        """Write a file."""
        self.folder.put(f"montague.lit/{store}/{name}{ending}", content)

    def records(self) -> list[Record]:
        """All records of the host."""
        return list(HostUsers(self.folder, "montague.lit").records())

    def romeo(self) -> User:
        """Romeo's, without any problem."""
        records = self.records()
        self.assertEqual(problems(records), [])
        return user(records)

    def test_password(self) -> None:
        """A plain password comes; without anything else there is nothing else."""
        self.assertEqual(self.romeo(), User(account="romeo@montague.lit", password="secret"))

    def test_keys(self) -> None:
        """Keys come, of any hash; a salt is bytes."""
        for hash in ("SHA-1", "SHA-256"):
            keys = ScramKeys.derive(hash, "secret", b"\xff\x00salt", 4096)
            self.put(
                "accounts",
                f'{{["stored_key"] = "{keys.storedKey.hex()}", ["server_key"] = "{keys.serverKey.hex()}", '
                '["salt"] = "\\255\\000salt", ["iteration_count"] = 4096}',
            )
            self.assertEqual(self.romeo(), User(account="romeo@montague.lit", keys=(keys,)))

    def test_noPassword(self) -> None:
        """Without a password the account comes, and it is said."""
        self.put("accounts", '{["disabled"] = true}')
        records = self.records()
        self.assertEqual(user(records), User(account="romeo@montague.lit", disabled=True))
        reason = "Prosody has none: nobody can log in until one is set"
        self.assertEqual(problems(records), [f"romeo@montague.lit: password: {reason}"])

    def test_brokenAccount(self) -> None:
        """An account whose password cannot be read does not come, and neither the password nor a key is told."""
        for content in (
            '{["password"] = "secret"', '{["stored_key"] = "secret", ["server_key"] = "secret"}', "1",
            '{["stored_key"] = "00", ["server_key"] = "00", ["salt"] = "a", ["iteration_count"] = 1}',
            f'{{["stored_key"] = "{"00" * 20}", ["server_key"] = "{"00" * 20}", ["iteration_count"] = 1}}',
            f'{{["stored_key"] = "{"00" * 20}", ["server_key"] = "{"00" * 20}", ["salt"] = "a", '
            '["iteration_count"] = 99999999}', '{["password"] = "secret\\0"}',
        ):  # fmt: skip
            self.put("accounts", content)
            [problem] = self.records()
            assert isinstance(problem, Problem)
            self.assertTrue(problem.wholly)
            self.assertNotIn("secret", str(problem))

    def test_invalidName(self) -> None:
        """A name that is no address cannot come; the others do."""
        self.put("accounts", "{}", name="a b")
        records = self.records()
        self.assertEqual(problems(records), ["a b@montague.lit: account: prohibited character in localpart"])
        self.assertEqual(user(records).account, "romeo@montague.lit")

    def test_noAccount(self) -> None:
        """What is kept of nobody does not come."""
        self.put("roster", "{}", name="nobody")
        self.put("archive", "", name="x\x1b", ending=".list")
        self.assertEqual(
            problems(self.records()),
            [f"{name}@montague.lit: what is kept: there is no such account" for name in ("nobody", "x?")],
        )

    def test_external(self) -> None:
        """If passwords are elsewhere, all come of whom there are data."""
        self.folder.put("capulet.lit/roster/juliet.dat", "{}")
        self.folder.put("capulet.lit/archive/nurse.list", "")
        found = [each for each in HostUsers(self.folder, "capulet.lit").records() if isinstance(each, User)]
        self.assertEqual([each.account for each in found], ["juliet@capulet.lit", "nurse@capulet.lit"])

    def test_roster(self) -> None:
        """Contacts with names, groups and states; requests that wait, of contacts and strangers."""
        request = element(
            "presence", element("nick", '"N"', xmlns="urn:n"), type="subscribe", to="x", **{"from": "c@x"}
        )
        self.put(
            "roster",
            '{[false] = {["version"] = 3, ["pending"] = {["c@x"] = ' + request + ', ["d@x"] = true, ["a@x"] = true}};'
            '["a@x"] = {["subscription"] = "both", ["name"] = "A", ["groups"] = {["G"] = true, ["F"] = true}};'
            '["b@x"] = {["subscription"] = "from", ["ask"] = "subscribe", ["groups"] = {}};'
            '["c@x"] = {["subscription"] = "to", ["ask"] = "subscribe", ["groups"] = {}};'
            '["e@X"] = {["approved"] = "true"}; ["romeo@montague.lit"] = {["subscription"] = "both"}}',
        )
        kept = b"<presence type='subscribe' from='c@x'><nick xmlns='urn:n'>N</nick></presence>"
        mere = b"<presence from='d@x' type='subscribe'/>"
        self.assertEqual(
            self.romeo().roster,
            {
                "a@x": RosterItem("A", ("F", "G"), "both"),
                "b@x": RosterItem(subscription="from", ask=True),
                "c@x": RosterItem(subscription="to", request=kept),
                "d@x": RosterItem(listed=False, request=mere),
                "e@x": RosterItem(approved=True),
            },
        )

    def test_data(self) -> None:
        """Private XML, vCard and block list."""
        bookmarks = element("storage", element("conference", jid="r@x"), xmlns="storage:bookmarks")
        self.put("private", f'{{["storage:storage:bookmarks"] = {bookmarks}}}')
        self.put("vcard", element("vCard", element("FN", '"Romeo"'), xmlns="vcard-temp"))
        self.put("blocklist", '{[false] = {["created"] = 1}, ["tybalt@capulet.lit"] = true, ["spam.lit"] = 17}')
        found = self.romeo()
        [private] = map(render, found.private)
        self.assertEqual(private, b"<storage xmlns='storage:bookmarks'><conference jid='r@x'/></storage>")
        assert found.vCard is not None
        self.assertEqual(render(found.vCard), b"<vCard xmlns='vcard-temp'><FN>Romeo</FN></vCard>")
        self.assertEqual(found.blocked, {"tybalt@capulet.lit", "spam.lit"})

    def test_published(self) -> None:
        """Nodes come between the account and its archive."""
        mark = element("conference", xmlns="urn:xmpp:bookmarks:1")
        self.put("pep_urn:xmpp:bookmarks:1", stored(mark, 1, "r@x"), ending=".list")
        self.put("pep", '{["urn:xmpp:bookmarks:1"] = {}}')
        message = element("message", type="chat", to="romeo@montague.lit", from_="a@b")
        self.put("archive", stored(message.replace("from:", "from"), 1, "m"), ending=".list")
        kinds = [type(each) for each in self.records()]
        self.assertEqual(kinds, [User, UserNode, NodeItems, Messages])

    def test_privacyLists(self) -> None:
        """Without a block list, the default privacy list counts, as for Prosody."""
        items = (
            '{{["type"] = "jid", ["action"] = "deny", ["value"] = "a@x"}, {["type"] = "group", ["action"] = "deny"}}'
        )
        self.put("privacy", f'{{["default"] = "l", ["lists"] = {{["l"] = {{["items"] = {items}}}}}}}')
        self.assertEqual(self.romeo().blocked, {"a@x"})
        self.put("blocklist", '{[false] = {["created"] = 1}}')
        self.assertEqual(self.romeo().blocked, frozenset())

    def test_archiving(self) -> None:
        """What is to be archived."""
        self.put("archive_prefs", '{[false] = "roster", ["a@x"] = true, ["b@x"] = false}')
        self.assertEqual(self.romeo().archiving, ArchivePreferences("roster", frozenset({"a@x"}), frozenset({"b@x"})))
        for default, expected in (("true", "always"), ("false", "never"), ("nil", "always")):
            self.put("archive_prefs", f'{{[false] = {default}, ["a@x"] = true}}')
            archiving = self.romeo().archiving
            assert archiving is not None
            self.assertEqual(archiving.default, expected)

    def test_messages(self) -> None:
        """Messages that wait, stamped with their time, and the archive."""
        message = element("message", element("body", '"Hi"'), type="chat", **{"from": "a@x/y"})
        self.put("offline", stored(message, 86400, "one"), ending=".list")
        self.put("archive", stored(message, 1, "two", "a@x"), ending=".list")
        records = self.records()
        [waiting] = user(records).offline
        self.assertEqual(waiting.time, 86_400_000_000)
        self.assertEqual(
            render(waiting.message),
            b"<message type='chat' from='a@x/y' to='romeo@montague.lit'><body>Hi</body>"
            b"<delay xmlns='urn:xmpp:delay' from='montague.lit' stamp='1970-01-02T00:00:00Z'/></message>",
        )
        self.assertEqual(archived(records), [("two", "a@x/y")])

    def test_problems(self) -> None:
        """What is wrong in a part is told, and the rest comes."""
        self.put(
            "roster",
            '{["a b"] = {}, ["b@x"] = {["subscription"] = "maybe"}, ["c@x"] = {}, ["d@x"] = {["name"] = "\\255"}, '
            '["e@x"] = {["groups"] = {["\\0"] = true}}, '
            '[false] = {["pending"] = {["@"] = true, ["f@x"] = {}}}}',
        )
        self.put("private", '{["x"] = {}}')
        self.put("vcard", '{["name"] = 1}')
        self.put("blocklist", '{["@"] = true, ["d@x"] = true}')
        self.put("archive_prefs", '{["@"] = true}')
        self.put("offline", "item(1);item({", ending=".list")
        records = self.records()
        self.assertEqual(list(user(records).roster), ["c@x"])
        self.assertEqual(user(records).blocked, {"d@x"})
        self.assertEqual(
            [each.removeprefix("romeo@montague.lit: ") for each in problems(records)],
            [
                "private XML x: it is no element",
                "contact a b: domainpart is not a host name",
                "contact b@x: its subscription is not known",
                "contact d@x: it has characters that XML does not allow",
                "contact e@x: it has characters that XML does not allow",
                "request of @: empty localpart",
                "request of f@x: it is no element",
                "vCard: it is no element",
                "block of @: empty localpart",
                "archiving of @: empty localpart",
                "offline message: it is no element",
                "offline messages: there is no value in line 1",
            ],
        )

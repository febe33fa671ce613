# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of C{muccore.operations.transfer.prosody.rooms}."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from muccore.interfaces import Affiliate, Subject
from muccore.operations.transfer.prosody.rooms import HostRooms
from muccore.operations.transfer.records import Problem, Record
from muccore.xmpp.rendering import render
from tests.operations.transfer.prosody.datafolder import WrittenFolder, archived, element, problems, room, stored

ROOM = "orchard@conference.lit"


class RoomTests(SynchronousTestCase):
    """A room."""

    def setUp(self) -> None:
        """Begin with no rooms."""
        self.folder = WrittenFolder(self)

    def put(self, data: str = "", rest: str = "") -> None:
        """Write the room: what it has in C{_data} besides, and what it has beside that."""
        content = f'{{["_jid"] = "{ROOM}"; ["_data"] = {{["persistent"] = true; {data}}}; {rest}}}'
        self.folder.put("conference.lit/config/orchard.dat", content)

    def records(self) -> list[Record]:
        """All records of the component."""
        return list(HostRooms(self.folder, "conference.lit").records())

    def test_defaults(self) -> None:
        """What Prosody does not write down is off, or its default."""
        self.put('["occupant_id_salt"] = "x"')
        records = self.records()
        self.assertEqual(problems(records), [])
        found = room(records)
        self.assertEqual((found.room, found.affiliates, found.subject, found.states), (ROOM, {}, None, {}))
        self.assertEqual(
            found.settings,
            {
                "name": "", "description": "", "language": "", "password": "", "persistent": True, "membersOnly": False,
                "moderated": False, "changeSubject": False, "allowInvites": False, "public": True,
                "nonAnonymous": False, "historyLength": 20,
            },
        )  # fmt: skip

    def test_settings(self) -> None:
        """All settings."""
        self.put(
            '["name"] = "Orchard"; ["description"] = "By the wall"; ["language"] = "it"; ["password"] = "s3cret"; '
            '["members_only"] = true; ["moderated"] = true; ["changesubject"] = true; ["hidden"] = true; '
            '["allow_member_invites"] = true; ["whois"] = "anyone"; ["history_length"] = 5; ["archiving"] = false; '
            '["presence_broadcast"] = {["moderator"] = true, ["none"] = true, ["visitor"] = false}'
        )
        records = self.records()
        self.assertEqual(problems(records), [])
        self.assertEqual(
            room(records).settings,
            {
                "name": "Orchard", "description": "By the wall", "language": "it", "password": "s3cret",
                "persistent": True, "membersOnly": True, "moderated": True, "changeSubject": True, "allowInvites": True,
                "public": False, "nonAnonymous": True, "historyLength": 5, "logged": False,
                "presenceBroadcast": ["moderator", "none"],
            },
        )  # fmt: skip

    def test_unknown(self) -> None:
        """Settings without a counterpart are told; a length without end is a large one."""
        self.put('["default_history_messages"] = 3; ["restrict_media"] = true; ["history_length"] = (1/0)')
        records = self.records()
        reason = "muccore has no such setting"
        self.assertEqual(
            problems(records),
            [f"{ROOM}: setting {name}: {reason}" for name in ("default_history_messages", "restrict_media")],
        )
        self.assertEqual(room(records).settings["historyLength"], 10**9 - 1)

    def test_impossible(self) -> None:
        """Settings that are not possible here are told, and the others come; texts have to be Unicode."""
        self.put(
            f'["name"] = "{"x" * 300}"; ["description"] = "\\255"; ["language"] = "no tag"; ["moderated"] = true; '
            '["history_length"] = (0/0); ["subject"] = "\\0"; ["password"] = "\\27"',
            '["_affiliation_data"] = {["a@x"] = {["reserved_nickname"] = "\\255"}}',
        )
        records = self.records()
        self.assertEqual(
            [each.removeprefix(f"{ROOM}: ") for each in problems(records)],
            [
                "registered nick of a@x: it has characters that XML does not allow",
                "setting description: it has characters that XML does not allow",
                "setting password: it has characters that XML does not allow",
                "setting muc#roomconfig_roomname: longer than 256 characters",
                "setting muc#roomconfig_lang: not a language tag such as en or pt-BR",
                "subject: it has characters that XML does not allow",
            ],
        )
        found = room(records).settings
        self.assertNotIn("name", found)
        self.assertEqual((found["description"], found["moderated"], found["historyLength"]), ("", True, 10**9 - 1))

    def test_affiliations(self) -> None:
        """Affiliations of users and domains, registered nicks and hats, in the newer and in the older form."""
        hat = '["hats"] = {["urn:hat"] = {["active"] = true, ["title"] = "Host"}, ["urn:b"] = {["active"] = false}}'
        data = f'["_affiliation_data"] = {{["a@x"] = {{["reserved_nickname"] = "Ann"}}, ["c@x"] = {{{hat}}}}}'
        listed = '["a@x"] = "member"; ["b.lit"] = "outcast"; ["C@x"] = "owner"; ["d@x"] = "admin"'
        for rest in (f"{data}; {listed}", f'{data}; ["jid"] = "{ROOM}"; ["_affiliations"] = {{{listed}}}'):
            self.put(rest=rest)
            records = self.records()
            self.assertEqual(problems(records), [])
            self.assertEqual(
                room(records).affiliates,
                {
                    "a@x": Affiliate("member", "Ann"), "b.lit": Affiliate("outcast"), "c@x": Affiliate("owner"),
                    "d@x": Affiliate("admin"),
                },
            )  # fmt: skip
            self.assertEqual(
                room(records).states, {"hats": {"urn:hat": ["Host", ""]}, "hats-assigned": {"c@x urn:hat": True}}
            )

    def test_wrongAffiliations(self) -> None:
        """What cannot come of the list is told, and the rest comes."""
        nick = '{["reserved_nickname"] = "%s"}'
        self.put(
            rest='["a@x"] = "member"; ["@"] = "owner"; ["b@x"] = "king"; ["c@x"] = "member"; ["d@x"] = 1; '
            f'["_affiliation_data"] = {{["a@x"] = {nick % "Ann"}, ["c@x"] = {nick % "ANN"}, ["e@x"] = {nick % " "}, '
            '["f@x"] = {["hats"] = {["not a uri"] = {["active"] = true}}}}'
        )
        records = self.records()
        self.assertEqual(room(records).affiliates, {"a@x": Affiliate("member", "Ann"), "c@x": Affiliate("member")})
        self.assertEqual(
            [each.removeprefix(f"{ROOM}: ") for each in problems(records)],
            [
                "affiliation of @: empty localpart",
                "affiliation of b@x: its affiliation is not known",
                "registered nick of c@x: it cannot be told from that of a@x",
                "affiliation of d@x: its affiliation is not known",
                "registered nick of e@x: A nickname must not be blank.",
                "hat of f@x: hats#uri: not a URI of at most 256 characters",
            ],
        )

    def test_subject(self) -> None:
        """The subject, with who has set it when; a cleared one."""
        self.put(f'["subject"] = "Love"; ["subject_from"] = "{ROOM}/Romeo"; ["subject_time"] = 17')
        self.assertEqual(room(self.records()).subject, Subject("Love", "Romeo", 17.0))
        self.put(f'["subject_from"] = "{ROOM}/Romeo"; ["subject_time"] = 17')
        self.assertEqual(room(self.records()).subject, Subject("", "Romeo", 17.0))

    def test_vCard(self) -> None:
        """The vCard of the room."""
        self.put()
        self.folder.put("conference.lit/vcard_muc/orchard.dat", element("vCard", element("FN"), xmlns="vcard-temp"))
        card = room(self.records()).vCard
        assert card is not None
        self.assertEqual(render(card), b"<vCard xmlns='vcard-temp'><FN/></vCard>")
        self.folder.put("conference.lit/vcard_muc/orchard.dat", "{}")
        self.assertEqual(problems(self.records()), [f"{ROOM}: vCard: it is no element"])

    def test_archive(self) -> None:
        """The archive; if there is one, the room is archived even if it does not say so."""
        self.put()
        message = element("message", element("body", '"Hi"'), type="groupchat", **{"from": f"{ROOM}/Romeo"})
        self.folder.put("conference.lit/muc_log/orchard.list", stored(message, 1, "one", "message<groupchat"))
        records = self.records()
        self.assertIs(room(records).settings["logged"], True)
        self.assertEqual(archived(records), [("one", f"{ROOM}/Romeo")])

    def test_noRoom(self) -> None:
        """An archive of no room does not come."""
        self.folder.put("conference.lit/muc_log/nowhere.list", "")
        self.assertEqual(problems(self.records()), ["nowhere@conference.lit: archive: there is no such room"])

    def test_history(self) -> None:
        """A room without an archive keeps its last message only, which does not come."""
        self.put()
        self.folder.put("conference.lit/state/orchard.dat", '{["_last_message"] = {}}')
        reason = "the room was not archived: only its last message was kept"
        self.assertEqual(problems(self.records()), [f"{ROOM}: history: {reason}"])

    def test_wholly(self) -> None:
        """Rooms that are no rooms any more, or cannot be read, do not come."""
        for content in ('{["_data"] = {["destroyed"] = true, ["persistent"] = true}}', '{["_data"] = {}}', "{", "1"):
            self.folder.put("conference.lit/config/orchard.dat", content)
            [problem] = self.records()
            assert isinstance(problem, Problem)
            self.assertTrue(problem.wholly)

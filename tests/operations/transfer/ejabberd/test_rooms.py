# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of C{muccore.operations.transfer.ejabberd.rooms}."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from muccore.interfaces import Affiliate, Subject
from muccore.operations.transfer.ejabberd.rooms import RoomReader
from muccore.operations.transfer.pieces import DataError
from muccore.operations.transfer.records import Room
from muccore.xmpp.rendering import render
from tests.operations.transfer.ejabberd.tablefiles import address, row

ROOM = "orchard@conference.lit"
NICKS = {("conference.lit", "a@x"): "Ann", ("conference.lit", "c@x"): "ANN", ("other.lit", "b@x"): "Bob"}


class RoomTests(SynchronousTestCase):
    """A row."""

    def read(self, options: str, nicks: Mapping[tuple[str, str], str] = {}) -> tuple[Room, list[str]]:
        """Read a room with options; return it, and what cannot come."""
        reader = RoomReader(nicks, 100.0)
        separator = "," if options else ""
        found = reader.record(
            row(f"{{muc_room,{address('orchard', 'conference.lit')},[{{persistent,true}}{separator}{options}]}}")
        )
        assert found is not None
        self.assertEqual(found.room, ROOM)
        return found, [str(each).removeprefix(f"{ROOM}: ") for each in reader.problems]

    def settings(self, options: str) -> dict[str, Any]:
        """The settings of a room without problems."""
        found, problems = self.read(options)
        self.assertEqual(problems, [])
        return dict(found.settings)

    def test_defaults(self) -> None:
        """Without options, there is what they mean then."""
        self.assertEqual(
            self.settings(""),
            {"persistent": True, "moderated": False, "password": "", "maxUsers": 0, "allowPM": "anyone"},
        )

    def test_settings(self) -> None:
        """All options that have a counterpart."""
        found = self.settings(
            '{title,<<"Orchard">>},{description,<<"By the wall">>},{lang,<<"it">>},{pubsub,<<"xmpp:x?;node=y">>},'
            "{allow_change_subj,true},{public,false},{public_list,true},{members_only,true},{allow_user_invites,true},"
            '{mam,true},{anonymous,false},{password_protected,true},{password,<<"s3cret">>},{max_users,200},'
            "{presence_broadcast,[moderator,visitor]},{captcha_whitelist,[]},{vcard_xupdate,undefined},{roles,[]}"
        )
        self.assertEqual(
            found,
            {
                "name": "Orchard", "description": "By the wall", "language": "it", "pubsubNode": "xmpp:x?;node=y",
                "changeSubject": True, "public": False, "publicOccupants": True, "persistent": True,
                "membersOnly": True, "allowInvites": True, "logged": True, "nonAnonymous": True, "moderated": False,
                "password": "s3cret", "maxUsers": 200, "allowPM": "anyone",
                "presenceBroadcast": ["moderator", "visitor"],
            },
        )  # fmt: skip

    def test_choices(self) -> None:
        """Options whose meaning depends on others."""
        for options, setting, expected in (
            ('{password_protected,false},{password,<<"x">>}', "password", ""),
            ("{moderated,true},{members_by_default,true}", "moderated", False),
            ("{moderated,true},{members_by_default,false}", "moderated", True),
            ("{moderated,false},{members_by_default,false}", "moderated", False),
            ("{max_users,none}", "maxUsers", 0),
            ("{allow_private_messages,false}", "allowPM", "none"),
            ("{allow_private_messages,true},{allow_private_messages_from_visitors,nobody}", "allowPM", "participants"),
            ("{allowpm,moderators}", "allowPM", "moderators"),
            ("{presence_broadcast,[]}", "presenceBroadcast", []),
        ):
            self.assertEqual(self.settings(options)[setting], expected)

    def test_without(self) -> None:
        """Options that muccore has not are told, if they are not as usual."""
        usual = (
            "{allow_query_users,true},{allow_visitor_status,true},{captcha_protected,false},{logging,false},"
            "{voice_request_min_interval,1800},{allow_subscription,false},{subscribers,[]}"
        )
        self.assertEqual(self.read(usual)[1], [])
        _, problems = self.read(
            "{allow_query_users,false},{captcha_protected,true},{voice_request_min_interval,5},{new_option,1},"
            "{subscribers,[a,b]},{allow_private_messages_from_visitors,moderators},{title,x}"
        )
        reason = "muccore has no such setting"
        self.assertEqual(
            problems,
            [
                "title: it is no text",
                "setting allow_private_messages_from_visitors: visitors cannot write to moderators only",
                f"setting allow_query_users: {reason}",
                f"setting captcha_protected: {reason}",
                f"setting voice_request_min_interval: {reason}",
                f"setting new_option: {reason}",
                "2 subscribers: muccore has no MUC/Sub",
            ],
        )

    def test_affiliations(self) -> None:
        """Affiliations with and without a reason, of users and domains, and the nicks that they have registered."""
        found, problems = self.read(
            '{affiliations,[{{<<"a">>,<<"x">>,<<>>},{member,<<"Love">>}},{{<<>>,<<"b.lit">>,<<>>},{outcast,<<>>}},'
            '{{<<"b">>,<<"x">>,<<>>},owner},{{<<"c">>,<<"x">>,<<>>},admin},{{<<"d">>,<<"x">>,<<>>},none}]}',
            NICKS,
        )
        self.assertEqual(
            found.affiliates,
            {
                "a@x": Affiliate("member", "Ann", "Love"), "b.lit": Affiliate("outcast"), "b@x": Affiliate("owner"),
                "c@x": Affiliate("admin"),
            },
        )  # fmt: skip
        self.assertEqual(problems, ["registered nick of c@x: it cannot be told from that of a@x"])

    def test_wrongAffiliations(self) -> None:
        """What is wrong in the list is told, and the rest comes."""
        found, problems = self.read(
            '{affiliations,[x,{{<<"a">>,<<"x">>,<<>>},king},{{<<" ">>,<<"x">>,<<>>},owner},'
            '{{<<"b">>,<<"x">>,<<>>},owner}]}'
        )
        self.assertEqual(found.affiliates, {"b@x": Affiliate("owner")})
        self.assertEqual(
            problems,
            [
                "affiliation: it is no entry of the list",
                "affiliation: that of a@x is not known",
                "affiliation: prohibited character in localpart",
            ],
        )

    def test_impossible(self) -> None:
        """Settings that are not possible here are told, as is a reason that is too long."""
        found, problems = self.read(
            f'{{title,<<"{"x" * 300}">>}},{{description,<<0>>}},'
            f'{{affiliations,[{{{{<<"a">>,<<"x">>,<<>>}},{{outcast,<<"{"y" * 2000}">>}}}}]}}'
        )
        self.assertEqual(found.affiliates, {"a@x": Affiliate("outcast", None, "y" * 1024)})
        self.assertEqual(
            problems,
            [
                "description: it has characters that XML does not allow",
                "setting muc#roomconfig_roomname: longer than 256 characters",
                "reason for a@x: it is cut to 1024 characters",
            ],
        )

    def test_subject(self) -> None:
        """The subject as several versions keep it; when it was set is not known."""
        for options, expected in (
            ('{subject,<<"Love">>},{subject_author,<<"Romeo">>}', Subject("Love", "Romeo", 100.0)),
            ('{subject,[{text,<<"it">>,<<"Amore">>},{text,<<>>,<<"Love">>}]},{subject_author,<<"Romeo">>}',
             Subject("Love", "Romeo", 100.0)),
            ('{subject,[{text,<<"it">>,<<"Amore">>}]},{subject_author,{<<"Romeo">>,'
             '{jid,<<"r">>,<<"x">>,<<"y">>,<<"r">>,<<"x">>,<<"y">>}}}', Subject("Amore", "Romeo", 100.0, "it", "r@x")),
            ("{subject,[]},{subject_author,<<>>}", None),
            ("", None),
        ):  # fmt: skip
            self.assertEqual(self.read(options)[0].subject, expected)
        self.assertEqual(self.read("{subject,1}")[1], ["subject: it is no text"])

    def test_hatsAndVCard(self) -> None:
        """Hats and the vCard."""
        found, problems = self.read(
            '{hats_users,[{{<<"a">>,<<"x">>,<<>>},[{<<"urn:hat">>,<<"Host">>}]}]},'
            "{vcard,<<\"<vCard xmlns='vcard-temp'><FN>O</FN></vCard>\">>}"
        )
        self.assertEqual(problems, [])
        self.assertEqual(found.states, {"hats": {"urn:hat": ["Host", ""]}, "hats-assigned": {"a@x urn:hat": True}})
        assert found.vCard is not None
        self.assertEqual(render(found.vCard), b"<vCard xmlns='vcard-temp'><FN>O</FN></vCard>")
        _, problems = self.read('{hats_users,[x,{{<<"a">>,<<"x">>,<<>>},[{<<"hat">>,<<>>}]}]},{vcard,<<"<vCard">>}')
        self.assertEqual(
            [each.partition(": it is not XML")[0] for each in problems],
            ["hat: it is no hat", "hat: hats#uri: not a URI of at most 256 characters", "vCard"],
        )

    def test_wholly(self) -> None:
        """Temporary rooms, and those without an address, do not come; what is no room is an error."""
        reader = RoomReader({}, 0)
        for text, room in ((f"{{muc_room,{address('o', 'c.lit')},[]}}", "o@c.lit"), ("{muc_room,{1,2},[]}", "")):
            self.assertIsNone(reader.record(row(text)))
            [problem] = reader.problems
            self.assertTrue(problem.wholly)
            self.assertEqual(reader.room, room)
        for text in ("{muc_room}", "{muc_room,x,y}"):
            with self.assertRaises(DataError):
                reader.record(row(text))

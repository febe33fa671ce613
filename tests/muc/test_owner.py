# Copyright (c) The muccore authors. See LICENSE for details.
"""
Tests for L{muccore.muc.owner}: the configuration form, and what comes back in it.
"""

from __future__ import annotations

from typing import Any

from muccore import ns
from muccore.element import Element
from muccore.muc.settings import RoomSettings
from muccore.testing.defaults import defaultRoom
from muccore.testing.stage import Client
from tests.muc.theatre import (
    CONFIG,
    NAME,
    Theatre,
    admin,
    affiliation,
    configure,
    form,
    heard,
    join,
    leave,
    owner,
    values,
)

CANCEL = f"<x xmlns='{ns.DATA}' type='cancel'/>"

INSTANT = f"<x xmlns='{ns.DATA}' type='submit'/>"


class Owned(Theatre):
    """
    A room and its owner.
    """

    def setUp(self) -> None:
        """
        The room has a configuration of its own.
        """
        super().setUp()
        self.romeo = self.client("romeo")
        self.open(self.romeo, roomname="Orchard", roomsecret="rose", whois="anyone", maxusers="7")

    def form(self, client: Client | None = None, to: str = NAME) -> Element:
        """
        The form as the owner gets it.
        """
        owner(client or self.romeo, type="get", to=to)
        x = self.answer(client or self.romeo).child("x", ns.DATA)
        assert x is not None
        return x


class FormTests(Owned):
    """
    The form (§10.1.3, §10.2).
    """

    def test_values(self) -> None:
        """
        It shows what holds now, whatever was submitted before.
        """
        admin(self.romeo, affiliation("juliet@localhost", "admin"), affiliation("nurse@localhost", "owner"))
        self.quiet(self.romeo)
        x = self.form()
        self.assertEqual((x.get("type"), values(x)["FORM_TYPE"]), ("form", [ns.MUC_ROOMCONFIG]))
        self.assertEqual(
            {var.removeprefix(CONFIG): given for var, given in values(x).items() if var != "FORM_TYPE"},
            {
                "roomname": ["Orchard"],
                "roomdesc": [""],
                "lang": [""],
                "persistentroom": ["0"],
                "publicroom": ["1"],
                "membersonly": ["0"],
                "allowinvites": ["0"],
                "passwordprotectedroom": ["1"],
                "roomsecret": ["rose"],
                "moderatedroom": ["0"],
                "whois": ["anyone"],
                "changesubject": ["0"],
                "allowpm": ["anyone"],
                "maxusers": ["7"],
                "muc#maxhistoryfetch": ["20"],
                "x-muc#roomconfig_reservednick": ["0"],
                "roomadmins": ["juliet@localhost"],
                "roomowners": ["romeo@localhost", "nurse@localhost"],
            },
        )

    def test_logging(self) -> None:
        """
        That somebody logs the room is not offered, since clients check whatever box they see; it is taken all the
        same, and can then be taken back.
        """
        var = CONFIG + "enablelogging"
        self.assertNotIn(var, values(self.form()))
        configure(self.romeo, enablelogging="1")
        self.quiet(self.romeo)
        self.assertEqual(values(self.form())[var], ["1"])
        configure(self.romeo, enablelogging="0")
        self.quiet(self.romeo)
        self.assertNotIn(var, values(self.form()))

    def test_wellFormed(self) -> None:
        """
        XEP-0004: every field has a name and a type; a list's value is one of its options, which are unique; the
        password is private; only lists have options.
        """
        for options in ({}, {"maxUsersLimit": 30}, {"maxUsersLimit": 10}):
            self.begin(**options)
            self.romeo = self.client("romeo")
            for submitted in ({}, {"maxusers": "none"}, {"maxusers": "13"}):
                configure(self.romeo, **submitted)
                join(self.romeo, "Romeo")
                self.quiet(self.romeo)
                x = self.form()
                for field in x.childElements():
                    if field.name != "field":
                        continue
                    self.assertTrue(field.get("var") and field.get("type"), field.toXml())
                    chosen = [o.child("value") for o in field.childElements() if o.name == "option"]
                    offered = [value.text() for value in chosen if value is not None]
                    self.assertEqual(bool(offered), field.get("type") == "list-single", field.toXml())
                    self.assertEqual(len(offered), len(set(offered)), field.toXml())
                    if offered:
                        self.assertIn(values(x)[field.get("var") or ""][0], offered, field.toXml())
        fields = {field.get("var"): field.get("type") for field in x.childElements() if field.name == "field"}
        self.assertEqual(fields[CONFIG + "roomsecret"], "text-private")

    def test_submittedAsItCame(self) -> None:
        """
        The form that is sent back as it came changes nothing.
        """
        before = self.record()
        x = self.form()
        fields = {var: given for var, given in values(x).items() if var != "FORM_TYPE"}
        owner(self.romeo, form(ns.MUC_ROOMCONFIG, fields))
        self.hear(self.romeo, "result q")
        self.assertEqual(self.record(), before)

    def test_forbidden(self) -> None:
        """
        Nobody but owners gets it, or may send it, whether he is in the room or not (§10.2).
        """
        admin(self.romeo, affiliation("juliet@localhost", "admin"), affiliation("nurse@localhost", "member"))
        for name in ("juliet", "nurse", "stranger"):
            client = self.client(name)
            for entered in (False, True):
                if entered:
                    join(client, name, "rose")
                    self.quiet(client)
                owner(client, type="get")
                self.refused(client, "auth forbidden")
                for payload in (CANCEL, INSTANT, form(ns.MUC_ROOMCONFIG, {CONFIG + "roomname": "Mine"}), ""):
                    owner(client, payload)
                    self.refused(client, "auth forbidden")
        self.assertEqual(self.room().settings.name, "Orchard")

    def test_ownerOutside(self) -> None:
        """
        An owner need not be in the room.
        """
        second = self.client("romeo@localhost/b")
        self.assertEqual(values(self.form(second))[CONFIG + "roomname"], ["Orchard"])
        configure(second, roomname="Tomb")
        self.hear(second, "result q")
        self.hear(self.romeo, "room: +104")


class SubmitTests(Owned):
    """
    What comes back (§10.2, XEP-0004).
    """

    def settings(self) -> RoomSettings:
        """
        The configuration that holds, after nothing but a result.
        """
        self.assertIn("result q", heard(self.romeo))
        settings = self.room().settings
        record = self.record()
        assert record is not None
        self.assertEqual(RoomSettings.fromMapping(record.settings, defaultRoom()), settings)
        return settings

    def test_partial(self) -> None:
        """
        XEP-0004: what was left out stays as it is; fields that the form did not have are ignored.
        """
        before = self.room().settings
        configure(self.romeo, roomdesc="A wall", getmemberlist=["moderator"], nosuchfield="1")
        after = self.settings()
        self.assertEqual((after.description, after.name, after.password), ("A wall", "Orchard", "rose"))
        self.assertEqual(before.nonAnonymous, after.nonAnonymous)

    def test_all(self) -> None:
        """
        Every field reaches its setting.
        """
        owner(
            self.romeo,
            form(
                ns.MUC_ROOMCONFIG,
                {
                    CONFIG + "roomname": "Tomb",
                    CONFIG + "roomdesc": "Cold",
                    CONFIG + "lang": "it",
                    CONFIG + "persistentroom": True,
                    CONFIG + "publicroom": False,
                    CONFIG + "membersonly": True,
                    CONFIG + "allowinvites": True,
                    CONFIG + "moderatedroom": True,
                    CONFIG + "whois": "moderators",
                    CONFIG + "changesubject": True,
                    CONFIG + "allowpm": "participants",
                    CONFIG + "maxusers": "20",
                    CONFIG + "passwordprotectedroom": True,
                    CONFIG + "roomsecret": "dagger",
                    CONFIG + "enablelogging": True,
                    "muc#maxhistoryfetch": "5",
                    "x-muc#roomconfig_reservednick": True,
                },
            ),
        )
        self.assertEqual(
            self.settings(),
            defaultRoom(
                name="Tomb",
                description="Cold",
                language="it",
                persistent=True,
                public=False,
                password="dagger",
                membersOnly=True,
                moderated=True,
                nonAnonymous=False,
                changeSubject=True,
                allowInvites=True,
                allowPM="participants",
                logged=True,
                lockNicks=True,
                maxUsers=20,
                historyLength=5,
            ),
        )

    def test_cancelled(self) -> None:
        """
        §10.2: cancelled, it leaves all as it was.
        """
        before = self.record()
        owner(self.romeo, CANCEL)
        self.hear(self.romeo, "result q")
        self.assertEqual(self.record(), before)

    def test_withoutFormType(self) -> None:
        """
        A form without C{FORM_TYPE} is an old one, not a wrong one (XEP-0068).
        """
        owner(self.romeo, form("", {CONFIG + "roomname": "Tomb"}))
        self.assertEqual(self.settings().name, "Tomb")

    def test_bad(self) -> None:
        """
        A value that may not be is C{not-acceptable}, what is no submission of this form C{bad-request}; and with it
        everything else in the form is refused.
        """
        before = (self.record(), self.room().record())
        juliet = self.client("juliet")
        join(juliet, "Juliet", "rose")
        self.quiet(juliet, self.romeo)
        cases: list[tuple[str, dict[str, Any]]] = [
            ("not-acceptable", {CONFIG + "membersonly": "maybe"}),
            ("not-acceptable", {CONFIG + "membersonly": ""}),
            ("not-acceptable", {CONFIG + "whois": "nobody"}),
            ("not-acceptable", {CONFIG + "allowpm": "friends"}),
            ("not-acceptable", {CONFIG + "maxusers": "many"}),
            ("not-acceptable", {CONFIG + "maxusers": "-1"}),
            ("not-acceptable", {CONFIG + "maxusers": "٣"}),
            ("not-acceptable", {"muc#maxhistoryfetch": "all"}),
            ("not-acceptable", {"muc#maxhistoryfetch": "-1"}),
            ("not-acceptable", {"muc#maxhistoryfetch": ""}),
            ("not-acceptable", {"muc#maxhistoryfetch": "1" * 100}),
            ("not-acceptable", {CONFIG + "roomname": "x" * 257}),
            ("not-acceptable", {CONFIG + "roomdesc": "x" * 1025}),
            ("not-acceptable", {CONFIG + "lang": "x" * 65}),
            ("not-acceptable", {CONFIG + "roomsecret": "x" * 1025}),
            ("not-acceptable", {CONFIG + "roomsecret": "  "}),
            ("not-acceptable", {CONFIG + "passwordprotectedroom": True, CONFIG + "roomsecret": ""}),
            ("not-acceptable", {CONFIG + "roomadmins": ["not @ jid"]}),
            ("bad-request", {CONFIG + "whois": ["anyone", "moderators"]}),
        ]
        for condition, fields in cases:
            owner(self.romeo, form(ns.MUC_ROOMCONFIG, {CONFIG + "roomdesc": "New", **fields}))
            self.assertEqual(heard(self.romeo), [f"error q modify {condition}"], fields)
            self.assertEqual((self.record(), self.room().record()), before, fields)
        for payload in (
            "",
            form(ns.MUC_REGISTER, {CONFIG + "roomdesc": "New"}),
            form(ns.MUC_ROOMCONFIG, {CONFIG + "roomdesc": "New"}, type="form"),
            form(ns.MUC_ROOMCONFIG, {CONFIG + "roomdesc": "New"}, type="result"),
            "<x xmlns='jabber:x:data'/>",
            "<x xmlns='jabber:x:data' type='submit'><field><value>1</value></field></x>",
            "<x xmlns='other' type='submit'/>",
        ):
            owner(self.romeo, payload)
            self.assertEqual(heard(self.romeo), ["error q modify bad-request"], payload)
            self.assertEqual((self.record(), self.room().record()), before, payload)
        self.silent(juliet)

    def test_password(self) -> None:
        """
        The two fields of the password together: protected without a password keeps the one there is; not protected
        takes it away, whatever stands in the other field; a password alone protects, an empty one alone does not.
        """
        for fields, password in (
            ({"passwordprotectedroom": True}, "rose"),
            ({"passwordprotectedroom": True, "roomsecret": "tulip"}, "tulip"),
            ({"passwordprotectedroom": False, "roomsecret": "tulip"}, ""),
            ({"roomsecret": "rose"}, "rose"),
            ({"passwordprotectedroom": False}, ""),
            ({"roomsecret": " rose "}, " rose "),
            ({"roomsecret": ""}, ""),
        ):
            configure(self.romeo, **fields)
            self.assertEqual(self.settings().password, password, fields)

    def test_passwordAtTheDoor(self) -> None:
        """
        A new password is asked of those who enter then; those who are in stay.
        """
        juliet, nurse = self.client("juliet"), self.client("nurse")
        join(juliet, "Juliet", "rose")
        configure(self.romeo, roomsecret="tulip")
        self.assertEqual(heard(juliet)[-1], "room: +104")
        join(nurse, "Nurse", "rose")
        self.hear(nurse, "refused Nurse auth not-authorized")
        join(nurse, "Nurse", "tulip")
        self.assertIn("here Nurse none/participant +100 +110 as nurse@localhost/a", heard(nurse))

    def test_maxUsers(self) -> None:
        """
        Any number of occupants may be set, or none; the operator's limit holds above it.
        """
        self.begin(maxUsersLimit=0)
        self.romeo = self.client("romeo")
        self.open(self.romeo)
        for given, limit in (("13", 13), ("none", 0), ("5", 5), ("0", 0), ("", 0), (" 8 ", 8)):
            configure(self.romeo, maxusers=given)
            self.assertEqual(self.settings().maxUsers, limit, given)
        self.begin(maxUsersLimit=9)
        self.romeo = self.client("romeo")
        self.open(self.romeo)
        self.assertEqual(self.room().settings.maxUsers, 9)
        for given, limit in (("5", 5), ("none", 9), ("8", 8), ("10", 9), ("0", 9)):
            configure(self.romeo, maxusers=given)
            self.assertEqual(self.settings().maxUsers, limit, given)

    def test_history(self) -> None:
        """
        So is the length of the history.
        """
        self.begin(historyLimit=10)
        self.romeo = self.client("romeo")
        self.open(self.romeo)
        for given, length in (("5", 5), ("0", 0), ("11", 10)):
            owner(self.romeo, form(ns.MUC_ROOMCONFIG, {"muc#maxhistoryfetch": given}))
            self.assertEqual(self.settings().historyLength, length, given)

    def test_destroyAndForm(self) -> None:
        """
        Where both stand in one request it is an end.
        """
        owner(self.romeo, f"<destroy/>{INSTANT}")
        self.assertIn("result q", heard(self.romeo))
        self.assertIsNone(self.record())


class OwnerLeftTests(Owned):
    """
    A room without anybody in it.
    """

    def test_configured(self) -> None:
        """
        An owner can configure a room at rest, and a room out of memory.
        """
        configure(self.romeo, persistentroom=True)
        leave(self.romeo, "Romeo")
        self.quiet(self.romeo)
        configure(self.romeo, roomname="Tomb")
        self.hear(self.romeo, "result q")
        self.begin(self.stage.store)
        again = self.client("romeo")
        self.assertEqual(values(self.form(again))[CONFIG + "roomname"], ["Tomb"])

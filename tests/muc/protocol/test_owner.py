# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.muc.protocol.owner}: the configuration form, and its submission."""

from __future__ import annotations

from muccore.muc.model.roomsettings import RoomSettings
from muccore.testing.defaults import defaultRoom
from muccore.testing.inmemory import Client
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from tests.muc.muchelpers import (
    CONFIG,
    ROOM,
    MUCTestCase,
    affiliation,
    configure,
    form,
    join,
    leave,
    sendAdmin,
    sendOwner,
    summaries,
    values,
)

CANCEL = f"<x xmlns='{ns.DATA}' type='cancel'/>"

INSTANT = f"<x xmlns='{ns.DATA}' type='submit'/>"


class OwnerTestCase(MUCTestCase):
    """A configured room and its owner."""

    def setUp(self) -> None:
        super().setUp()
        self.romeo = self.client("romeo")
        self.createRoom(self.romeo, roomname="Orchard", roomsecret="rose", whois="anyone", maxusers="7")

    def form(self, client: Client | None = None, to: str = ROOM) -> Element:
        """The configuration form as an owner receives it."""
        sendOwner(client or self.romeo, type="get", to=to)
        x = self.result(client or self.romeo).child("x", ns.DATA)
        assert x is not None
        return x


class FormTests(OwnerTestCase):
    """The form that owners receive (§10.1.3, §10.2)."""

    def test_values(self) -> None:
        """The form names the room and shows the current values; tests of extensions have theirs."""
        sendAdmin(self.romeo, affiliation("juliet@localhost", "admin"), affiliation("nurse@localhost", "owner"))
        self.discardReceived()
        x = self.form()
        self.assertEqual((x.get("type"), values(x)["FORM_TYPE"]), ("form", [ns.MUC_ROOMCONFIG]))
        title = x.child("title")
        self.assertEqual(title and title.text(), f"Configuration of {ROOM}")
        others = {"FORM_TYPE", *(row.var for row in self.room().extensions.fields)}
        self.assertEqual(
            {var.removeprefix(CONFIG): given for var, given in values(x).items() if var not in others},
            {
                "roomname": ["Orchard"],
                "roomdesc": [""],
                "lang": [""],
                "pubsub": [""],
                "muc#roominfo_contactjid": [],
                "persistentroom": ["0"],
                "publicroom": ["1"],
                "x-muc#roomconfig_publiclist": ["0"],
                "membersonly": ["0"],
                "allowinvites": ["0"],
                "passwordprotectedroom": ["1"],
                "roomsecret": ["rose"],
                "moderatedroom": ["0"],
                "whois": ["anyone"],
                "changesubject": ["0"],
                "allowpm": ["anyone"],
                "presencebroadcast": ["moderator", "participant", "visitor"],
                "getmemberlist": ["moderator", "participant", "visitor"],
                "maxusers": ["7"],
                "muc#maxhistoryfetch": ["20"],
                "x-muc#roomconfig_selfregistration": ["open"],
                "x-muc#roomconfig_reservednick": ["0"],
                "x-muc#roomconfig_refuselookalikes": ["1"],
                "roomadmins": ["juliet@localhost"],
                "roomowners": ["nurse@localhost", "romeo@localhost"],
            },
        )

    def test_logging(self) -> None:
        """
        Logging is not offered, since clients tick whatever box they see; it is accepted all the same, and can then be
        switched off.
        """
        var = CONFIG + "enablelogging"
        self.assertNotIn(var, values(self.form()))
        configure(self.romeo, enablelogging="1")
        self.discardReceived()
        self.assertEqual(values(self.form())[var], ["1"])
        configure(self.romeo, enablelogging="0")
        self.discardReceived()
        self.assertNotIn(var, values(self.form()))

    def test_wellFormed(self) -> None:
        """
        Every field has a name and a type, the value of a list is one of its unique options, only lists have options,
        and the password is private (XEP-0004).
        """
        for options in ({}, {"maxUsersLimit": 30}, {"maxUsersLimit": 10}):
            self.startServer(**options)
            self.romeo = self.client("romeo")
            for submitted in ({}, {"maxusers": "none"}, {"maxusers": "13"}):
                configure(self.romeo, **submitted)
                join(self.romeo, "Romeo")
                self.discardReceived()
                x = self.form()
                for field in x.childElements():
                    if field.name != "field":
                        continue
                    self.assertTrue(field.get("var") and field.get("type"), field.toXml())
                    chosen = [o.child("value") for o in field.childElements() if o.name == "option"]
                    offered = [value.text() for value in chosen if value is not None]
                    isList = field.get("type") in ("list-single", "list-multi")
                    self.assertEqual(bool(offered), isList, field.toXml())
                    self.assertEqual(len(offered), len(set(offered)), field.toXml())
                    if isList:
                        self.assertLessEqual(set(values(x)[field.get("var") or ""]), set(offered), field.toXml())
        fields = {field.get("var"): field.get("type") for field in x.childElements() if field.name == "field"}
        self.assertEqual(fields[CONFIG + "roomsecret"], "text-private")

    def test_submittedAsItCame(self) -> None:
        """The form submitted as received changes nothing."""
        before = self.record()
        x = self.form()
        fields = {var: given for var, given in values(x).items() if var != "FORM_TYPE"}
        sendOwner(self.romeo, form(ns.MUC_ROOMCONFIG, fields))
        self.assertReceived(self.romeo, "result q")
        self.assertEqual(self.record(), before)

    def test_forbidden(self) -> None:
        """Nobody but owners may request or submit the form, inside or outside the room (§10.2)."""
        sendAdmin(self.romeo, affiliation("juliet@localhost", "admin"), affiliation("nurse@localhost", "member"))
        for name in ("juliet", "nurse", "stranger"):
            client = self.client(name)
            for entered in (False, True):
                if entered:
                    join(client, name, password="rose")
                    self.discardReceived()
                sendOwner(client, type="get")
                self.assertReceived(client, "error q auth forbidden")
                for payload in (CANCEL, INSTANT, form(ns.MUC_ROOMCONFIG, {CONFIG + "roomname": "Mine"}), ""):
                    sendOwner(client, payload)
                    self.assertReceived(client, "error q auth forbidden")
        self.assertEqual(self.room().settings.name, "Orchard")

    def test_ownerOutside(self) -> None:
        """An owner need not be in the room."""
        second = self.client("romeo/b")
        self.assertEqual(values(self.form(second))[CONFIG + "roomname"], ["Orchard"])
        configure(second, roomname="Tomb")
        self.assertReceived(second, "result q")
        self.assertReceived(self.romeo, "room groupchat 104")


class SubmitTests(OwnerTestCase):
    """Submitted forms (§10.2, XEP-0004)."""

    def settings(self) -> RoomSettings:
        """The current settings, in memory and stored, after a result."""
        self.assertIn("result q", summaries(self.romeo))
        settings = self.room().settings
        record = self.storedRecord()
        self.assertEqual(RoomSettings.fromMapping(record.settings, defaultRoom()), settings)
        return settings

    def test_partial(self) -> None:
        """Omitted fields keep their values; unknown ones are ignored (XEP-0004)."""
        before = self.room().settings
        configure(self.romeo, roomdesc="A wall", getmemberlist=["moderator"], nosuchfield="1")
        after = self.settings()
        self.assertEqual((after.description, after.name, after.password), ("A wall", "Orchard", "rose"))
        self.assertEqual(before.nonAnonymous, after.nonAnonymous)

    def test_all(self) -> None:
        """Every field changes its setting."""
        configure(
            self.romeo,
            roomname="Tomb",
            roomdesc="Cold",
            lang="pt-BR",
            persistentroom=True,
            publicroom=False,
            membersonly=True,
            allowinvites=True,
            moderatedroom=True,
            whois="moderators",
            changesubject=True,
            allowpm="participants",
            maxusers="20",
            passwordprotectedroom=True,
            roomsecret="dagger",
            enablelogging=True,
            **{
                "muc#maxhistoryfetch": "5",
                "muc#roominfo_contactjid": ["Nurse@localhost", "friar@localhost/cell"],
                "x-muc#roomconfig_publiclist": True,
                "x-muc#roomconfig_reservednick": True,
            },
        )
        self.assertEqual(
            self.settings(),
            defaultRoom(
                name="Tomb",
                description="Cold",
                language="pt-BR",
                contacts=("nurse@localhost", "friar@localhost/cell"),
                persistent=True,
                public=False,
                publicOccupants=True,
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
                extensions=self.room().settings.extensions,
            ),
        )

    def test_cancelled(self) -> None:
        """A cancelled form changes nothing (§10.2)."""
        before = self.record()
        sendOwner(self.romeo, CANCEL)
        self.assertReceived(self.romeo, "result q")
        self.assertEqual(self.record(), before)

    def test_withoutFormType(self) -> None:
        """A form without C{FORM_TYPE} is accepted (XEP-0068)."""
        sendOwner(self.romeo, form("", {CONFIG + "roomname": "Tomb"}))
        self.assertEqual(self.settings().name, "Tomb")

    def test_bad(self) -> None:
        """
        A bad value is C{not-acceptable}, anything but a submission of this form C{bad-request}; nothing else in the
        form applies.
        """
        before = (self.record(), self.room().record())
        juliet = self.client("juliet")
        join(juliet, "Juliet", password="rose")
        self.discardReceived()
        for name, *bad in (
            ("membersonly", "maybe", ""),
            ("whois", "nobody"),
            ("allowpm", "friends"),
            ("maxusers", "many", "-1", "٣"),
            ("muc#maxhistoryfetch", "all", "-1", "", "1" * 100),
            ("roomname", "x" * 257),
            ("roomdesc", "x" * 1025),
            ("lang", "x" * 65, "-".join(["en"] * 22), "Portuguese (Brazil)", "pt_BR", "e", "en-", "en--US", "日本"),
            ("muc#roominfo_contactjid", "not @ jid", [f"n{number}@localhost" for number in range(21)]),
            ("roomsecret", "x" * 1025, "  "),
            ("roomadmins", "not @ jid"),
        ):
            for value in bad:
                configure(self.romeo, **{"roomdesc": "New", name: value})
                self.assertEqual(summaries(self.romeo), ["error q modify not-acceptable"], (name, value))
                self.assertEqual((self.record(), self.room().record()), before, (name, value))
        configure(self.romeo, passwordprotectedroom=True, roomsecret="", roomdesc="New")
        configure(self.romeo, whois=["anyone", "moderators"], roomdesc="New")
        self.assertReceived(self.romeo, "error q modify not-acceptable", "error q modify bad-request")
        for payload in (
            "",
            form(ns.MUC_REGISTER, {CONFIG + "roomdesc": "New"}),
            form(ns.MUC_ROOMCONFIG, {CONFIG + "roomdesc": "New"}, type="form"),
            form(ns.MUC_ROOMCONFIG, {CONFIG + "roomdesc": "New"}, type="result"),
            "<x xmlns='jabber:x:data'/>",
            "<x xmlns='jabber:x:data' type='submit'><field><value>1</value></field></x>",
            "<x xmlns='other' type='submit'/>",
        ):
            sendOwner(self.romeo, payload)
            self.assertEqual(summaries(self.romeo), ["error q modify bad-request"], payload)
            self.assertEqual((self.record(), self.room().record()), before, payload)
        self.assertNothingReceived(juliet)

    def test_password(self) -> None:
        """
        Protection without a password keeps the old one; no protection removes it whatever the other field says; a
        password alone protects, an empty one alone does not.
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
        """A new password is required of those who enter afterwards; occupants stay."""
        juliet, nurse = self.login("juliet", "nurse")
        join(juliet, "Juliet", password="rose")
        configure(self.romeo, roomsecret="tulip")
        self.assertEqual(summaries(juliet)[-1], "room groupchat 104")
        join(nurse, "Nurse", password="rose")
        self.assertReceived(nurse, "Nurse presence error auth not-authorized")
        join(nurse, "Nurse", password="tulip")
        self.assertIn("Nurse available none/participant jid=nurse@localhost/a 100 110", summaries(nurse))

    def test_maxUsers(self) -> None:
        """Any number of occupants, or none, may be set; the operator's limit applies above it."""
        self.startServer(maxUsersLimit=0)
        self.romeo = self.client("romeo")
        self.createRoom(self.romeo)
        for given, limit in (("13", 13), ("none", 0), ("5", 5), ("0", 0), ("", 0), (" 8 ", 8)):
            configure(self.romeo, maxusers=given)
            self.assertEqual(self.settings().maxUsers, limit, given)
        self.startServer(maxUsersLimit=9)
        self.romeo = self.client("romeo")
        self.createRoom(self.romeo)
        self.assertEqual(self.room().settings.maxUsers, 9)
        for given, limit in (("5", 5), ("none", 9), ("8", 8), ("10", 9), ("0", 9)):
            configure(self.romeo, maxusers=given)
            self.assertEqual(self.settings().maxUsers, limit, given)

    def test_history(self) -> None:
        """So may the length of the history, up to the operator's limit."""
        self.startServer(historyLimit=10)
        self.romeo = self.client("romeo")
        self.createRoom(self.romeo)
        for given, length in (("5", 5), ("0", 0), ("11", 10)):
            configure(self.romeo, **{"muc#maxhistoryfetch": given})
            self.assertEqual(self.settings().historyLength, length, given)

    def test_otherName(self) -> None:
        """The length of the history may have the name that Prosody gives it; its own counts if both are there."""
        configure(self.romeo, historylength="3")
        self.assertEqual(self.settings().historyLength, 3)
        configure(self.romeo, historylength="4", **{"muc#maxhistoryfetch": "5"})
        self.assertEqual(self.settings().historyLength, 5)
        self.discardReceived()
        configure(self.romeo, historylength="all")
        self.assertReceived(self.romeo, "error q modify not-acceptable")
        self.assertNotIn(CONFIG + "historylength", values(self.form()))

    def test_destroyAndForm(self) -> None:
        """A request with both C{<destroy/>} and a form destroys the room."""
        sendOwner(self.romeo, f"<destroy/>{INSTANT}")
        self.assertIn("result q", summaries(self.romeo))
        self.assertIsNone(self.record())


class OwnerLeftTests(OwnerTestCase):
    """A room without occupants."""

    def test_configured(self) -> None:
        """An owner can configure an empty room, in memory or only in the store."""
        configure(self.romeo, persistentroom=True)
        leave(self.romeo, "Romeo")
        self.discardReceived()
        configure(self.romeo, roomname="Tomb")
        self.assertReceived(self.romeo, "result q")
        self.startServer(self.server.store)
        again = self.client("romeo")
        self.assertEqual(values(self.form(again))[CONFIG + "roomname"], ["Tomb"])

# Copyright (c) The muccore authors. See LICENSE for details.
"""
Tests for L{muccore.muc.information}: what rooms tell about themselves.
"""

from __future__ import annotations

from muccore import ns
from muccore.element import Element
from muccore.testing.stage import Client
from tests.muc.theatre import (
    HOST,
    NAME,
    Theatre,
    admin,
    affiliation,
    ask,
    attributes,
    configure,
    join,
    register,
    setSubject,
    values,
)

FIXED = {
    ns.DISCO_INFO,
    ns.DISCO_ITEMS,
    ns.MUC,
    ns.MUC_STABLE_ID,
    ns.MUC_SELF_PING,
    ns.MUC_REQUEST,
    ns.REGISTER,
}
"""What every room supports."""

DEFAULT = {"muc_unsecured", "muc_public", "muc_temporary", "muc_open", "muc_unmoderated", "muc_semianonymous"}
"""What a room is that was configured with the defaults."""


class Information(Theatre):
    """
    A room, its owner and a stranger.
    """

    def setUp(self) -> None:
        """
        The owner is in.
        """
        super().setUp()
        self.romeo, self.stranger = self.client("romeo"), self.client("stranger")
        self.open(self.romeo)

    def info(self, client: Client, node: str | None = None, to: str = NAME) -> Element:
        """
        What C{disco#info} says.
        """
        at = f" node='{node}'" if node is not None else ""
        ask(client, "get", f"<query xmlns='{ns.DISCO_INFO}'{at}/>", to=to)
        return self.answer(client)

    def features(self, client: Client, to: str = NAME) -> set[str]:
        """
        Its features, each told once.
        """
        children = self.info(client, to=to).childElements()
        found = [child.attributes["var"] for child in children if child.name == "feature"]
        self.assertEqual(len(found), len(set(found)))
        return set(found)

    def roominfo(self, client: Client) -> dict[str, list[str]]:
        """
        The form that goes with it.
        """
        x = self.info(client).child("x", ns.DATA)
        assert x is not None
        self.assertEqual(x.get("type"), "result")
        return values(x)


class InfoTests(Information):
    """
    C{disco#info} of a room (§6.4, §16.3).
    """

    def test_identity(self) -> None:
        """
        A room is a text conference by the name that its owner gave it, or by its localpart.
        """
        for name in ("room", "Orchard"):
            identities = [child for child in self.info(self.stranger).childElements() if child.name == "identity"]
            self.assertEqual(attributes(identities), [{"category": "conference", "type": "text", "name": name}])
            configure(self.romeo, roomname="Orchard")
            self.quiet(self.romeo)

    def test_features(self) -> None:
        """
        One feature of each pair, as the room is configured; and what every room supports.
        """
        self.assertEqual(self.features(self.stranger), FIXED | DEFAULT)
        for fields, off, on in (
            ({"roomsecret": "rose"}, "muc_unsecured", "muc_passwordprotected"),
            ({"publicroom": False}, "muc_public", "muc_hidden"),
            ({"persistentroom": True}, "muc_temporary", "muc_persistent"),
            ({"membersonly": True}, "muc_open", "muc_membersonly"),
            ({"moderatedroom": True}, "muc_unmoderated", "muc_moderated"),
            ({"whois": "anyone"}, "muc_semianonymous", "muc_nonanonymous"),
        ):
            self.begin()
            self.romeo, self.stranger = self.client("romeo"), self.client("stranger")
            self.open(self.romeo, **fields)
            self.assertEqual(self.features(self.stranger), FIXED | (DEFAULT - {off} | {on}), fields)

    def test_form(self) -> None:
        """
        XEP-0128: a form of C{muc#roominfo} with what is so at this moment.
        """
        owner = {"FORM_TYPE": [ns.MUC_ROOMINFO]}
        plain = {
            "muc#roominfo_description": [""],
            "muc#roominfo_lang": [""],
            "muc#roominfo_occupants": ["1"],
            "muc#roominfo_subjectmod": ["0"],
            "muc#roomconfig_changesubject": ["0"],
            "muc#maxhistoryfetch": ["20"],
        }
        self.assertEqual(self.roominfo(self.stranger), owner | plain)
        configure(self.romeo, roomdesc="A wall", lang="it", changesubject=True)
        self.admit((self.client("juliet"), "Juliet"))
        self.assertEqual(
            self.roominfo(self.stranger),
            owner
            | {
                "muc#roominfo_description": ["A wall"],
                "muc#roominfo_lang": ["it"],
                "muc#roominfo_occupants": ["2"],
                "muc#roominfo_subjectmod": ["1"],
                "muc#roomconfig_changesubject": ["1"],
                "muc#maxhistoryfetch": ["20"],
            },
        )

    def test_subject(self) -> None:
        """
        §13.4: the subject is told to everybody where everybody may come in, else to those who may.
        """
        setSubject(self.romeo, "Love")
        admin(self.romeo, affiliation("member@localhost", "member"), affiliation("outcast@localhost", "outcast"))
        member, outcast = self.client("member"), self.client("outcast")
        guest = self.client("guest")
        self.admit((guest, "Guest"))
        for fields, told in (
            ({}, {"romeo", "member", "guest", "stranger"}),
            ({"publicroom": False}, {"romeo", "member", "guest"}),
            ({"publicroom": True, "roomsecret": "rose"}, {"romeo", "member", "guest"}),
            ({"roomsecret": "", "membersonly": True}, {"romeo", "member"}),
        ):
            configure(self.romeo, **fields)
            self.quiet(self.romeo, guest)
            for client in (self.romeo, member, outcast, guest, self.stranger):
                name = client.session.jid.local
                subject = self.roominfo(client).get("muc#roominfo_subject")
                self.assertEqual(subject, ["Love"] if name in told else None, (fields, name))

    def test_locked(self) -> None:
        """
        A room that is not configured yet is known to its owner alone.
        """
        other = "locked@" + HOST
        join(self.romeo, "Romeo", to=other)
        self.quiet(self.romeo)
        self.assertIn(ns.MUC, self.features(self.romeo, to=other))
        ask(self.stranger, "get", f"<query xmlns='{ns.DISCO_INFO}'/>", to=other)
        self.refused(self.stranger, "cancel item-not-found")

    def test_hidden(self) -> None:
        """
        A hidden room is not listed; who knows its address may ask it.
        """
        configure(self.romeo, publicroom=False)
        ask(self.stranger, "get", f"<query xmlns='{ns.DISCO_ITEMS}'/>", to=HOST)
        self.assertEqual(list(self.answer(self.stranger).childElements()), [])
        self.assertIn("muc_hidden", self.features(self.stranger))


class NodeTests(Information):
    """
    The well-known nodes (§7.12, §16.4, §18.1.1).
    """

    def test_reservedNick(self) -> None:
        """
        Somebody finds the nick that is reserved for him, whether he is in or not; who has none finds nothing.
        """
        register(self.stranger, "Mercutio")
        self.quiet(self.stranger)
        for entered in (False, True):
            if entered:
                self.admit((self.stranger, "Somebody"))
            query = self.info(self.stranger, "x-roomuser-item")
            self.assertEqual(query.get("node"), "x-roomuser-item")
            self.assertEqual(
                attributes(query.childElements()), [{"category": "conference", "type": "text", "name": "Mercutio"}]
            )
        self.quiet(self.romeo)
        query = self.info(self.romeo, "x-roomuser-item")
        self.assertEqual((query.get("node"), list(query.childElements())), ("x-roomuser-item", []))

    def test_traffic(self) -> None:
        """
        A room that holds nothing back says so with C{service-unavailable} (§18.1.1).
        """
        ask(self.stranger, "get", f"<query xmlns='{ns.DISCO_INFO}' node='{ns.MUC}#traffic'/>")
        self.refused(self.stranger, "cancel service-unavailable")

    def test_unknown(self) -> None:
        """
        Other nodes are not there, of information or of items; an empty one is none.
        """
        for kind in (ns.DISCO_INFO, ns.DISCO_ITEMS):
            ask(self.romeo, "get", f"<query xmlns='{kind}' node='other'/>")
            self.refused(self.romeo, "cancel item-not-found")
            ask(self.romeo, "get", f"<query xmlns='{kind}' node=''/>")
            self.hear(self.romeo, "result q")


class ItemsTests(Information):
    """
    C{disco#items} of a room (§6.5).
    """

    def items(self, client: Client) -> list[dict[str, str]]:
        """
        What it says.
        """
        ask(client, "get", f"<query xmlns='{ns.DISCO_ITEMS}'/>")
        return attributes(self.answer(client).childElements())

    def test_occupants(self) -> None:
        """
        Occupants see the occupants, without anything else about them; to anybody else the list is empty, also to an
        owner who is outside.
        """
        juliet = self.client("juliet")
        self.admit((juliet, "Juliet"))
        self.quiet(self.romeo)
        for client in (self.romeo, juliet):
            self.assertEqual(self.items(client), [{"jid": f"{NAME}/Romeo"}, {"jid": f"{NAME}/Juliet"}])
        for client in (self.stranger, self.client("romeo@localhost/b")):
            self.assertEqual(self.items(client), [])

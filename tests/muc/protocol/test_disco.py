# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.muc.protocol.disco}: service discovery of rooms."""

from __future__ import annotations

from muccore.testing.inmemory import Client
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from tests.muc.muchelpers import (
    ROOM,
    MUCTestCase,
    affiliation,
    attributes,
    configure,
    register,
    sendAdmin,
    sendIQ,
    setSubject,
    values,
)

FIXED = {ns.DISCO_INFO, ns.DISCO_ITEMS, ns.MUC, ns.MUC_STABLE_ID, ns.MUC_SELF_PING, ns.MUC_REQUEST, ns.REGISTER}
FIXED |= {ns.RSM, ns.OCCUPANT_ID, ns.STANZA_ID, ns.VCARD_TEMP, ns.MUC_AFFILIATIONS}
FIXED |= {ns.COMMANDS, ns.RETRACT, f"{ns.RETRACT}#tombstone", ns.MODERATE, ns.MODERATE_0}
FIXED |= {ns.HATS, ns.MENTIONS, *(f"{ns.MENTIONS}#{kind}" for kind in ("channel", "associations", "hats"))}
"""What every room supports."""

DEFAULT = {"muc_unsecured", "muc_public", "muc_temporary", "muc_open", "muc_unmoderated", "muc_semianonymous"}
"""What a room is that was configured with the defaults."""


class InformationTestCase(MUCTestCase):
    """A room, its owner and a stranger."""

    fields: dict[str, object] = {}

    def setUp(self) -> None:
        super().setUp()
        self.romeo, self.stranger = self.login("romeo", "stranger")
        self.createRoom(self.romeo, **self.fields)

    def info(self, client: Client, node: str | None = None, to: str = ROOM) -> Element:
        """The answer to C{disco#info}."""
        at = f" node='{node}'" if node is not None else ""
        sendIQ(client, "get", f"<query xmlns='{ns.DISCO_INFO}'{at}/>", to=to)
        return self.result(client)

    def features(self, client: Client, to: str = ROOM) -> set[str]:
        """The features of a room, each listed once."""
        children = self.info(client, to=to).childElements()
        found = [child.attributes["var"] for child in children if child.name == "feature"]
        self.assertEqual(len(found), len(set(found)))
        return set(found)

    def roominfo(self, client: Client) -> dict[str, list[str]]:
        """The values of the form in C{disco#info}, without the fields of extensions."""
        x = self.info(client).child("x", ns.DATA)
        assert x is not None
        self.assertEqual(x.get("type"), "result")
        others = {row.infoVar for row in self.room().extensions.fields}
        return {var: given for var, given in values(x).items() if var not in others}


class AssociatedTests(InformationTestCase):
    """What belongs to a room, in C{muc#roominfo} (§16.5.4)."""

    def test_pubsub(self) -> None:
        """The publish-subscribe node, once there is one."""
        self.assertNotIn("muc#roomconfig_pubsub", self.roominfo(self.stranger))
        configure(self.romeo, pubsub="xmpp:pubsub.localhost?;node=orchard")
        self.discardReceived()
        self.assertEqual(self.roominfo(self.stranger)["muc#roomconfig_pubsub"], ["xmpp:pubsub.localhost?;node=orchard"])

    def test_webchat(self) -> None:
        """The address of the web chat, with the room's address in it, if everybody may find and enter the room."""
        self.assertNotIn("muc#roominfo_webchat_url", self.roominfo(self.stranger))
        self.startServer(webchatURL="https://chat.localhost/?join={jid}#x")
        self.romeo, self.stranger = self.login("romeo", "stranger")
        room = "b%lüt@conference.localhost"
        self.createRoom(self.romeo, to=room)
        sendIQ(self.stranger, "get", f"<query xmlns='{ns.DISCO_INFO}'/>", to=room)
        x = self.result(self.stranger).child("x", ns.DATA)
        assert x is not None
        self.assertEqual(
            values(x)["muc#roominfo_webchat_url"],
            ["https://chat.localhost/?join=b%25l%C3%BCt@conference.localhost#x"],
        )
        self.createRoom(self.romeo)
        for fields in ({"membersonly": True}, {"publicroom": False}, {"roomsecret": "rose"}):
            self.assertIn("muc#roominfo_webchat_url", self.roominfo(self.stranger))
            configure(self.romeo, **fields)
            self.discardReceived()
            self.assertNotIn("muc#roominfo_webchat_url", self.roominfo(self.stranger))
            configure(self.romeo, membersonly=False, publicroom=True, passwordprotectedroom=False)
            self.discardReceived()


class InfoTests(InformationTestCase):
    """C{disco#info} of a room (§6.4, §16.3)."""

    def test_identity(self) -> None:
        """A room is a text conference under its configured name, or its localpart."""
        for name in ("room", "Orchard"):
            identities = [child for child in self.info(self.stranger).childElements() if child.name == "identity"]
            self.assertEqual(attributes(identities), [{"category": "conference", "type": "text", "name": name}])
            configure(self.romeo, roomname="Orchard")
            self.discardReceived()

    def test_features(self) -> None:
        """One feature of each pair as the room is configured, and those that every room has."""
        self.assertEqual(self.features(self.stranger), FIXED | DEFAULT)
        for fields, off, on in (
            ({"roomsecret": "rose"}, "muc_unsecured", "muc_passwordprotected"),
            ({"publicroom": False}, "muc_public", "muc_hidden"),
            ({"persistentroom": True}, "muc_temporary", "muc_persistent"),
            ({"membersonly": True}, "muc_open", "muc_membersonly"),
            ({"moderatedroom": True}, "muc_unmoderated", "muc_moderated"),
            ({"whois": "anyone"}, "muc_semianonymous", "muc_nonanonymous"),
        ):
            self.fields = fields
            self.setUp()
            self.assertEqual(self.features(self.stranger), FIXED | (DEFAULT - {off} | {on}), fields)

    def test_form(self) -> None:
        """The form of C{muc#roominfo} shows the current values, and no empty ones (XEP-0128)."""
        expected = {
            "FORM_TYPE": [ns.MUC_ROOMINFO],
            "muc#roominfo_occupants": ["1"],
            "muc#roominfo_subjectmod": ["0"],
            "muc#roomconfig_allowinvites": ["0"],
            "muc#roomconfig_allowpm": ["anyone"],
            "muc#roomconfig_changesubject": ["0"],
            "muc#maxhistoryfetch": ["20"],
        }
        setSubject(self.romeo, "")
        self.discardReceived()
        self.assertEqual(self.roominfo(self.stranger), expected)
        others = {"muc#maxhistoryfetch": "7", "muc#roominfo_contactjid": ["nurse@localhost", "friar@localhost"]}
        fields = {"roomname": "Orchard", "roomdesc": "A wall", "lang": "it", "changesubject": True}
        configure(self.romeo, **fields, allowinvites=True, allowpm="none", **others)
        self.enter("juliet")
        expected |= {
            "muc#roomconfig_roomname": ["Orchard"],
            "muc#roomconfig_allowinvites": ["1"],
            "muc#roomconfig_allowpm": ["none"],
            "muc#maxhistoryfetch": ["7"],
            "muc#roominfo_contactjid": ["nurse@localhost", "friar@localhost"],
            "muc#roominfo_description": ["A wall"],
            "muc#roominfo_lang": ["it"],
            "muc#roominfo_occupants": ["2"],
            "muc#roominfo_subjectmod": ["1"],
            "muc#roomconfig_changesubject": ["1"],
        }
        self.assertEqual(self.roominfo(self.stranger), expected)

    def test_subject(self) -> None:
        """The subject is shown to everybody where everybody may enter, otherwise only to those who may (§14.4)."""
        setSubject(self.romeo, "Love")
        sendAdmin(self.romeo, affiliation("member@localhost", "member"), affiliation("outcast@localhost", "outcast"))
        member, outcast = self.login("member", "outcast")
        guest = self.client("guest")
        self.enter(guest)
        for fields, told in (
            ({}, {"romeo", "member", "guest", "stranger"}),
            ({"publicroom": False}, {"romeo", "member", "guest"}),
            ({"publicroom": True, "roomsecret": "rose"}, {"romeo", "member", "guest"}),
            ({"roomsecret": "", "membersonly": True}, {"romeo", "member"}),
        ):
            configure(self.romeo, **fields)
            self.discardReceived()
            known = (outcast,) if fields.get("publicroom", True) else ()
            for client in (self.romeo, member, *known, guest, self.stranger):
                name = client.session.jid.local
                subject = self.roominfo(client).get("muc#roominfo_subject")
                self.assertEqual(subject, ["Love"] if name in told else None, (fields, name))


class BannedTests(InformationTestCase):
    """What banned users learn about a room."""

    def test_hidden(self) -> None:
        """Of a hidden room nothing (§4.2): C{forbidden}, for its vCard and nodes too; other strangers get all."""
        sendAdmin(self.romeo, affiliation("tybalt@localhost", "outcast"))
        banned = self.login("tybalt", "tybalt/b")
        configure(self.romeo, publicroom=False)
        sendIQ(self.romeo, "set", f"<vCard xmlns='{ns.VCARD_TEMP}'><FN>Room</FN></vCard>")
        self.discardReceived()
        nodes = ("", " node='x-roomuser-item'", f" node='{ns.COMMANDS}'")
        payloads = [f"<query xmlns='{ns.DISCO_INFO}'{node}/>" for node in nodes]
        for payload in (*payloads, f"<vCard xmlns='{ns.VCARD_TEMP}'/>"):
            for client in banned:
                sendIQ(client, "get", payload)
                self.assertReceived(client, "error q auth forbidden")
            sendIQ(self.stranger, "get", payload)
            self.assertReceived(self.stranger, "result q")

    def test_public(self) -> None:
        """A public room is found by everybody."""
        sendAdmin(self.romeo, affiliation("tybalt@localhost", "outcast"))
        self.discardReceived()
        self.assertIn("muc_public", self.features(self.client("tybalt")))


class NodeTests(InformationTestCase):
    """The well-known nodes (§7.12, §16.4, §18.1.1)."""

    def test_reservedNick(self) -> None:
        """A user finds their reserved nick, inside and outside; without one the answer is empty (§7.12)."""
        register(self.stranger, "Mercutio")
        self.discardReceived()
        for entered in (False, True):
            if entered:
                self.enter(self.stranger, "Somebody")
            query = self.info(self.stranger, "x-roomuser-item")
            self.assertEqual(query.get("node"), "x-roomuser-item")
            self.assertEqual(
                attributes(query.childElements()), [{"category": "conference", "type": "text", "name": "Mercutio"}]
            )
        self.discardReceived()
        query = self.info(self.romeo, "x-roomuser-item")
        self.assertEqual((query.get("node"), list(query.childElements())), ("x-roomuser-item", []))

    def test_traffic(self) -> None:
        """A room that filters nothing answers C{service-unavailable} (§18.1.1)."""
        sendIQ(self.stranger, "get", f"<query xmlns='{ns.DISCO_INFO}' node='{ns.MUC}#traffic'/>")
        self.assertReceived(self.stranger, "error q cancel service-unavailable")

    def test_unknown(self) -> None:
        """Unknown nodes are C{item-not-found}; an empty node is none."""
        for kind in (ns.DISCO_INFO, ns.DISCO_ITEMS):
            sendIQ(self.romeo, "get", f"<query xmlns='{kind}' node='other'/>")
            self.assertReceived(self.romeo, "error q cancel item-not-found")
            sendIQ(self.romeo, "get", f"<query xmlns='{kind}' node=''/>")
            self.assertReceived(self.romeo, "result q")


class ItemsTests(InformationTestCase):
    """C{disco#items} of a room (§6.5)."""

    def items(self, client: Client) -> list[dict[str, str]]:
        """The answer to C{disco#items}."""
        sendIQ(client, "get", f"<query xmlns='{ns.DISCO_ITEMS}'/>")
        return attributes(self.result(client).childElements())

    def test_occupants(self) -> None:
        """Occupants see the addresses of occupants; to everybody else, an owner outside included, the list is empty."""
        juliet = self.client("juliet")
        self.enter(juliet)
        for client in (self.romeo, juliet):
            self.assertEqual(self.items(client), [{"jid": f"{ROOM}/Romeo"}, {"jid": f"{ROOM}/Juliet"}])
        for client in (self.stranger, self.client("romeo/b")):
            self.assertEqual(self.items(client), [])

    def test_pages(self) -> None:
        """A list of many is given in pages (XEP-0059), at most a hundred at once if the request has no limit."""
        self.enterAll(*self.login("juliet", "nurse"))
        for inside, nicks, index in (
            ("<max>2</max>", ["Romeo", "Juliet"], "0"),
            (f"<max>2</max><after>{ROOM}/Juliet</after>", ["Nurse"], "2"),
            ("<max>1</max><before/>", ["Nurse"], "2"),
            (f"<before>{ROOM}/Nurse</before>", ["Romeo", "Juliet"], "0"),
            ("<max>1</max><index>1</index>", ["Juliet"], "1"),
            ("<max>0</max>", [], None),
        ):
            found, about = self.page(f"<set xmlns='{ns.RSM}'>{inside}</set>")
            self.assertEqual([address.partition("/")[2] for address in found], nicks, inside)
            first, count = about.child("first"), about.child("count")
            self.assertEqual(first and (first.text(), first.get("index")), (found[0], index) if found else None)
            self.assertEqual(count and count.text(), "3")
        sendIQ(
            self.romeo, "get", f"<query xmlns='{ns.DISCO_ITEMS}'><set xmlns='{ns.RSM}'><after>x</after></set></query>"
        )
        self.assertReceived(self.romeo, "error q cancel item-not-found")
        for number in range(98):
            self.enter(f"guest{number}")
        found, about = self.page("")
        self.assertEqual(len(found), 100)

    def page(self, inside: str) -> tuple[list[str], Element]:
        """The addresses in a page, and its C{<set/>}."""
        sendIQ(self.romeo, "get", f"<query xmlns='{ns.DISCO_ITEMS}'>{inside}</query>")
        query = self.result(self.romeo)
        about = query.child("set", ns.RSM)
        assert about is not None
        return [child.attributes["jid"] for child in query.childElements() if child.name == "item"], about

    def test_public(self) -> None:
        """An owner can show them to everybody but outcasts, as long as everybody can find and enter the room."""
        sendAdmin(self.romeo, affiliation("tybalt@localhost", "outcast"))
        tybalt = self.client("tybalt")
        self.discardReceived()
        everybody = [{"jid": f"{ROOM}/Romeo"}]
        for fields, seen in (
            ({"x-muc#roomconfig_publiclist": True}, everybody),
            ({"publicroom": False}, []),
            ({"publicroom": True, "membersonly": True}, []),
            ({"membersonly": False, "roomsecret": "rose"}, []),
            ({"roomsecret": ""}, everybody),
            ({"x-muc#roomconfig_publiclist": False}, []),
        ):
            configure(self.romeo, **fields)
            self.discardReceived()
            self.assertEqual((self.items(self.stranger), self.items(tybalt)), (seen, []), fields)
            self.assertEqual(self.items(self.romeo), everybody)

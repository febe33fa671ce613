# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of C{muccore.operations.transfer.documentsource}, with documents as other servers write them."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from muccore.interfaces import Affiliate, RosterItem, Subject
from muccore.operations.transfer import documentevents
from muccore.operations.transfer.documentsource import DocumentSource
from muccore.operations.transfer.records import Messages, Problem, Room, SourceError, User
from muccore.xmpp.rendering import render
from tests.configuration import ENVIRONMENT

HEAD = "<server-data xmlns='urn:xmpp:pie:0' xmlns:xi='http://www.w3.org/2001/XInclude'>"

RESULT = (
    "<result xmlns='urn:xmpp:mam:2' id='{id}'><forwarded xmlns='urn:xmpp:forward:0'>"
    "<delay xmlns='urn:xmpp:delay' stamp='2010-07-10T23:08:25Z'/>{message}</forwarded></result>"
)


class DocumentTestCase(SynchronousTestCase):
    """A folder with documents."""

    def setUp(self) -> None:
        """Make the folder."""
        self.folder = os.path.abspath(self.mktemp())
        os.makedirs(self.folder)

    def write(self, name: str, content: str) -> str:
        """Write a file; return its path."""
        path = os.path.join(self.folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(content)
        return path

    def read(self, content: str) -> list[Any]:
        """The records of a document."""
        return list(DocumentSource(self.write("main.xml", f"{HEAD}{content}</server-data>")).records())

    def readUser(self, content: str, attributes: str = "") -> tuple[User, list[str]]:
        """The account of a document with one, and the problems."""
        found = self.read(f"<host jid='capulet.lit'><user name='juliet'{attributes}>{content}</user></host>")
        (user,) = [each for each in found if isinstance(each, User)]
        return user, [f"{each.what}: {each.reason}" for each in found if isinstance(each, Problem)]

    def readRoom(self, content: str) -> tuple[Room, list[str]]:
        """The room of a document with one, and the problems."""
        found = self.read(f"<host jid='chat.capulet.lit'><room name='cave'>{content}</room></host>")
        (room,) = [each for each in found if isinstance(each, Room)]
        return room, [f"{each.what}: {each.reason}" for each in found if isinstance(each, Problem)]


class StructureTests(DocumentTestCase):
    """Hosts, accounts and files."""

    def test_hosts(self) -> None:
        """Accounts and rooms of several hosts come, prepared; what is unknown, or has no valid name, is told."""
        found = self.read(
            "<host jid='Capulet.LIT'><user name='Juliet'/><x xmlns='urn:x'><user name='no'/></x><user/></host>"
            "<other><host jid='no.lit'/></other><host jid='a b'><user name='no'/></host>"
            "<host jid='chat.lit'><room name='Cave'/><user name='@'/></host>"
        )
        records = [each for each in found if not isinstance(each, Problem)]
        names = [each.account if isinstance(each, User) else each.room for each in records]
        self.assertEqual(names, ["juliet@capulet.lit", "cave@chat.lit"])
        problems = [each for each in found if isinstance(each, Problem)]
        self.assertEqual(
            [each.what for each in problems],
            ["{urn:x}x", "'' at capulet.lit", "{urn:xmpp:pie:0}other", "the host 'a b'", "'@' at chat.lit"],
        )

    def test_included(self) -> None:
        """A document can be split into files of its folder (§5)."""
        self.write("capulet.lit.xml", "<host xmlns='urn:xmpp:pie:0' xmlns:i='http://www.w3.org/2001/XInclude' "
                   "jid='capulet.lit'><i:include href='capulet.lit/juliet.xml'/>"
                   "<i:include href='capulet.lit/%20r.xml'/></host>")  # fmt: skip
        self.write("capulet.lit/juliet.xml", "<user xmlns='urn:xmpp:pie:0' xmlns:i='http://www.w3.org/2001/XInclude' "
                   "name='juliet'><i:include href='../card.xml'/><query xmlns='jabber:iq:private'>"
                   "<i:include href='../card.xml'/></query></user>")  # fmt: skip
        self.write("capulet.lit/ r.xml", "<user xmlns='urn:xmpp:pie:0' name='romeo'/>")
        self.write("card.xml", "<vCard xmlns='vcard-temp'><FN>J</FN></vCard>")
        juliet, romeo = self.read("<xi:include href='capulet.lit.xml'/>")
        self.assertEqual((juliet.account, romeo.account), ("juliet@capulet.lit", "romeo@capulet.lit"))
        self.assertEqual(juliet.vCard.childText("FN"), "J")
        # What a user has stored is not looked at.
        self.assertEqual(juliet.private[0].name, "include")

    def test_badInclusions(self) -> None:
        """Nothing is read from elsewhere, nor in circles."""
        self.write("circle.xml", "<host xmlns='urn:xmpp:pie:0' xmlns:i='http://www.w3.org/2001/XInclude' jid='a.lit'>"
                   "<i:include href='circle.xml'/></host>")  # fmt: skip
        os.symlink("/etc/passwd", os.path.join(self.folder, "link.xml"))
        for include in (
            "href='/etc/passwd'", "href='../x.xml'", "href='http://localhost/x.xml'", "href='file:///etc/passwd'", "",
            "href='circle.xml' parse='text'", "href='circle.xml' xpointer='x'", "href='link.xml'", "href='//h/x'",
        ):  # fmt: skip
            (problem,) = self.read(f"<xi:include {include}/>")
            self.assertIn("not allowed", problem.reason)
        found = self.read("<xi:include href='circle.xml'/>")
        self.assertIn("{urn:xmpp:pie:0}host", found[0].what)

    def test_unreadable(self) -> None:
        """A file that is no such document, no XML, or missing, is an error that names it."""
        for content in ("", "<x/>", f"{HEAD}<host jid='a'>", f"{HEAD}<host></server-data>", "\0", f"{HEAD}&x;"):
            source = DocumentSource(self.write("bad.xml", content))
            with self.assertRaises(SourceError) as caught:
                list(source.records())
            self.assertIn("bad.xml", str(caught.exception))
        with self.assertRaises(SourceError):
            DocumentSource(os.path.join(self.folder, "none"))
        with self.assertRaises(SourceError):
            self.read("<xi:include href='none.xml'/>")

    def test_noEntities(self) -> None:
        """A document type is refused, with all that it could do."""
        for declaration in ("<!ENTITY a 'b'>", "<!ENTITY a SYSTEM 'file:///etc/passwd'>"):
            path = self.write("x.xml", f"<!DOCTYPE server-data [{declaration}]>{HEAD}<host jid='&a;'/></server-data>")
            with self.assertRaises(SourceError):
                list(DocumentSource(path).records())
        path = self.write("x.xml", f"<!DOCTYPE server-data SYSTEM 'file:///etc/passwd'>{HEAD}</server-data>")
        with self.assertRaises(SourceError):
            list(DocumentSource(path).records())

    def test_largeElement(self) -> None:
        """An element that has to be read as a whole is not larger than allowed."""
        self.patch(documentevents, "ELEMENT_LIMIT", 200_000)
        item = "<item jid='a@b' subscription='none'/>" * 3000
        self.readUser(f"<query xmlns='jabber:iq:roster'>{item}</query>")
        with self.assertRaises(SourceError):
            self.readUser(f"<query xmlns='jabber:iq:roster'>{item * 5}</query>")

    def test_position(self) -> None:
        """How far it is, is known in bytes; it can be read again."""
        rest = " " * 200_000
        path = self.write("main.xml", f"{HEAD}<host jid='a.lit'><user name='a'/></host>{rest}</server-data>")
        source = DocumentSource(path)
        self.assertEqual((source.position, source.size, source.unit), (0, os.stat(path).st_size, "B"))
        for _ in range(2):
            self.assertEqual(len(list(source.records())), 1)
            self.assertEqual(source.position, source.size)


class UserTests(DocumentTestCase):
    """The parts of accounts."""

    def test_password(self) -> None:
        """A password comes as it is."""
        self.assertEqual(self.readUser("", " password='a &lt; b'")[0].password, "a < b")

    def test_credentials(self) -> None:
        """The example of §4.3; keys that cannot be such are told."""
        made = (
            "<scram-credentials xmlns='urn:xmpp:pie:0#scram' mechanism='{}'><iter-count>{}</iter-count>"
            "<salt>TmFDbE5hQ2xOYUNsTmFDbE5hQ2xOYUNsTmFDbE5hQ2xOYUNsTmFDbE5hQ2wK</salt>"
            "<server-key>0pXWGK0GZJ6TR73AIUN3ITYtA1g=</server-key><stored-key>{}</stored-key></scram-credentials>"
        )
        good = made.format("SCRAM-SHA-1", 100000, "Q6qT/SbybblGCZz8e8eSfCJOQic=")
        user, problems = self.readUser(good)
        (keys,) = user.keys
        self.assertEqual((keys.hashName, keys.iterations, len(keys.storedKey), problems), ("SHA-1", 100000, 20, []))
        bad = [
            ("SCRAM-MD5", 1, "QQ=="), ("SCRAM-SHA-1", 0, "QQ=="), ("SCRAM-SHA-1", 10**9, "QQ=="),
            ("SCRAM-SHA-1", "x", ""), ("SCRAM-SHA-1", 1, "QQ=="), ("SCRAM-SHA-1", 5, "!"),
            ("SCRAM-SHA-256", 1, "Q6qT/SbybblGCZz8e8eSfCJOQic="),
        ]  # fmt: skip
        user, problems = self.readUser(good * 2 + "".join(made.format(*each) for each in bad) + "<scram-credentials "
                                       "xmlns='urn:xmpp:pie:0#scram'/>")  # fmt: skip
        self.assertEqual((len(user.keys), len(problems)), (1, 9))

    def test_roster(self) -> None:
        """The roster, with requests that wait; bad items are told, and the others come."""
        user, problems = self.readUser(
            "<presence xmlns='jabber:client' type='subscribe' id='x' from='Romeo@montague.lit/x' to='j@capulet.lit'>"
            "<nick xmlns='http://jabber.org/protocol/nick'>Romeo</nick></presence>"
            "<query xmlns='jabber:iq:roster'><item jid='romeo@Montague.lit' name='R' subscription='to' ask='subscribe'>"
            "<group>b</group><group>a</group><group>b</group></item><item/><item jid='a@b@c'/><x jid='a@b'/>"
            "<item jid='a@b' subscription='remove'/><item jid='nurse@capulet.lit'/></query>"
            "<presence xmlns='jabber:client' type='subscribe' from='tybalt@capulet.lit'/>"
            "<presence xmlns='jabber:client' from='a@b'/><presence xmlns='jabber:client' type='subscribe'/>"
        )
        self.assertEqual(list(user.roster), ["romeo@montague.lit", "nurse@capulet.lit", "tybalt@capulet.lit"])
        request = user.roster["romeo@montague.lit"].request or b""
        self.assertTrue(request.startswith(b"<presence type='subscribe' id='x'"), request)
        self.assertNotIn(b" to=", request)
        expected = RosterItem("R", ("a", "b"), "to", True, False, request)
        self.assertEqual(user.roster["romeo@montague.lit"], expected)
        self.assertFalse(user.roster["tybalt@capulet.lit"].listed)
        self.assertEqual(len(problems), 6, problems)

    def test_offline(self) -> None:
        """The example of §4.5, and messages without a time or address."""
        user, problems = self.readUser(
            "<offline-messages><message xmlns='jabber:client' from='romeo@montague.net/orchard' "
            "to='juliet@capulet.com/balcony' type='chat'><body>Neither</body><delay xmlns='urn:xmpp:delay' "
            "from='capulet.com' stamp='1469-07-21T00:32:29Z'>Offline Storage</delay></message>"
            "<message xmlns='jabber:client' from='a@b'><body>2</body></message><message/>"
            "<message xmlns='jabber:client'/></offline-messages>"
        )
        self.assertEqual([each.time < 0 for each in user.offline], [True, True])
        self.assertEqual(user.offline[1].message.attributes, {"from": "a@b", "to": "juliet@capulet.lit"})
        self.assertEqual(len(problems), 2)

    def test_stored(self) -> None:
        """Private XML, vCard, block list, preferences, and what is our own."""
        user, problems = self.readUser(
            "<query xmlns='jabber:iq:private'><exodus xmlns='exodus:prefs'><defaultnick>J</defaultnick></exodus>"
            "<x/></query>"
            "<vCard xmlns='vcard-temp'><FN>Juliet</FN></vCard>"
            "<blocklist xmlns='urn:xmpp:blocking'><item jid='Tybalt@capulet.lit'/><item/></blocklist>"
            "<prefs xmlns='urn:xmpp:mam:2' default='roster'><always/><never><jid>a@b</jid></never></prefs>"
            "<disabled xmlns='urn:muccore:data:0'/>"
            "<document xmlns='urn:muccore:data:0' kind='k' key='a'>AP8=</document>"
            "<document xmlns='urn:muccore:data:0' kind='k'>AP8=</document>"
            "<preference xmlns='urn:muccore:data:0' name='n'>[1]</preference>"
            "<preference xmlns='urn:muccore:data:0' name='o'>[</preference>"
            "<prefs xmlns='urn:xmpp:mam:2'/>"
            "<strange xmlns='urn:x'/>"
        )
        self.assertEqual([render(each) for each in user.private],
                         [b"<exodus xmlns='exodus:prefs'><defaultnick>J</defaultnick></exodus>"])  # fmt: skip
        self.assertEqual((user.blocked, user.disabled), (frozenset(["tybalt@capulet.lit"]), True))
        assert user.archiving is not None
        self.assertEqual((user.archiving.default, user.archiving.never), ("roster", frozenset(["a@b"])))
        self.assertEqual((user.documents, user.preferences), ({("k", "a"): b"\0\xff"}, {"n": [1]}))
        self.assertEqual(len(problems), 6, problems)
        self.assertIn("{urn:x}strange: this server does not know it", problems)

    def test_archive(self) -> None:
        """The archive, wherever it stands among the parts; in pieces."""
        juliet, romeo = "'juliet@capulet.lit/b'", "'romeo@montague.lit/o'"
        sent = f"<message xmlns='jabber:client' from={juliet} to={romeo}><body>1</body></message>"
        got = f"<message xmlns='jabber:client' to={juliet} from={romeo}><body>2</body></message>"
        results = [RESULT.format(id=number, message=(sent, got)[number % 2]) for number in range(250)]
        bad = [RESULT.format(id="", message=sent), RESULT.format(id="x", message=""), "<x/>",
               RESULT.format(id="x", message="<message xmlns='jabber:client' from='a@b'/>")]  # fmt: skip
        found = self.read(
            "<host jid='capulet.lit'><user name='juliet'><vCard xmlns='vcard-temp'/>"
            "<archive xmlns='urn:xmpp:pie:0#mam'>"
            f"{''.join(results + bad)}</archive><disabled xmlns='urn:muccore:data:0'/></user></host>"
        )
        kinds = [type(each).__name__ for each in found]
        self.assertEqual(kinds, ["User", "Messages", *["Problem"] * 4, "Messages", "User"])
        self.assertTrue(found[-1].disabled)
        items = [item for each in found if isinstance(each, Messages) for item in each.items]
        self.assertEqual([item.id for item in items], [str(number) for number in range(250)])
        self.assertEqual({item.sender for item in items}, {"romeo@montague.lit/o"})
        self.assertEqual([item.author for item in items[:2]], ["juliet@capulet.lit", "romeo@montague.lit"])
        self.assertTrue(items[1].stanza.tail.startswith(b" to='juliet@capulet.lit/b' from="), items[1].stanza.tail)


class RoomTests(DocumentTestCase):
    """The parts of rooms."""

    def test_configuration(self) -> None:
        """The form, in a request or alone; values that are not possible here are told, with their fields."""
        fields = {
            "FORM_TYPE": "http://jabber.org/protocol/muc#roomconfig", "muc#roomconfig_roomname": "A Dark Cave",
            "muc#roomconfig_membersonly": "true", "muc#roomconfig_whois": "nobody", "muc#roomconfig_historylength": "5",
            "muc#roomconfig_maxusers": "none", "muc#roomconfig_roomsecret": "s", "strange": "1",
            "muc#roomconfig_lang": "?", "muc#roomconfig_roomowners": "a@b",
        }  # fmt: skip
        x = "".join(f"<field var='{var}'><value>{value}</value></field>" for var, value in fields.items())
        form = f"<x xmlns='jabber:x:data' type='form'>{x}</x>"
        for given in (form, f"<query xmlns='http://jabber.org/protocol/muc#owner'>{form}</query>"):
            room, problems = self.readRoom(given)
            self.assertEqual(room.room, "cave@chat.capulet.lit")
            expected = {"name": "A Dark Cave", "membersOnly": True, "historyLength": 5, "maxUsers": 0, "password": "s"}
            self.assertEqual(room.settings, expected)
            self.assertEqual([each.partition(":")[0] for each in problems],
                             ["the setting muc#roomconfig_whois", "the setting strange",
                              "the setting muc#roomconfig_lang"])  # fmt: skip

    def test_rest(self) -> None:
        """Affiliations, subject, vCard, and what is our own."""
        room, problems = self.readRoom(
            "<query xmlns='http://jabber.org/protocol/muc#admin'><item affiliation='owner' jid='Crone1@capulet.lit/x'/>"
            "<item affiliation='outcast' jid='earthly.lit'><reason>Treason</reason></item><item jid='a@b'/>"
            "<item affiliation='none' jid='a@b' nick='n'/><item affiliation='king' jid='a@b'/></query>"
            "<message xmlns='jabber:client' from='cave@chat.capulet.lit/n'><subject xml:lang='en'>Fire</subject>"
            "<delay xmlns='urn:xmpp:delay' stamp='1970-01-01T00:00:05Z'/>"
            "<x xmlns='http://jabber.org/protocol/muc#user'><item jid='a@b/c'/></x></message>"
            "<vCard xmlns='vcard-temp'/><creator xmlns='urn:muccore:data:0' jid='a@b'/>"
            "<setting xmlns='urn:muccore:data:0' name='extension:x'>[1]</setting>"
            "<setting xmlns='urn:muccore:data:0' name='public'>[1]</setting>"
            "<state xmlns='urn:muccore:data:0' extension='hats' key='k'>{}</state>"
            "<message xmlns='jabber:client'/>"
        )
        self.assertEqual(room.affiliates, {
            "crone1@capulet.lit": Affiliate("owner"), "earthly.lit": Affiliate("outcast", None, "Treason"),
            "a@b": Affiliate("none", "n"),
        })  # fmt: skip
        self.assertEqual(room.subject, Subject("Fire", "n", 5.0, "en", "a@b"))
        self.assertEqual((room.creator, room.settings, room.states), ("a@b", {"extension:x": [1]}, {"hats": {"k": {}}}))
        self.assertEqual(len(problems), 4, problems)

    def test_archive(self) -> None:
        """Messages with their authors; those that are not from the room are told."""
        message = (
            "<message xmlns='jabber:client' type='groupchat' from='{}' to='x@y'><body>1</body>"
            "<x xmlns='http://jabber.org/protocol/muc#user'><item jid='romeo@montague.lit/o'/></x></message>"
        )
        senders = {"a": "cave@chat.capulet.lit/n", "b": "cave@chat.capulet.lit", "c": "a@b"}
        results = [RESULT.format(id=id, message=message.format(sender)) for id, sender in senders.items()]
        found = self.read(
            "<host jid='chat.capulet.lit'><room name='cave'><archive xmlns='urn:xmpp:pie:0#mam'>"
            f"{''.join(results)}</archive></room></host>"
        )
        self.assertEqual([type(each).__name__ for each in found], ["Room", "Problem", "Messages"])
        first, second = found[2].items
        self.assertEqual((first.sender, first.author), ("cave@chat.capulet.lit/n", "romeo@montague.lit"))
        self.assertEqual((second.sender, second.time), ("cave@chat.capulet.lit", 1278803305000000))
        expected = b" type='groupchat' from='cave@chat.capulet.lit/n'><body>1</body></message>"
        self.assertEqual(first.stanza.tail, expected)


MEASURE = """
import resource, sys
from muccore.operations.transfer.documentsource import DocumentSource
count = 0
for record in DocumentSource(sys.argv[1]).records():
    count += len(getattr(record, "items", ()))
print(count, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


class MemoryTests(DocumentTestCase):
    """Large documents."""

    def measure(self, megabytes: int) -> tuple[int, int]:
        """Read a document of one account with a large archive; return the number of messages and KiB of memory."""
        message = f"<message xmlns='jabber:client' from='a@b' to='j@c.lit'><body>{'x' * 8000}</body></message>"
        path = os.path.join(self.folder, "large.xml")
        with open(path, "w") as file:
            file.write(f"{HEAD}<host jid='c.lit'><user name='j'><archive xmlns='urn:xmpp:pie:0#mam'>")
            for number in range(megabytes * 125):
                file.write(RESULT.format(id=number, message=message) + "\n")
            file.write("</archive></user></host></server-data>")
        read = subprocess.run([sys.executable, "-c", MEASURE, path], env=ENVIRONMENT, capture_output=True, text=True)
        count, memory = read.stdout.split()
        return int(count), int(memory)

    def test_constant(self) -> None:
        """50 MB take no more memory than 5 MB."""
        small, least = self.measure(5)
        large, most = self.measure(50)
        self.assertEqual((small, large), (625, 6250))
        self.assertLess(most - least, 8 * 1024)

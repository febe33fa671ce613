# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of C{muccore.operations.transfer.ejabberd.source}."""

from __future__ import annotations

import base64
import json
import os
import shutil

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from muccore.im.archivepreferences import ArchivePreferences
from muccore.im.lastactivity import KEY, KIND
from muccore.interfaces import Affiliate
from muccore.operations.transfer.ejabberd.source import EjabberdSource
from muccore.operations.transfer.records import ISource, Messages, Problem, Record, Room, SourceError, User
from muccore.xmpp.scramkeys import ScramKeys
from tests.operations.transfer.ejabberd.tablefiles import address, archived, message, write

_MAIN = """<?xml version='1.0' encoding='UTF-8'?><server-data xmlns='urn:xmpp:pie:0'
xmlns:xi='http://www.w3.org/2001/XInclude'><xi:include href='2026_montague.lit.xml'/></server-data>"""
_HOST = """<?xml version='1.0' encoding='UTF-8'?><host xmlns='urn:xmpp:pie:0'
xmlns:xi='http://www.w3.org/2001/XInclude' jid='montague.lit'><user name='romeo'>{credentials}
<query xmlns='jabber:iq:privacy'><default name='Blocked contacts'/><list name='Blocked contacts'>
<item value='tybalt@capulet.lit' type='jid' order='0' action='deny'/></list></query>
<query xmlns='jabber:iq:roster'><item subscription='both' jid='juliet@capulet.lit'/></query></user>
<user name='benvolio' password='secret'/></host>"""
_KEYS = ScramKeys.derive("SHA-1", "secret", b"0123456789abcdef", 4096)

ROMEO, ROOM = address("romeo", "montague.lit"), address("orchard", "conference.lit")


def _credentials(times: int) -> str:
    """The keys as ejabberd exports them."""
    texts = []
    for value in (_KEYS.salt, _KEYS.serverKey, _KEYS.storedKey):
        for _ in range(times):
            value = base64.b64encode(value)
        texts.append(value.decode())
    salt, server, stored = texts
    return (
        "<scram-credentials xmlns='urn:xmpp:pie:0#scram' mechanism='SCRAM-SHA-1'><iter-count>4096</iter-count>"
        f"<salt>{salt}</salt><server-key>{server}</server-key><stored-key>{stored}</stored-key></scram-credentials>"
    )


class SourceTests(SynchronousTestCase):
    """A folder."""

    def setUp(self) -> None:
        """Export accounts."""
        self.folder = os.path.abspath(self.mktemp())
        os.makedirs(self.folder)
        self.put("2026.xml", _MAIN)
        self.put("2026_montague.lit.xml", _HOST.format(credentials=_credentials(2)))

    def put(self, name: str, content: str) -> None:
        """Write a file."""
        with open(os.path.join(self.folder, name), "w", encoding="utf-8") as file:
            file.write(content)

    def dump(self, *rows: str, name: str = "tables.txt") -> None:
        """Export tables."""
        shutil.move(write(self, *rows), os.path.join(self.folder, name))

    def records(self) -> list[Record]:
        """What is there."""
        return list(EjabberdSource(self.folder).records())

    def test_accounts(self) -> None:
        """Accounts come with their keys, which version 23.01 encodes twice."""
        for times in (1, 2):
            self.put("2026_montague.lit.xml", _HOST.format(credentials=_credentials(times)))
            romeo, benvolio = self.records()
            assert isinstance(romeo, User)
            self.assertEqual((romeo.account, romeo.keys, romeo.password), ("romeo@montague.lit", (_KEYS,), None))
            self.assertEqual(romeo.blocked, {"tybalt@capulet.lit"})
            self.assertEqual(list(romeo.roster), ["juliet@capulet.lit"])
            self.assertEqual(benvolio, User(account="benvolio@montague.lit", password="secret"))

    def test_archives(self) -> None:
        """Archives follow their accounts and rooms, whatever their order in the file; nicks become those of rooms."""
        sent = message("Hi", **{"from": "romeo@montague.lit/x", "to": "orchard@conference.lit", "type": "groupchat"})
        self.dump(
            archived(ROOM, sent, "1", '<<"Romeo">>', "groupchat"),
            archived(ROMEO, message("Hi", **{"from": "a@x", "to": "romeo@montague.lit"}), "2"),
            f"{{muc_room,{ROOM},[{{persistent,true}},{{affiliations,[{{{ROMEO},owner}}]}}]}}",
            f'{{muc_registered,{{{ROMEO},<<"conference.lit">>}},<<"Romeo">>}}',
            f"{{archive_prefs,{ROMEO},never,[],[]}}",
            f'{{last_activity,{ROMEO},17,<<"Away">>}}',
        )
        source = EjabberdSource(self.folder)
        verifyObject(ISource, source)
        for _ in range(2):
            romeo, mine, _, room, ours = source.records()
            assert isinstance(romeo, User) and isinstance(mine, Messages)
            assert isinstance(room, Room) and isinstance(ours, Messages)
            self.assertEqual((mine.archive, [each.id for each in mine.items]), ("romeo@montague.lit", ["2"]))
            self.assertEqual((ours.archive, [each.id for each in ours.items]), ("orchard@conference.lit", ["1"]))
            self.assertEqual(romeo.archiving, ArchivePreferences("never"))
            self.assertEqual(json.loads(romeo.documents[KIND, KEY]), {"time": 17, "status": "Away"})
            self.assertEqual(room.affiliates, {"romeo@montague.lit": Affiliate("owner", "Romeo")})
            assert source.size is not None
            self.assertTrue(0 < source.position <= 2 * source.size)

    def test_left(self) -> None:
        """What belongs to nobody, or has no place, is told; a room that does not come takes its archive with it."""
        self.dump(
            archived(address("nobody", "montague.lit"), message("Hi")),
            archived(ROOM, message("Hi")),
            f"{{muc_room,{ROOM},[]}}",
            "{archive_msg,x}",
            f"{{archive_prefs,{address('nobody', 'montague.lit')},never,[],[]}}",
            "{archive_prefs,x}",
            f'{{muc_registered,{{{ROMEO},<<"conference.lit">>}},<<"Romeo">>}}',
            "{muc_registered,x,y}",
            f"{{last_activity,{ROMEO},x,<<>>}}",
            "{irc_custom,x}", "{irc_custom,y}", "{passwd,x}", "{caps_features,x}",
        )  # fmt: skip
        self.put("notes.txt", "to do")
        problems = [str(each) for each in self.records() if isinstance(each, Problem)]
        self.assertEqual(
            problems,
            [
                "a row of muc_registered: it is no registered nick",
                "a row of archive_prefs: what is to be archived is not known",
                "a row of last_activity: it has no time",
                "an archive: it does not say whose it is",
                "orchard@conference.lit: room: it is temporary: it ends with ejabberd",
                "nobody@montague.lit: archive: there is no such account or room in the export",
                "nobody@montague.lit: what is to be archived: there is no such account or room in the export",
                "romeo@montague.lit: registered nick at conference.lit: nicks are registered with rooms, to members",
                "table irc_custom, with 2 rows: muccore has nothing like it",
                "file notes.txt: it is no document of XEP-0227, and has no tables of ejabberd",
            ],
        )

    def test_broken(self) -> None:
        """A table that cannot be read to its end is told, with what precedes."""
        self.dump(f"{{muc_room,{ROOM},[{{persistent,true}}]}}", "{muc_room,<0.1.0>}", "{muc_registered,<0.1.0>}")
        self.put("2026_montague.lit.xml", "<host xmlns='urn:xmpp:pie:0' jid='montague.lit'/>")
        problems = [str(each) for each in self.records() if isinstance(each, Problem)]
        self.assertEqual(
            problems,
            [
                "table muc_registered: there is no term in line 1",
                "rooms in tables.txt: there is no term in line 2",
            ],
        )

    def test_refused(self) -> None:
        """A folder without an export, or with something twice, is refused."""
        with self.assertRaises(SourceError):
            EjabberdSource(self.folder + "x")
        empty = os.path.abspath(self.mktemp())
        os.makedirs(empty)
        with self.assertRaises(SourceError):
            EjabberdSource(empty)
        self.dump("{muc_room,1}")
        self.dump("{muc_room,1}", name="rooms.txt")
        with self.assertRaises(SourceError) as caught:
            EjabberdSource(self.folder)
        self.assertIn("muc_room is in rooms.txt and in tables.txt", str(caught.exception))
        self.put("2027.xml", _MAIN)
        with self.assertRaises(SourceError) as caught:
            EjabberdSource(self.folder)
        self.assertIn("2026.xml and 2027.xml", str(caught.exception))

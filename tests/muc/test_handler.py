# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.muc.handler}: the handler as a whole."""

from __future__ import annotations

from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase
from twisted.words.protocols.jabber.ijabber import IXMPPHandler
from zope.interface.verify import verifyObject

from muccore.interfaces.handlers import ITableHandler
from muccore.muc.handler import MUCHandler
from muccore.storage.memory import MemoryRooms
from muccore.testing.defaults import defaultOptions
from muccore.testing.inmemory import InMemoryServer, parseStanza
from muccore.xmpp import ns
from muccore.xmpp.rendering import render
from tests.muc.muchelpers import HOST, ROOM, MUCTestCase, affiliation, attributes, join, role, sendIQ, summaries


class ServiceTests(MUCTestCase):
    """The handler's interfaces, and service discovery of the service (§6.2)."""

    def test_interfaces(self) -> None:
        """The handler provides the interfaces of a table handler and of an XMPP handler."""
        handler = MUCHandler(MemoryRooms(), defaultOptions())
        self.assertTrue(verifyObject(ITableHandler, handler))
        self.assertTrue(verifyObject(IXMPPHandler, handler))

    def test_infoDescribesConference(self) -> None:
        """The service is a text conference under the configured name, and supports MUC."""
        self.startServer(name="Verona")
        juliet = self.client("juliet")
        sendIQ(juliet, "get", f"<query xmlns='{ns.DISCO_INFO}'/>", to=HOST)
        children = list(self.result(juliet).childElements())
        self.assertEqual(
            attributes(child for child in children if child.name == "identity"),
            [{"category": "conference", "type": "text", "name": "Verona"}],
        )
        features = {child.get("var") for child in children if child.name == "feature"}
        own = {ns.MUC, ns.MUC_STABLE_ID, ns.MUC_SELF_PING, ns.RSM, ns.OCCUPANT_ID, ns.VCARD_TEMP, ns.MUC_UNIQUE}
        own |= {ns.COMMANDS, ns.CHANNEL_SEARCH}
        self.assertEqual(features, {ns.DISCO_INFO, ns.DISCO_ITEMS, *own})


_PAYLOADS = [
    "",
    f"<query xmlns='{ns.DISCO_INFO}'/>",
    f"<query xmlns='{ns.DISCO_ITEMS}'/>",
    f"<query xmlns='{ns.MUC_ADMIN}'/>",
    f"<query xmlns='{ns.MUC_ADMIN}'><item/></query>",
    f"<query xmlns='{ns.MUC_ADMIN}'>{affiliation('juliet@localhost', 'outcast')}</query>",
    f"<query xmlns='{ns.MUC_ADMIN}'>{affiliation('', 'member')}{role('', '')}</query>",
    f"<query xmlns='{ns.MUC_ADMIN}'>{role('Juliet', 'none')}</query>",
    f"<query xmlns='{ns.MUC_OWNER}'/>",
    f"<query xmlns='{ns.MUC_OWNER}'><destroy jid=''/></query>",
    f"<query xmlns='{ns.MUC_OWNER}'><x xmlns='{ns.DATA}' type='submit'/></query>",
    f"<query xmlns='{ns.MUC_OWNER}'><x xmlns='{ns.DATA}' type='cancel'/></query>",
    f"<query xmlns='{ns.MUC_OWNER}'><x xmlns='{ns.DATA}' type='submit'><field/></x></query>",
    f"<query xmlns='{ns.REGISTER}'/>",
    f"<query xmlns='{ns.REGISTER}'><remove/></query>",
    f"<query xmlns='{ns.REGISTER}'><x xmlns='{ns.DATA}' type='submit'/></query>",
    f"<x xmlns='{ns.MUC}'/>",
    f"<x xmlns='{ns.MUC}'><history maxstanzas='x'/><password/></x>",
    f"<x xmlns='{ns.MUC_USER}'/>",
    f"<x xmlns='{ns.MUC_USER}'><invite/></x>",
    f"<x xmlns='{ns.MUC_USER}'><decline to='@'/></x>",
    f"<x xmlns='{ns.DATA}' type='submit'/>",
    "<subject/>",
    "<subject>S</subject><body>B</body>",
    "<body/>",
    f"<ping xmlns='{ns.PING}'/>",
    "<error type='cancel'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>",
    "<error/>",
]

_KINDS = ["message", "presence", "iq"]
_TYPES = [None, "get", "set", "result", "error", "groupchat", "chat", "headline", "unavailable", "probe", "other"]
_ADDRESSES = [HOST, f"{HOST}/x", ROOM, f"{ROOM}/Romeo", f"{ROOM}/Juliet", f"{ROOM}/ ", f"other@{HOST}/A"]

_STANZAS = st.tuples(
    st.sampled_from(["romeo", "juliet", "nurse"]),
    st.sampled_from(_KINDS),
    st.sampled_from(_TYPES),
    st.sampled_from(_ADDRESSES),
    st.sampled_from(_PAYLOADS),
)


class ArbitraryStanzaTests(SynchronousTestCase):
    """Arbitrary stanzas to the service, rooms and occupants."""

    @settings(max_examples=150)
    @given(st.lists(_STANZAS, max_size=25))
    def test_noInternalError(self, stanzas: list[tuple[str, str, str | None, str, str]]) -> None:
        """No sequence of stanzas causes an internal error, and occupants and sessions always agree."""
        server = InMemoryServer()
        clients = {name: server.client(f"{name}@localhost/a") for name in ("romeo", "juliet", "nurse")}
        for number, (name, kind, type, to, payload) in enumerate(stanzas):
            attribute = f" type='{type}'" if type is not None else ""
            clients[name].sends(f"<{kind} id='{number}' to='{to}'{attribute}>{payload}</{kind}>")
            for client in clients.values():
                for stanza in client.received():
                    self.assertNotIn("internal-server-error", stanza.toXml())
            for room in server.muc.rooms.live.values():
                sessions = [item for occupant in room.occupants.values() for item in occupant.sessions.items()]
                self.assertEqual(dict(sessions), room.sessions)
                self.assertEqual([o.nick for o in room.occupants.values()], list(room.occupants))
                self.assertTrue(all(occupant.sessions for occupant in room.occupants.values()))
                self.assertFalse(room.changeQueue.changing)
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_stanzaNotModified(self) -> None:
        """Handling a stanza does not modify it, since errors take their addresses and payload from it."""
        server = InMemoryServer()
        clients = [server.client(f"{name}@localhost/a") for name in ("romeo", "juliet")]
        for kind, type, to, payload in product(_KINDS, _TYPES, _ADDRESSES, _PAYLOADS):
            for client, nick in zip(clients, ("Romeo", "Juliet"), strict=True):
                join(client, nick)
            attribute = f" type='{type}'" if type is not None else ""
            inside = payload.replace("<error type='cancel'", "<error by='juliet@localhost' type='cancel'")
            stanza = parseStanza(
                f"<{kind} id='1' to='{to}' from='juliet@localhost/a' xml:lang='it'{attribute}>{inside}</{kind}>"
            )
            before = render(stanza)
            clients[1].session.stanzaReceived(stanza)
            self.assertEqual(render(stanza), before)

    def test_oneAnswerPerRequest(self) -> None:
        """Each request is answered exactly once; a request relayed to its own sender waits for their answer."""
        for type in ("get", "set"):
            for to in (HOST, ROOM, f"{ROOM}/Romeo", f"{ROOM}/Nobody", f"nowhere@{HOST}"):
                for payload in _PAYLOADS:
                    if payload.count("xmlns") == 0 or payload.startswith("<error"):
                        continue
                    server = InMemoryServer()
                    romeo = server.client("romeo@localhost/a")
                    join(romeo, "Romeo")
                    summaries(romeo)
                    romeo.sends(f"<iq type='{type}' id='once' to='{to}'>{payload}</iq>")
                    answers = [iq for iq in romeo.received() if iq.get("type") in ("result", "error")]
                    relayed = to.endswith("/Romeo") and ns.PING not in payload
                    self.assertEqual(len(answers), 0 if relayed else 1, (type, to, payload))

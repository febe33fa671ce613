# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.session.session}."""

from __future__ import annotations

from zope.interface.verify import verifyObject

from muccore.interfaces import ISession
from muccore.session.session import Session
from muccore.xmpp import jid, ns
from muccore.xmpp.errors import StreamError
from muccore.xmpp.rendering import Rendered, toAttribute
from tests.routing.helpers import FakeStream, canonical, conditions, error, xml
from tests.session.helpers import ROMEO, SessionTestCase


class StanzaReceivedTests(SessionTestCase):
    """L{Session.stanzaReceived} (RFC 6120 §8)"""

    def assertStreamError(self, condition: str, text: str) -> None:
        """The stanza ends the stream and is not routed."""
        raised = self.assertRaises(StreamError, self.romeo.send, text)
        self.assertEqual((raised.condition, self.take(), self.romeo.take()), (condition, [], []))

    def test_interface(self) -> None:
        """A session provides its interface."""
        self.assertTrue(verifyObject(ISession, self.romeo.session))

    def test_slots(self) -> None:
        """A session costs no dictionary of attributes, and its C{repr} shows nothing but the address."""
        self.assertFalse(hasattr(self.romeo.session, "__dict__"))
        self.assertEqual(repr(self.romeo.session), f"<Session '{ROMEO}'>")

    def test_fromStamped(self) -> None:
        """C{from} is added (RFC 6120 §8.1.2.1)."""
        self.romeo.send("<message to='a@b'/>")
        self.assertRouted(("a@b", f"<message to='a@b' from='{ROMEO}'/>"))

    def test_language(self) -> None:
        """Stanzas without a language get that of the stream (RFC 6120 §8.1.5)."""
        self.romeo.session.language = "de"
        for stanza in ("<message to='a@b'%s/>", "<presence to='a@b'%s/>", "<iq type='result' id='1' to='a@b'%s/>"):
            for own, stamped in (("", "de"), (" xml:lang='it'", "it")):
                self.romeo.send(stanza % own)
                self.assertRouted(("a@b", stanza % f" from='{ROMEO}' xml:lang='{stamped}'"))

    def test_ownFromReplaced(self) -> None:
        """Its bare and full JID in any spelling are accepted, and replaced by the full JID."""
        for sender in ("romeo@localhost", "Romeo@LOCALHOST/orchard", ROMEO):
            self.romeo.send(f"<message to='a@b' from='{sender}'/>")
            self.assertRouted(("a@b", f"<message to='a@b' from='{ROMEO}'/>"))

    def test_invalidFrom(self) -> None:
        """Any other C{from}, even another resource, ends the stream with C{invalid-from} (RFC 6120 §4.9.3.9)."""
        others = "juliet@localhost", "localhost", "romeo@localhost/garden", "romeo@localhost/Orchard", "a@b@c", ""
        for sender in others:
            self.assertStreamError("invalid-from", f"<message to='a@b' from='{sender}'/>")

    def test_streamIQ(self) -> None:
        """The session request of RFC 3921 gets a result, a second resource C{not-allowed} (RFC 6120 §7.6.2.2)."""
        session, bind = f"<session xmlns='{ns.SESSION}'/>", f"<bind xmlns='{ns.BIND}'/>"
        for to in ("", " to='localhost'", " to='romeo@localhost'"):
            sender = to.replace(" to=", " from=")
            [result] = self.romeo.ask(f"<iq type='set' id='1'{to}>{session}</iq>")
            self.assertEqual(canonical(result), canonical(f"<iq type='result' id='1' to='{ROMEO}'{sender}/>"))
            self.assertEqual(conditions(self.romeo.ask(f"<iq type='set' id='1'{to}>{bind}</iq>")), ["not-allowed"])
        self.assertEqual(self.take(), [])
        for type, to in (("get", "localhost"), ("set", "juliet@localhost")):
            self.romeo.send(f"<iq type='{type}' id='1' to='{to}'>{bind}</iq>")
            self.assertEqual(len(self.take()), 1)

    def test_noStanza(self) -> None:
        """Elements that are not stanzas are C{unsupported-stanza-type} (RFC 6120 §4.9.3.24)."""
        self.assertStreamError("unsupported-stanza-type", "<pubsub/>")
        self.assertStreamError("unsupported-stanza-type", "<r xmlns='urn:xmpp:sm:3'/>")

    def test_otherNamespace(self) -> None:
        """Stanzas in another namespace are C{invalid-namespace} (RFC 6120 §4.9.3.10)."""
        self.assertStreamError("invalid-namespace", "<message xmlns='jabber:server' to='a@b'/>")

    def test_longId(self) -> None:
        """A stanza with a very long id is refused by the server, and a response with one is dropped."""
        for text in ("<message to='romeo@localhost' id='{}'/>", "<presence id='{}'/>"):
            [answer] = self.romeo.ask(text.format("i" * 1024))
            self.assertIn("<policy-violation", answer)
            self.assertIn('by="localhost"', answer)
        self.assertEqual(self.romeo.ask(f"<iq type='result' to='{ROMEO}' id='{'i' * 1024}'/>"), [])
        [presence] = self.romeo.ask(f"<presence id='{'i' * 1023}'/>")
        self.assertNotIn("policy-violation", presence)

    def test_malformedTo(self) -> None:
        """A malformed C{to} is C{jid-malformed}, by the server (RFC 6120 §8.3.3.8)."""
        for to in ("a@b@c", "", "@b", "a@b/"):
            self.assertEqual(
                self.romeo.ask(f"<message to='{to}' id='1'><body/></message>"),
                error(
                    f"<message from='{to}' to='{ROMEO}' id='1' type='error'><body/></message>",
                    "jid-malformed",
                    "modify",
                    "localhost",
                    self.reason(to),
                ),
            )
        self.assertEqual(self.take(), [])

    def reason(self, to: str) -> str:
        """The reason why it is malformed."""
        return str(self.assertRaises(jid.InvalidJID, jid.parse, to))

    def test_malformedToOfAnswers(self) -> None:
        """Errors and results with a malformed C{to} are dropped."""
        for stanza in ("message type='error'", "iq type='result' id='1'", "iq type='error' id='1'"):
            self.assertEqual(self.romeo.ask(f"<{stanza} to='a@b@c'/>"), [])
        self.assertEqual(self.take(), [])

    def test_messageWithoutTo(self) -> None:
        """A message without C{to} is addressed to the sender's account (RFC 6120 §10.3.1)."""
        self.romeo.send("<message/>")
        self.assertRouted(("romeo@localhost", f"<message to='romeo@localhost' from='{ROMEO}'/>"))

    def test_iqWithoutTo(self) -> None:
        """An IQ without C{to} is addressed to the sender's account (RFC 6120 §10.3.3)."""
        self.romeo.send("<iq type='get' id='1'><q xmlns='urn:q'/></iq>")
        self.assertRouted(
            ("romeo@localhost", f"<iq to='romeo@localhost' from='{ROMEO}' type='get' id='1'><q xmlns='urn:q'/></iq>")
        )

    def test_unknownMessageType(self) -> None:
        """A message of unknown type is routed unchanged (RFC 6121 §5.2.2)."""
        self.romeo.send("<message to='a@b' type='shout'/>")
        self.assertRouted(("a@b", f"<message to='a@b' type='shout' from='{ROMEO}'/>"))

    def test_iqRules(self) -> None:
        """An IQ needs an id and one of four types, a request exactly one child element (RFC 6120 §8.2.3)."""
        for stanza in (
            "<iq type='get' to='a@b'><q xmlns='urn:q'/></iq>",
            "<iq type='set' to='a@b'><q xmlns='urn:q'/></iq>",
            "<iq id='1' to='a@b'><q xmlns='urn:q'/></iq>",
            "<iq type='put' id='1' to='a@b'><q xmlns='urn:q'/></iq>",
            "<iq type='get' id='1' to='a@b'/>",
            "<iq type='get' id='1' to='a@b'>text</iq>",
            "<iq type='set' id='1' to='a@b'><q xmlns='urn:q'/><q xmlns='urn:q'/></iq>",
            "<iq type='set'/>",
        ):
            self.assertEqual(conditions(self.romeo.ask(stanza)), ["bad-request"], stanza)
        self.assertEqual(self.take(), [])

    def test_badRequestContent(self) -> None:
        """The error has the addresses, the id and the content of the request."""
        self.assertEqual(
            self.romeo.ask("<iq type='get' id='1' to='a@b'><q xmlns='urn:q'/><p xmlns='urn:q'/></iq>"),
            error(
                f"<iq type='error' id='1' from='a@b' to='{ROMEO}'><q xmlns='urn:q'/><p xmlns='urn:q'/></iq>",
                "bad-request",
                "modify",
                text="an IQ of type get needs exactly one child element",
            ),
        )

    def test_whitespaceInRequest(self) -> None:
        """White space around the child element of a request is ignored."""
        self.romeo.send("<iq type='get' id='1' to='a@b'> <q xmlns='urn:q'/>\n</iq>")
        self.assertEqual(len(self.take()), 1)

    def test_answerWithoutId(self) -> None:
        """A result or an error without id is dropped."""
        self.assertEqual(self.romeo.ask("<iq type='result' to='a@b'/>"), [])
        self.assertEqual(self.romeo.ask("<iq type='error' to='a@b'/>"), [])
        self.assertEqual(self.take(), [])

    def test_answersRouted(self) -> None:
        """Results and errors are routed."""
        self.romeo.send("<iq type='result' id='1' to='a@b'/>")
        self.romeo.send("<iq type='error' id='2' to='a@b'/>")
        self.assertEqual(len(self.take()), 2)

    def test_afterTheEnd(self) -> None:
        """Stanzas after the end are dropped, even invalid ones."""
        self.romeo.vanish()
        self.romeo.send("<message to='a@b'/>")
        self.romeo.send("<message to='a@b' from='juliet@localhost'/>")
        self.assertEqual(self.take(), [])


class DeliverTests(SessionTestCase):
    """L{Session.deliver}"""

    def test_written(self) -> None:
        """A stanza is written with the given address."""
        self.romeo.session.deliver(Rendered.of(xml("<message id='1'/>")), toAttribute("a&b"))
        self.assertEqual(self.romeo.stream.data, b"<message to='a&amp;b' id='1'/>")

    def test_afterTheEnd(self) -> None:
        """Deliveries after the end are dropped."""
        deliver = self.romeo.session.deliver
        self.romeo.vanish()
        deliver(Rendered.of(xml("<message/>")), toAttribute(ROMEO))
        self.assertEqual(self.romeo.stream.data, b"")


class EndTests(SessionTestCase):
    """The end of a session."""

    def test_otherStream(self) -> None:
        """The loss of another stream is ignored."""
        self.romeo.session.streamLost(FakeStream(), True)
        self.assertFalse(self.romeo.session.ended)

    def test_removedFirst(self) -> None:
        """The session is removed from the registry before unavailable presence is sent."""
        found: list[Session | None] = []
        self.router.route = lambda element, to: found.append(self.sessions.byFullJID(jid.parse(ROMEO)))  # type: ignore[method-assign]
        self.romeo.send("<presence to='room@conf/nick'/>")
        self.assertEqual(found.pop(), self.romeo.session)
        self.romeo.vanish()
        self.assertEqual(found, [None])

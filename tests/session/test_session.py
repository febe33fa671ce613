# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.session.session}."""

from __future__ import annotations

from zope.interface.verify import verifyObject

from muccore.interfaces import ISession
from muccore.session.session import Session
from muccore.xmpp import jid
from muccore.xmpp.errors import StreamError
from muccore.xmpp.rendering import Rendered, toAttribute
from tests.routing.helpers import FakeStream, canonical, conditions, error, xml
from tests.session.helpers import ROMEO, FakeRouter, SessionTestCase


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


class BroadcastTests(SessionTestCase):
    """Presence without C{to} (RFC 6121 §4.2 to §4.5, §4.7)."""

    def presence(self, to: str, sender: str = ROMEO, inside: str = "", type: str = "") -> list[str]:
        """A received presence."""
        type = f" type='{type}'" if type else ""
        return canonical(f"<presence from='{sender}' to='{to}'{type}>{inside}</presence>")

    def test_initial(self) -> None:
        """Initial presence is sent to the resource itself too (§4.2.2)."""
        show = "<show>away</show>"
        self.assertEqual(self.romeo.ask(f"<presence>{show}</presence>"), self.presence(ROMEO, inside=show))
        self.assertEqual(self.romeo.session.priority, 0)
        assert self.romeo.session.presence is not None
        self.assertEqual(self.take(), [])

    def test_tooLarge(self) -> None:
        """Large presence is refused, since it would be kept; the presence before stays."""
        garden = self.connect("romeo@localhost/garden", "<presence/>")
        self.romeo.ask("<presence><show>away</show></presence>")
        for size, expected in ((16_300, ROMEO), (16_400, "policy-violation")):
            garden.take()
            [answer] = self.romeo.ask(f"<presence><priority>1</priority><status>{'x' * size}</status></presence>")
            self.assertIn(expected, answer)
            self.assertEqual(len(garden.take()), int(size == 16_300))
        self.assertEqual(self.romeo.session.priority, 1)

    def test_toOtherResources(self) -> None:
        """Initial and updated presence is sent to the account's available resources only (§4.2.2, §4.4.2)."""
        garden = self.connect("romeo@localhost/garden", "<presence/>")
        silent = self.connect("romeo@localhost/silent")
        juliet = self.connect("juliet@localhost/balcony", "<presence/>")
        for inside in ("", "<priority>5</priority>"):
            self.romeo.send(f"<presence>{inside}</presence>")
            self.assertEqual(garden.take(), self.presence("romeo@localhost/garden", inside=inside))
        self.assertEqual((silent.take(), juliet.take()), ([], []))

    def test_presenceOfOthers(self) -> None:
        """A resource that becomes available gets the presence of the available ones, once."""
        garden = "romeo@localhost/garden"
        self.romeo.send("<presence><status>here</status></presence>")
        client = self.connect(garden)
        self.assertEqual(
            client.ask("<presence/>"),
            self.presence(garden, garden) + self.presence(garden, inside="<status>here</status>"),
        )
        self.assertEqual(client.ask("<presence/>"), self.presence(garden, garden))

    def test_priority(self) -> None:
        """Priorities are from -128 to 127 (§4.7.2.3)."""
        for text, priority in (("-128", -128), ("127", 127), (" +5 ", 5), ("007", 7), ("-0", 0)):
            self.romeo.ask(f"<presence><priority>{text}</priority></presence>")
            self.assertEqual(self.romeo.session.priority, priority)

    def test_badPriority(self) -> None:
        """Other priorities are C{bad-request}, and change nothing."""
        self.romeo.ask("<presence><priority>3</priority></presence>")
        for text in ("-129", "128", "", "high", "1.5", "99999999999", "٣"):
            answer = self.romeo.ask(f"<presence><priority>{text}</priority></presence>")
            self.assertEqual(conditions(answer), ["bad-request"], text)
        answer = self.romeo.ask("<presence><priority>1</priority><priority>2</priority></presence>")
        self.assertEqual(conditions(answer), ["bad-request"])
        self.assertEqual(self.romeo.session.priority, 3)

    def test_unavailable(self) -> None:
        """Unavailable presence is sent to the available resources, the sender included (§4.5.2)."""
        garden = self.connect("romeo@localhost/garden", "<presence/>")
        self.romeo.ask("<presence/>")
        garden.take()
        bye = "<status>bye</status>"
        self.assertEqual(
            self.romeo.ask(f"<presence type='unavailable'>{bye}</presence>"),
            self.presence(ROMEO, inside=bye, type="unavailable"),
        )
        self.assertEqual(
            garden.take(), self.presence("romeo@localhost/garden", inside=bye, type="unavailable")
        )
        self.assertEqual((self.romeo.session.priority, self.romeo.session.presence), (None, None))
        self.assertEqual(garden.ask("<presence/>"), self.presence("romeo@localhost/garden", "romeo@localhost/garden"))

    def test_unavailableTwice(self) -> None:
        """Unavailable presence of an unavailable resource is sent to nobody."""
        garden = self.connect("romeo@localhost/garden", "<presence/>")
        self.assertEqual(self.romeo.ask("<presence type='unavailable'/>"), [])
        self.assertEqual(garden.take(), [])

    def test_unknownType(self) -> None:
        """An unknown type is C{bad-request}, with or without C{to} (RFC 6121 §4.7.1)."""
        self.assertEqual(conditions(self.romeo.ask("<presence type='invisible'/>")), ["bad-request"])
        self.assertEqual(conditions(self.romeo.ask("<presence type='' to='a@b'/>")), ["bad-request"])
        self.assertEqual(self.take(), [])

    def test_subscriptions(self) -> None:
        """
        Subscriptions to accounts are ignored, whether these exist or not (RFC 6121 §8.5.1), those to other addresses
        refused with C{service-unavailable}, those without C{to} with C{bad-request}.
        """
        self.connect("juliet@localhost/balcony", "<presence/>")
        for type in ("subscribe", "subscribed", "unsubscribe", "unsubscribed"):
            for to in ("room@conference.localhost", "a@b/c", "b", "localhost", "localhost/x"):
                answer = self.romeo.ask(f"<presence type='{type}' to='{to}'/>")
                self.assertEqual(conditions(answer), ["service-unavailable"])
            for to in ("nobody@localhost", "juliet@localhost", "juliet@localhost/balcony", "romeo@localhost"):
                self.assertEqual(self.romeo.ask(f"<presence type='{type}' to='{to}'/>"), [])
            self.assertEqual(conditions(self.romeo.ask(f"<presence type='{type}'/>")), ["bad-request"])
        self.assertEqual(self.take(), [])

    def test_probe(self) -> None:
        """A probe is routed, or dropped without C{to}."""
        self.assertEqual(self.romeo.ask("<presence type='probe'/>"), [])
        self.romeo.send("<presence type='probe' to='a@b'/>")
        self.assertRouted(("a@b", f"<presence type='probe' to='a@b' from='{ROMEO}'/>"))

    def test_error(self) -> None:
        """A presence error is routed, and not tracked as directed presence, or dropped without C{to}."""
        self.assertEqual(self.romeo.ask("<presence type='error'/>"), [])
        self.romeo.send("<presence type='error' to='a@b'/>")
        self.assertRouted(("a@b", f"<presence type='error' to='a@b' from='{ROMEO}'/>"))
        self.assertEqual(self.romeo.session.directed, {})


class DirectedTests(SessionTestCase):
    """Directed presence (RFC 6121 §4.6)."""

    def unavailable(self, to: str, inside: str = "") -> tuple[str, str]:
        """The unavailable presence for an address."""
        return to, f"<presence type='unavailable' from='{ROMEO}' to='{to}'>{inside}</presence>"

    def direct(self, *addresses: str) -> None:
        """Direct presence to addresses."""
        for address in addresses:
            self.romeo.send(f"<presence to='{address}'/>")
        self.take()

    def test_routed(self) -> None:
        """It is routed to its address only, and does not make the resource available (§4.6.3)."""
        garden = self.connect("romeo@localhost/garden", "<presence/>")
        self.romeo.send("<presence to='room@conf/nick'/>")
        self.assertRouted(("room@conf/nick", f"<presence to='room@conf/nick' from='{ROMEO}'/>"))
        self.assertEqual((garden.take(), self.romeo.session.priority), ([], None))

    def test_streamLost(self) -> None:
        """When the stream is lost, every address with directed presence gets unavailable presence, once."""
        self.direct("room@conf/nick", "juliet@localhost", "room@conf/nick")
        self.romeo.vanish()
        self.assertRouted(self.unavailable("room@conf/nick"), self.unavailable("juliet@localhost"))
        self.romeo.vanish()
        self.romeo.session.end()
        self.assertEqual(self.take(), [])

    def test_unavailable(self) -> None:
        """Unavailable presence is sent to these addresses with its content, which ends their tracking (§4.6.3)."""
        self.direct("room@conf/nick", "juliet@localhost")
        self.romeo.send("<presence type='unavailable'><status>bye</status></presence>")
        bye = "<status>bye</status>"
        self.assertRouted(self.unavailable("room@conf/nick", bye), self.unavailable("juliet@localhost", bye))
        self.romeo.vanish()
        self.assertEqual(self.take(), [])

    def test_costLimit(self) -> None:
        """The content of unavailable presence is dropped if all copies together cost too much."""
        self.sessions.directedLimit = 1000
        for count, inside in (
            (10, "<x/>" * 1960),
            (10, f"<status>{'x' * 256 * 1900}</status>"),
            (500, "<status>bye</status><c xmlns='urn:c'/>" + "<x/>" * 35),
        ):
            friends = [f"friend{n}@elsewhere" for n in range(count)]
            for more in ("", "<x/>" * 200):
                self.direct(*friends)
                self.romeo.send(f"<presence type='unavailable'>{inside}{more}</presence>")
                self.assertRouted(*(self.unavailable(friend, "" if more else inside) for friend in friends))

    def test_directedUnavailable(self) -> None:
        """Directed unavailable presence ends the tracking of an address, in any spelling."""
        self.direct("room@conf/nick", "juliet@localhost")
        self.romeo.send("<presence type='unavailable' to='ROOM@conf/nick'/>")
        self.assertRouted(("room@conf/nick", f"<presence type='unavailable' from='{ROMEO}' to='ROOM@conf/nick'/>"))
        self.romeo.vanish()
        self.assertRouted(self.unavailable("juliet@localhost"))

    def test_unavailableToStrangers(self) -> None:
        """Directed unavailable presence is routed without available presence before it."""
        self.romeo.send("<presence type='unavailable' to='room@conf/nick'/>")
        self.assertRouted(("room@conf/nick", f"<presence type='unavailable' from='{ROMEO}' to='room@conf/nick'/>"))

    def test_conflict(self) -> None:
        """When another session takes over the resource, unavailable presence is sent first."""
        self.direct("room@conf/nick")
        self.connect(ROMEO)
        self.assertEqual(
            self.take(),
            [("closed", "conflict"), ("room@conf/nick", *canonical(self.unavailable("room@conf/nick")[1]))],
        )

    def test_limit(self) -> None:
        """Presence to more addresses than the limit is refused and not routed."""
        self.direct("a@b", "c@d", "e@f")
        answer = self.romeo.ask("<presence to='g@h'/>")
        self.assertEqual((conditions(answer), self.take()), (["resource-constraint"], []))
        self.direct("c@d")
        self.romeo.send("<presence to='a@b' type='unavailable'/>")
        self.assertEqual(self.romeo.ask("<presence to='g@h'/>"), [])

    def test_nickChangesAtTheLimit(self) -> None:
        """At the limit, a new address replaces the oldest one at the same bare JID."""
        self.direct("room@conf/a", "x@y", "room@conf/b")
        self.direct("room@conf/c")
        self.romeo.vanish()
        self.assertRouted(self.unavailable("x@y"), self.unavailable("room@conf/b"), self.unavailable("room@conf/c"))


class EndTests(SessionTestCase):
    """The end of a session."""

    def test_ownResources(self) -> None:
        """The account's available resources get unavailable presence of one that was available."""
        garden = self.connect("romeo@localhost/garden", "<presence/>")
        silent = self.connect("romeo@localhost/silent")
        self.romeo.ask("<presence/>")
        garden.take()
        silent.vanish()
        self.assertEqual(garden.take(), [])
        self.romeo.vanish()
        self.assertEqual(
            garden.take(),
            canonical(f"<presence type='unavailable' from='{ROMEO}' to='romeo@localhost/garden'/>"),
        )

    def test_otherStream(self) -> None:
        """The loss of another stream is ignored."""
        self.romeo.session.streamLost(FakeStream(), True)
        self.assertFalse(self.romeo.session.ended)

    def test_removedFirst(self) -> None:
        """The session is removed from the registry before unavailable presence is sent."""
        found: list[Session | None] = []
        router = FakeRouter([])
        router.route = lambda element, to: found.append(self.sessions.byFullJID(jid.parse(ROMEO)))  # type: ignore[method-assign]
        self.sessions.router = router
        romeo = self.connect("romeo@localhost/garden")
        romeo.send("<presence to='room@conf/nick'/>")
        found.clear()
        self.romeo.vanish()
        romeo.vanish()
        self.assertEqual(found, [None])


class RenderingTests(SessionTestCase):
    """Presence that a session keeps."""

    def test_presenceUntouched(self) -> None:
        """It does not change when it is sent to others."""
        self.romeo.ask("<presence><show>dnd</show></presence>")
        presence = self.romeo.session.presence
        assert presence is not None
        before = presence.addressed(b"")
        self.connect("romeo@localhost/garden", "<presence/>")
        self.assertEqual(presence.addressed(b""), before)
        self.assertEqual(canonical(before), canonical(xml(f"<presence from='{ROMEO}'><show>dnd</show></presence>")))

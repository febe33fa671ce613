# -*- test-case-name: tests.stream.bosh.test_stream -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.stream.bosh.stream} and L{muccore.stream.bosh.framing}."""

from __future__ import annotations

import gc
import weakref
from typing import Any

from twisted.logger import LogLevel
from zope.interface.verify import verifyObject

from muccore.interfaces import IStream
from muccore.log import eventlog
from muccore.log.eventlog import RateLimit
from muccore.log.logger import setThreshold
from muccore.stream.bosh.body import WRAPPER_SIZE
from muccore.stream.bosh.terms import INACTIVITY
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StreamError
from muccore.xmpp.rendering import Rendered, toAttribute
from tests.configuration import Logged
from tests.stream.bosh import MESSAGE, RID, Answer
from tests.stream.bosh.cases import BIND, PRESENCE, BOSHCase, Client
from tests.stream.doubles import auth, sasl


class StreamCase(BOSHCase):
    """Clients over BOSH, and what is logged."""

    def setUp(self) -> None:
        """Record what is logged."""
        super().setUp()
        self.logged = Logged(self)
        setThreshold("info")
        self.patch(eventlog, "limit", RateLimit(self.clock.seconds))

    def assertEnded(self, answer: Any, condition: str, error: str | None = None, code: int = 200) -> None:
        """Check that an answer ends the session, with an error of the stream or not."""
        assert isinstance(answer, Answer)
        self.assertEqual((answer.end, answer.code), (condition, code))
        errors = [each[0].tag for each in answer.element if each.tag == f"{{{ns.STREAM}}}error"]
        self.assertEqual(errors, [] if error is None else [f"{{{ns.STREAM_ERRORS}}}{error}"])
        self.turn()
        self.assertEqual((len(self.sessions), len(self.factory.streams), self.factory.limit.count), (0, 0, 0))
        self.assertEqual(self.clock.getDelayedCalls(), [])


class LoginTests(StreamCase):
    """XEP-0206 §5."""

    def test_login(self) -> None:
        """Streams are negotiated in bodies; every element declares its namespace."""
        client = self.client()
        for payload, attributes, names in (
            (auth().decode(), {}, [f"{{{ns.SASL}}}success"]),
            ("", {"xmpp__restart": "true", "xml__lang": "de"}, [f"{{{ns.STREAM}}}features"]),
            (BIND, {}, [f"{{{ns.CLIENT}}}iq"]),
        ):
            answer = client.ask(payload, **attributes)
            self.assertEqual([each.tag for each in answer.element], names)
            self.assertEqual((answer.attributes, answer.content), ({}, "text/xml; charset=utf-8"))
        [session] = self.binder.sessions
        self.assertEqual((session.jid.full, session.language), ("romeo@example.org/r", "de"))
        self.assertEqual(self.logged.lines(LogLevel.info),
                         ["login from 192.0.2.1: romeo@example.org/r by PLAIN, no TLS"])  # fmt: skip
        stream = client.stream
        verifyObject(IStream, stream)
        self.assertEqual((vars(stream), stream.address, stream.secure), ({}, "192.0.2.1", False))

    def test_restart(self) -> None:
        """A restart may name the host, which must be the same; what else is in it is ignored."""
        client = self.client()
        client.ask(auth().decode())
        self.assertEqual(client.ask(BIND, xmpp__restart="true").names, ["features"])
        self.assertEqual(self.binder.sessions, [])
        self.assertEqual(client.ask(BIND).names, ["iq"])
        client = self.client()
        client.ask(auth().decode())
        self.assertEqual(client.ask(xmpp__restart="true", to="example.com").end, "remote-stream-error")
        # Not without a log-in.
        client = self.client()
        self.assertEqual(client.ask(xmpp__restart="true").end, "remote-stream-error")

    def test_noRestart(self) -> None:
        """Without a restart after the log-in there is no binding."""
        client = self.client()
        client.ask(auth().decode())
        self.assertEnded(client.ask(BIND), "remote-stream-error", "not-authorized")

    def test_withoutNamespaces(self) -> None:
        """Stanzas may be in the namespace of the wrapper."""
        client = self.client()
        client.ask(auth().decode())
        client.ask(xmpp__restart="true")
        self.assertEqual(client.ask(BIND.replace(" xmlns='jabber:client'", "")).names, ["iq"])
        client.post("<message to='a@b'><body>hi</body></message>")
        [message] = self.binder.sessions[-1].stanzas
        self.assertEqual((message.uri, message.children[0].uri), (ns.CLIENT, ns.CLIENT))

    def test_failures(self) -> None:
        """Failed log-ins are answered; too many end the stream."""
        client = self.client()
        self.assertEqual(client.ask(auth(password="x").decode()).names, ["failure"])
        answer = client.ask(auth(password="x").decode())
        self.assertEqual(answer.names, ["failure", "error"])
        self.assertEnded(answer, "remote-stream-error", "policy-violation")

    def test_slowCheck(self) -> None:
        """While a password is checked nothing is answered, and what comes meanwhile waits in order."""
        client = self.client()
        self.accounts.waiting = []
        checked = client.post(auth().decode())
        restart = client.post(xmpp__restart="true")
        self.assertEqual((checked.answer, restart.answer), (None, None))
        self.advance(50)
        self.flusher.run(self.accounts.release)
        assert checked.answer is not None
        self.assertEqual((checked.answer.names, restart.answer), (["success", "features"], None))

    def test_tooMuchBeforeLogin(self) -> None:
        """Before the log-in bodies are small, and few may wait."""
        limit = self.factory.settings.stanzaSizeUnauthenticated
        client = self.client()
        answer = client.ask("<a/>" + " " * (limit + WRAPPER_SIZE))
        self.assertEnded(answer, "remote-stream-error", "policy-violation")
        client = self.client()
        self.assertEnded(client.ask(sasl("auth", "x" * limit).decode()), "remote-stream-error", "policy-violation")

    def test_timeout(self) -> None:
        """The log-in has a time limit."""
        client = self.client()
        self.advance(10)
        held = client.post()
        self.advance(int(self.factory.settings.loginTimeout) - 11)
        self.assertIsNone(held.answer)
        self.advance(1)
        self.assertEnded(held.answer, "remote-stream-error", "connection-timeout")

    def test_tlsOfLogs(self) -> None:
        """The log tells what protects the client's connection, and there are no channel bindings."""

        class Connection:
            def get_protocol_version_name(self) -> str:
                return "TLSv1.3"

            def get_cipher_name(self) -> str:
                return "X"

        for tls, told in ((Connection(), "TLSv1.3 X"), (None, "TLS of a proxy")):
            client = self.user(secure=True, tls=tls)
            self.assertIn(f"by PLAIN, {told}", self.logged.lines(LogLevel.info)[-1])
            self.assertTrue(client.stream.secure)


class StanzaTests(StreamCase):
    """What sessions send and receive."""

    def test_received(self) -> None:
        """Stanzas reach the session in order, several in a body or one."""
        client = self.user()
        client.post(MESSAGE + PRESENCE)
        client.post(MESSAGE)
        self.assertEqual([each.name for each in self.binder.sessions[-1].stanzas], ["message", "presence", "message"])

    def test_sent(self) -> None:
        """What is sent in one turn is in one answer; each stanza has the namespace where C{to} is."""
        client = self.user()
        held = client.post()
        stream = client.stream
        stanza = Rendered.of(Element((ns.CLIENT, "message")))

        def send() -> None:
            stream.send(stanza, toAttribute("a@b"))
            stream.sendNonza(b"<r xmlns='urn:x'/>")
            stream.sendAll([stanza, stanza], toAttribute("c@d"))

        self.flusher.run(send)
        assert held.answer is not None
        self.assertEqual([(each.tag, each.get("to")) for each in held.answer.element], [
            (f"{{{ns.CLIENT}}}message", "a@b"), ("{urn:x}r", None), (f"{{{ns.CLIENT}}}message", "c@d"),
            (f"{{{ns.CLIENT}}}message", "c@d"),
        ])  # fmt: skip
        self.flusher.run(send)
        self.assertTrue(stream.isWaiting())
        self.assertEqual(len(client.ask().names), 4)
        # The next request shows that it has arrived.
        self.assertTrue(stream.isWaiting())
        client.post()
        self.assertFalse(stream.isWaiting())

    def test_nonzas(self) -> None:
        """The elements of features work as on other streams."""
        self.assertEqual(self.user().ask("<x xmlns='urn:x'/>").names, ["y"])

    def test_throttled(self) -> None:
        """A client that sends too much waits for the answer."""
        self.configure(rate=1000, burst=10_000, exempt=())
        client = self.user(address="198.51.100.7")
        held = client.post(MESSAGE.replace("hi", "x" * 20_000))
        next_ = client.post(MESSAGE)
        self.assertEqual((held.answer, next_.answer), (None, None))
        self.assertEqual(len(self.binder.sessions[-1].stanzas), 1)
        self.assertIn("throttled", self.logged.lines(LogLevel.info)[-1])
        self.advance(20)
        self.assertEqual(len(self.binder.sessions[-1].stanzas), 2)
        assert held.answer is not None
        self.assertEqual((held.answer.names, next_.answer), ([], None))


class EndTests(StreamCase):
    """How sessions end."""

    def test_closedByClient(self) -> None:
        """What is in the last request is handled first (XEP-0124 §13)."""
        client = self.user()
        held = client.post()
        last = client.post(PRESENCE, type="terminate")
        assert held.answer is not None and last.answer is not None
        self.assertEqual((held.answer.end, held.answer.attributes), ("", {"type": "terminate"}))
        self.assertEqual(last.answer.attributes, {})
        session = self.binder.sessions[-1]
        self.assertEqual(([each.name for each in session.stanzas], session.lost), (["presence"], [True]))
        self.assertEnded(held.answer, "")
        self.assertIn("closed by the client", self.logged.lines(LogLevel.info)[-1])
        self.assertEqual(client.ask(type="terminate").end, "item-not-found")

    def test_inactive(self) -> None:
        """A client that makes no request any more is gone; its session may be resumed."""
        client = self.user()
        held = client.post()
        self.advance(INACTIVITY)
        self.assertIsNotNone(held.answer)
        self.advance(INACTIVITY - 6)
        self.assertTrue(client.exists)
        self.advance(7)
        self.assertFalse(client.exists)
        self.assertEqual(self.binder.sessions[-1].lost, [False])
        self.assertIn("no request for too long", self.logged.lines(LogLevel.info)[-1])
        self.assertEqual(client.ask().end, "item-not-found")
        self.assertEqual((self.factory.limit.count, self.clock.getDelayedCalls()), (0, []))

    def test_streamErrors(self) -> None:
        """An error of the stream is in the last body, after what was sent before (XEP-0206 §7)."""
        client = self.user()
        self.binder.sessions[-1].raises = StreamError("invalid-from")
        answer = client.ask(MESSAGE)
        self.assertEnded(answer, "remote-stream-error", "invalid-from")
        self.assertEqual(self.binder.sessions[-1].lost, [True])
        client = self.user()
        self.assertEnded(client.ask("<a>" * 65 + "</a>" * 65), "remote-stream-error", "policy-violation")
        client = self.user()
        client.stream.close(StreamError("conflict"))
        self.assertEnded(client.ask(), "remote-stream-error", "conflict")

    def test_nothingAfterEnd(self) -> None:
        """What is in a body after the stanza with which the stream ends is not handled, nor what is in others."""
        client = self.user()
        session, stream = self.binder.sessions[-1], client.stream

        def end(element: Element) -> None:
            session.stanzas.append(element)
            stream.close(None)

        self.patch(session, "stanzaReceived", end)
        self.assertEqual(client.ask(MESSAGE + PRESENCE).end, "")
        self.assertEqual([each.name for each in session.stanzas], ["message"])
        # A stream that is refused.
        answer = Client(self).create(xmpp__version="0.9", payload="<a/><b/>")
        self.assertEnded(answer, "remote-stream-error", "unsupported-version")

    def test_fault(self) -> None:
        """A fault of the server is told as an error of the stream."""
        client = self.user()
        self.binder.sessions[-1].raises = ValueError()
        self.assertEnded(client.ask(MESSAGE), "remote-stream-error", "internal-server-error")
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_errorOfClient(self) -> None:
        """An error that the client sends ends the stream; the session may be resumed."""
        client = self.user()
        error = f"<stream:error xmlns:stream='{ns.STREAM}'><reset xmlns='{ns.STREAM_ERRORS}'/></stream:error>"
        self.assertEnded(client.ask(error), "")
        self.assertEqual(self.binder.sessions[-1].lost, [False])

    def test_bindingErrors(self) -> None:
        """A violation of BOSH has its condition, and for old clients its status code; the session may be resumed."""
        for ver, code in (("1.6", 200), (None, 400)):
            client = Client(self)
            client.create(ver=ver)
            client.login()
            self.assertEnded(client.ask(MESSAGE + "junk"), "bad-request", code=code)
            self.assertEqual([each.name for each in self.binder.sessions[-1].stanzas], ["message"])
        for ver, code in (("1.6", 200), (None, 404)):
            client = Client(self)
            client.create(ver=ver)
            client.login()
            self.assertEnded(client.post(rid=RID + 9).answer, "item-not-found", code=code)
            self.assertEqual(self.binder.sessions[-1].lost, [False])
        for ver, code in (("1.6", 200), (None, 403)):
            client = Client(self)
            client.create(ver=ver)
            client.login()
            held = client.post()
            self.advance(1)
            client.post()
            self.assertEnded(held.answer, "policy-violation", code=code)
        self.assertIn("stream-error from 192.0.2.1: policy-violation (Requests without content are too frequent), "
                      "romeo@example.org/r", self.logged.lines(LogLevel.info))  # fmt: skip

    def test_told(self) -> None:
        """The end is told to the next request, if that comes soon."""
        client = self.user()
        client.stream.close(StreamError("reset"))
        self.turn()
        self.assertTrue(client.exists)
        self.advance(6)
        self.assertFalse(client.exists)
        self.assertEqual(client.ask().end, "item-not-found")

    def test_freed(self) -> None:
        """A session that has ended is freed without the garbage collector."""
        gc.collect()
        gc.disable()
        self.addCleanup(gc.enable)
        for ends in (lambda client: client.post(type="terminate"), lambda client: self.advance(2 * INACTIVITY)):
            client = self.user()
            stream = weakref.ref(client.stream)
            client.post(MESSAGE)
            ends(client)
            self.turn()
            self.binder.sessions.clear()
            self.assertIsNone(stream())

    def test_abort(self) -> None:
        """An aborted session ends in the next turn; requests that wait are answered."""
        client = self.user()
        held = client.post()
        self.flusher.run(client.connection.abortConnection)
        self.turn()
        self.assertEnded(held.answer, "")
        self.assertEqual(self.binder.sessions[-1].lost, [False])

    def test_lostConnection(self) -> None:
        """The loss of a connection of HTTP is none of the session, which goes on with the next request."""
        client = self.user()
        held = client.post()
        held.lose()
        self.flusher.run(client.stream.sendNonza, b"<a xmlns='urn:x'/>")
        again = client.post(rid=client.rid)
        assert again.answer is not None
        self.assertEqual(again.answer.names, ["a"])
        self.assertEqual(self.binder.sessions[-1].lost, [])

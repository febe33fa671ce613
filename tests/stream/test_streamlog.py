# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.stream.streamlog}: the lines that streams leave in the log."""

from __future__ import annotations

from base64 import b64encode

from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.logger import LogLevel
from twisted.python.failure import Failure

from muccore.log import eventlog
from muccore.log.eventlog import RateLimit
from muccore.log.logger import setThreshold
from muccore.net.limits import Networks
from muccore.stream.c2s import THROTTLE_LOG_INTERVAL, StreamSettings
from muccore.stream.features import REQUIRED
from muccore.xmpp.errors import StreamError
from tests.configuration import Logged
from tests.stream.doubles import BIND, END, HEADER, PASSWORD, STARTTLS, auth, sasl
from tests.stream.test_c2s import LOGIN, Case

LINE = "login from 127.0.0.1: romeo@example.org/r by PLAIN, no TLS"


class StreamLogTests(Case):
    """What is logged of streams."""

    def setUp(self) -> None:
        """Keep the lines."""
        super().setUp()
        self.patch(eventlog, "limit", RateLimit(self.clock.seconds))
        self.logged = Logged(self)
        setThreshold("info")

    def lines(self) -> list[str]:
        """The lines since the last time."""
        lines = self.logged.lines(LogLevel.info)
        self.logged.events.clear()
        return lines

    def test_session(self) -> None:
        """A log-in and its end are a line each, with nothing in them that is secret."""
        stream, _ = self.connect()
        stream.dataReceived(LOGIN)
        self.clock.pump([1.0] * 75)
        stream.dataReceived(b"<message><body>private</body></message>" + END)
        for event in self.logged.events:
            for secret in (PASSWORD, b64encode(b"\0romeo\0secret").decode(), "private"):
                self.assertNotIn(secret, repr(event))
        self.assertEqual(
            self.lines(), [LINE, "logout from 127.0.0.1: romeo@example.org/r after 75 s, closed by the client"]
        )
        self.lose(stream)
        self.assertEqual(self.lines(), [])
        self.assertNotIn(PASSWORD, repr(stream))

    def test_tls(self) -> None:
        """Under TLS its version and the cipher are told."""
        self.factory.configure(self.features(REQUIRED))
        stream, _ = self.connect("2001:db8::1")
        stream.dataReceived(HEADER + STARTTLS)
        stream.dataReceived(LOGIN)
        self.assertEqual(
            self.lines(),
            ["login from 2001:db8::1: romeo@example.org/r by PLAIN, TLSv1.3 TLS_AES_128_GCM_SHA256"],
        )

    def test_failed(self) -> None:
        """
        A log-in that fails is a line with why, and the name that the client claims as far as it has come: without
        what it has sent besides.
        """
        for data, expected in (
            (auth(password="guessed"), "not-authorized, account romeo, PLAIN, no TLS"),
            (auth("\x7f a"), 'not-authorized, account "\\x7f a", PLAIN, no TLS'),
            (sasl("auth"), "invalid-mechanism, account -, -, no TLS"),
            (auth(mechanism="X 9"), 'invalid-mechanism, account -, "X 9", no TLS'),
            (sasl("abort"), "aborted, account -, -, no TLS"),
        ):
            stream, _ = self.connect()
            stream.dataReceived(HEADER + data)
            for event in self.logged.events:
                for secret in ("guessed", b64encode(b"\0romeo\0guessed").decode()):
                    self.assertNotIn(secret, repr(event))
            self.assertEqual(self.lines(), [f"login-failed from 127.0.0.1: {expected}"])

    def test_scramFailed(self) -> None:
        """With SCRAM the name comes first, and is known when the proof is wrong."""
        stream, _ = self.connect()
        first = b64encode(b"n,,n=romeo,r=x").decode()
        stream.dataReceived(
            HEADER + sasl("auth", first).replace(b"<auth", b"<auth mechanism='SCRAM-SHA-1'") + sasl("response", "x===")
        )
        self.assertEqual(
            self.lines(), ["login-failed from 127.0.0.1: incorrect-encoding, account romeo, SCRAM-SHA-1, no TLS"]
        )

    def test_ends(self) -> None:
        """
        The end of a log-in tells why it came: what the server found wrong, who else wanted the resource, or how the
        connection was lost.
        """
        for error, expected in (
            (StreamError("conflict"), "conflict"),
            (StreamError("system-shutdown", "Back soon."), "system-shutdown (Back soon)"),
        ):
            stream, _ = self.login()
            stream.close(error)
            self.assertEqual(self.lines(), [LINE])
            stream.connectionLost(Failure(ConnectionDone()))
            self.assertEqual(
                self.lines(), [f"logout from 127.0.0.1: romeo@example.org/r after 0 s, {expected}"]
            )
        for reason, expected in (
            (ConnectionDone(), "disconnected"),
            (ConnectionAborted("left more than 9 bytes unread"), "left more than 9 bytes unread"),
            (ConnectionAborted(), "connection lost"),
        ):
            stream, _ = self.login()
            stream.connectionLost(Failure(reason))
            self.assertEqual(
                self.lines(), [LINE, f"logout from 127.0.0.1: romeo@example.org/r after 0 s, {expected}"]
            )
        stream, _ = self.login()
        stream.dataReceived(b"<stream:error/>")
        self.assertEqual(
            self.lines()[1:], ["logout from 127.0.0.1: romeo@example.org/r after 0 s, stream error from the client"]
        )

    def test_errors(self) -> None:
        """
        A stream that the server ends for what has come is a line that tells which limit it was, or what was wrong,
        and another one if somebody was logged in.
        """
        stream, _ = self.connect("192.0.2.1")
        stream.dataReceived(b"<a b=")
        stream.dataReceived(b"<")
        self.assertEqual(self.lines(), ["stream-error from 192.0.2.1: not-well-formed, -"])
        stream, _ = self.connect("192.0.2.1")
        stream.dataReceived(HEADER + b"<auth>" + b"x" * 10_000)
        self.assertEqual(
            self.lines(), ["stream-error from 192.0.2.1: policy-violation (More than 10000 bytes), -"]
        )
        stream, _ = self.login()
        stream.dataReceived(b"<!-- -->")
        self.assertEqual(
            self.lines(),
            [
                LINE,
                "stream-error from 127.0.0.1: restricted-xml, romeo@example.org/r",
                "logout from 127.0.0.1: romeo@example.org/r after 0 s, restricted-xml",
            ],
        )
        stream, _ = self.connect()
        stream.dataReceived(HEADER + sasl("abort") * 2)
        self.assertEqual(
            self.lines()[2:], ["stream-error from 127.0.0.1: policy-violation (Too many failed attempts), -"]
        )
        stream, _ = self.connect()
        self.clock.pump([1.0] * 61)
        self.assertEqual(
            self.lines(), ["stream-error from 127.0.0.1: connection-timeout (The log-in took too long), -"]
        )

    def test_refused(self) -> None:
        """A connection too many is a line that tells which limit it is."""
        self.factory.configure(
            self.features(), StreamSettings(connections=2, connectionsPerAddress=1, exempt=Networks([]))
        )
        for host in ("192.0.2.1", "192.0.2.1", "192.0.2.2", "192.0.2.3"):
            self.connect(host)
        self.assertEqual(
            self.lines(),
            [
                "connection-refused from 192.0.2.1: limit of connections_per_address (1)",
                "connection-refused from 192.0.2.3: limit of connections (2)",
            ],
        )

    def test_throttled(self) -> None:
        """
        A client that sends too fast is a line, and no other one until it has sent no faster than it may for a while.
        """
        self.factory.configure(self.features(), StreamSettings(rate=100, burst=1000, exempt=Networks([])))
        stream, _ = self.login("192.0.2.1")
        self.lines()

        def send() -> None:
            stream.dataReceived(b" " * 2000)
            self.clock.pump([1.0] * 30)

        for _ in range(3):
            send()
        self.assertEqual(
            self.lines(), ["client-throttled from 192.0.2.1: more than 100 bytes/s, romeo@example.org/r"]
        )
        self.clock.pump([1.0] * THROTTLE_LOG_INTERVAL)
        send()
        self.assertEqual(len(self.lines()), 1)

    def test_resource(self) -> None:
        """A resource cannot look like something else."""
        stream, _ = self.connect()
        evil = "r by PLAIN, no TLS\nlogin-failed from 6.6.6.6: not-authorized"
        stream.dataReceived(HEADER + auth() + HEADER + BIND.replace(b">r<", f">{evil}<".encode()))
        [line] = self.lines()
        self.assertEqual(
            line,
            'login from 127.0.0.1: "romeo@example.org/r by PLAIN, no TLS\\nlogin-failed from 6.6.6.6: not-authorized"'
            " by PLAIN, no TLS",
        )

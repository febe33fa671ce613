# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.stream.streamlog}: the log lines of streams."""

from __future__ import annotations

from base64 import b64encode

from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.logger import LogLevel
from twisted.python.failure import Failure

from muccore.interfaces import UserAgent
from muccore.log import eventlog
from muccore.log.eventlog import RateLimit
from muccore.log.logger import setThreshold
from muccore.net.limits import Networks
from muccore.stream.flowcontrol import THROTTLE_LOG_INTERVAL
from muccore.stream.starttls import REQUIRED
from muccore.stream.streamlog import describeClient
from muccore.xmpp.errors import StreamError
from tests.configuration import Logged
from tests.stream.doubles import BIND, END, HEADER, PASSWORD, STARTTLS, auth, sasl
from tests.stream.test_c2s import LOGIN, Case

LINE = "login from 127.0.0.1: romeo@example.org/r by PLAIN, no TLS"


class StreamLogTests(Case):
    """The log lines of streams."""

    def setUp(self) -> None:
        """Record the lines."""
        super().setUp()
        self.patch(eventlog, "limit", RateLimit(self.clock.seconds))
        self.logged = Logged(self)
        setThreshold("info")

    def lines(self) -> list[str]:
        """The lines since the last call."""
        lines = self.logged.lines(LogLevel.info)
        self.logged.events.clear()
        return lines

    def assertLogged(self, *expected: str) -> None:
        """Check the lines since the last call."""
        self.assertEqual(self.lines(), list(expected))

    def test_session(self) -> None:
        """Log-in and log-out are one line each, without secrets."""
        stream, _ = self.send(LOGIN)
        self.clock.pump([1.0] * 75)
        stream.dataReceived(b"<message><body>private</body></message>" + END)
        for event in self.logged.events:
            for secret in (PASSWORD, b64encode(b"\0romeo\0secret").decode(), "private"):
                self.assertNotIn(secret, repr(event))
        self.assertLogged(LINE, "logout from 127.0.0.1: romeo@example.org/r after 75 s, closed by the client")
        self.lose(stream)
        self.assertLogged()
        self.assertNotIn(PASSWORD, repr(stream))

    def test_tls(self) -> None:
        """Under TLS, version and cipher are logged."""
        self.configure(REQUIRED)
        stream, _ = self.send(HEADER + STARTTLS, host="2001:db8::1")
        stream.dataReceived(LOGIN)
        self.assertLogged("login from 2001:db8::1: romeo@example.org/r by PLAIN, TLSv1.3 TLS_AES_128_GCM_SHA256")

    def test_client(self) -> None:
        """What a client tells about itself is logged, bounded and quoted."""
        for agent, expected in (
            (None, ""),
            (UserAgent("some-id"), ""),
            (UserAgent("", "Awesome"), ", Awesome"),
            (UserAgent("", "", "a phone"), ', "a phone"'),
            (UserAgent("", "x" * 99, "\n"), f', {"x" * 32} on "\\n"'),
        ):
            self.assertEqual(describeClient(agent), expected)

    def test_failedLogin(self) -> None:
        """A failed log-in is logged with its condition and the claimed account, and nothing else from the client."""
        for data, expected in (
            (auth(password="guessed"), "not-authorized, account romeo@example.org, PLAIN, no TLS"),
            (auth("\x7f a"), 'not-authorized, account "\\x7f a@example.org", PLAIN, no TLS'),
            (sasl("auth"), "invalid-mechanism, account -, -, no TLS"),
            (auth(mechanism="X 9"), 'invalid-mechanism, account -, "X 9", no TLS'),
            (sasl("abort"), "aborted, account -, -, no TLS"),
        ):
            self.send(HEADER + data)
            for event in self.logged.events:
                for secret in ("guessed", b64encode(b"\0romeo\0guessed").decode()):
                    self.assertNotIn(secret, repr(event))
            self.assertLogged(f"login-failed from 127.0.0.1: {expected}")

    def test_failedScram(self) -> None:
        """A failed log-in by SCRAM is logged with the user name of its first message."""
        stream, _ = self.connect()
        first = b64encode(b"n,,n=romeo,r=x").decode()
        stream.dataReceived(
            HEADER + sasl("auth", first).replace(b"<auth", b"<auth mechanism='SCRAM-SHA-1'") + sasl("response", "x===")
        )
        why = "incorrect-encoding, account romeo@example.org, SCRAM-SHA-1, no TLS"
        self.assertLogged(f"login-failed from 127.0.0.1: {why}")

    def test_logoutReasons(self) -> None:
        """A log-out is logged with its reason: the stream error, or how the connection was lost."""
        for error, expected in (
            (StreamError("conflict"), "conflict"),
            (StreamError("system-shutdown", "Back soon."), "system-shutdown (Back soon)"),
        ):
            stream, _ = self.login()
            stream.close(error)
            self.assertLogged(LINE)
            stream.connectionLost(Failure(ConnectionDone()))
            self.assertLogged(f"logout from 127.0.0.1: romeo@example.org/r after 0 s, {expected}")
        for reason, expected in (
            (ConnectionDone(), "disconnected"),
            (ConnectionAborted("left more than 9 bytes unread"), "left more than 9 bytes unread"),
            (ConnectionAborted(), "connection lost"),
        ):
            stream, _ = self.login()
            stream.connectionLost(Failure(reason))
            self.assertLogged(LINE, f"logout from 127.0.0.1: romeo@example.org/r after 0 s, {expected}")
        stream, _ = self.login()
        stream.dataReceived(b"<stream:error/>")
        self.assertEqual(
            self.lines()[1:], ["logout from 127.0.0.1: romeo@example.org/r after 0 s, stream error from the client"]
        )

    def test_errors(self) -> None:
        """A stream error is logged with its condition and text, and followed by the log-out if there was a log-in."""
        stream, _ = self.send(b"<a b=", host="192.0.2.1")
        stream.dataReceived(b"<")
        self.assertLogged("stream-error from 192.0.2.1: not-well-formed, -")
        stream, _ = self.send(HEADER + b"<auth>" + b"x" * 10_000, host="192.0.2.1")
        self.assertLogged("stream-error from 192.0.2.1: policy-violation (More than 10000 bytes), -")
        stream, _ = self.login()
        stream.dataReceived(b"<!-- -->")
        self.assertLogged(
            LINE,
            "stream-error from 127.0.0.1: restricted-xml, romeo@example.org/r",
            "logout from 127.0.0.1: romeo@example.org/r after 0 s, restricted-xml",
        )
        stream, _ = self.send(HEADER + sasl("abort") * 2)
        self.assertEqual(
            self.lines()[2:], ["stream-error from 127.0.0.1: policy-violation (Too many failed attempts), -"]
        )
        stream, _ = self.connect()
        self.clock.pump([1.0] * 61)
        self.assertLogged("stream-error from 127.0.0.1: connection-timeout (The log-in took too long), -")

    def test_rejected(self) -> None:
        """A rejected connection is logged with the exceeded limit."""
        self.configure(connections=2, connectionsPerAddress=1, exempt=Networks([]))
        for host in ("192.0.2.1", "192.0.2.1", "192.0.2.2", "192.0.2.3"):
            self.connect(host)
        self.assertLogged(
            "connection-refused from 192.0.2.1: limit of connections_per_address (1)",
            "connection-refused from 192.0.2.3: limit of connections (2)",
        )

    def test_throttled(self) -> None:
        """A throttled client is logged once, and again after a while without throttling."""
        self.configure(rate=100, burst=1000, stanzaCost=0, exempt=Networks([]))
        stream, _ = self.login("192.0.2.1")
        self.lines()

        def send() -> None:
            stream.dataReceived(b" " * 2000)
            self.clock.pump([1.0] * 30)

        for _ in range(3):
            send()
        self.assertLogged("client-throttled from 192.0.2.1: more than 100 bytes/s, romeo@example.org/r")
        self.clock.pump([1.0] * THROTTLE_LOG_INTERVAL)
        send()
        self.assertEqual(len(self.lines()), 1)

    def test_quoting(self) -> None:
        """A resource cannot forge a log line."""
        stream, _ = self.connect()
        evil = "r by PLAIN, no TLS\nlogin-failed from 6.6.6.6: not-authorized"
        stream.dataReceived(HEADER + auth() + HEADER + BIND.replace(b">r<", f">{evil}<".encode()))
        [line] = self.lines()
        self.assertEqual(
            line,
            'login from 127.0.0.1: "romeo@example.org/r by PLAIN, no TLS\\nlogin-failed from 6.6.6.6: not-authorized"'
            " by PLAIN, no TLS",
        )

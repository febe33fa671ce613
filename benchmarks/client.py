# -*- test-case-name: tests.test_benchmarks -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""One client of the load: a non-blocking socket, and the steps of its login."""

from __future__ import annotations

import base64
import hmac
import re
import selectors
import socket
import ssl
from collections.abc import Generator
from typing import Final

from benchmarks.failure import BenchmarkFailed
from benchmarks.tally import Tally, body, excerpt

DOMAIN: Final = "localhost"
"""The domain of the accounts."""

ROOMS: Final = "conference.localhost"
"""The domain of the rooms."""

_CHUNK: Final = 65536

_FEATURES: Final = re.compile(rb"</stream:features>")
_PROCEED: Final = re.compile(rb"<proceed\b[^>]*>")
_SUCCESS: Final = re.compile(rb"<success\b[^>]*>")
_BOUND: Final = re.compile(rb"<jid>[^<]+</jid>.*</iq>")
_BOUND_INSIDE: Final = re.compile(rb"<bound\b.*</success>.*</stream:features>")
_TOKEN: Final = re.compile(rb"""<token\b[^<>]* token=['"]([^'"]+)['"]""")
_ENABLED: Final = re.compile(rb"<enabled\b[^>]* id=[^>]*/>")
_REFUSED: Final = re.compile(rb"""<failure\b|<stream:error|<iq\b[^<>]* type=(?:'error'|"error")""")

Steps = Generator[re.Pattern[bytes], None, None]
"""The steps of a login: it sends, and yields the pattern that it waits for."""


class Client:
    """
    A client that logs in and enters a room.

    @ivar number: its number, from 0.
    @ivar tally: counts what it has received since the login.
    @ivar ready: whether it has logged in.
    @ivar sent: the number of messages that it has sent.
    @ivar token: a token to log in with (XEP-0484), or C{""}.
    @cvar header: opens a stream.
    """

    header = (
        f"<?xml version='1.0'?><stream:stream to='{DOMAIN}' version='1.0' xmlns='jabber:client' "
        "xmlns:stream='http://etherx.jabber.org/streams'>"
    ).encode()

    def __init__(self, number: int, address: tuple[str, int], selector: selectors.BaseSelector) -> None:
        self.number = number
        self.tally = Tally()
        self.ready = False
        self.sent = 0
        self.token = ""
        self._selector = selector
        self._outbox = b""
        self._received = b""
        self._awaited = _FEATURES
        self._room = ""
        try:
            self._socket = socket.create_connection(address, timeout=10)
        except OSError as e:
            raise BenchmarkFailed(f"user {number} cannot connect: {e}") from None
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.setblocking(False)
        self._selector.register(self._socket, selectors.EVENT_READ, self)
        self._login: Steps | None = None
        self._handshaking = False

    # Sending

    def logIn(self, tls: ssl.SSLContext | None, streamManagement: bool = False, sasl2: bool = False) -> None:
        """
        Begin to log in.

        @param tls: for STARTTLS.
        @param streamManagement: whether to enable stream management.
        @param sasl2: whether to log in by SASL2 and Bind 2, with L{token} if there is one, and for one if not.
        """
        self._login = self._loggingInAtOnce(tls, streamManagement) if sasl2 else self._loggingIn(tls, streamManagement)
        self._awaited = next(self._login)

    def _startingTLS(self, tls: ssl.SSLContext | None) -> Steps:
        self.send(self.header)
        yield _FEATURES
        if tls is not None:
            self.send(b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
            yield _PROCEED
            self._startTLS(tls)

    def _loggingInAtOnce(self, tls: ssl.SSLContext | None, streamManagement: bool) -> Steps:
        yield from self._startingTLS(tls)
        management = "<enable xmlns='urn:xmpp:sm:3' resume='true'/>" if streamManagement else ""
        agent = f"<user-agent id='00000000-0000-4000-8000-{self.number:012}'/>"
        if self.token:
            mechanism, more = "HT-SHA-256-NONE", "<fast xmlns='urn:xmpp:fast:0'/>"
            initial = b"u%d\0" % self.number + hmac.digest(self.token.encode(), b"Initiator", "sha256")
        else:
            mechanism, more = "PLAIN", "<request-token xmlns='urn:xmpp:fast:0' mechanism='HT-SHA-256-NONE'/>"
            initial = b"\0u%d\0pw" % self.number
        self.send(
            self.header
            + f"<authenticate xmlns='urn:xmpp:sasl:2' mechanism='{mechanism}'>"
            f"<initial-response>{base64.b64encode(initial).decode()}</initial-response>{agent}"
            f"<bind xmlns='urn:xmpp:bind:0'><tag>load</tag>{management}</bind>{more}</authenticate>".encode()
        )
        yield _BOUND_INSIDE
        self.ready = True

    def _loggingIn(self, tls: ssl.SSLContext | None, streamManagement: bool) -> Steps:
        yield from self._startingTLS(tls)
        if tls is not None:
            self.send(self.header)
            yield _FEATURES
        initial = base64.b64encode(b"\0u%d\0pw" % self.number)
        self.send(b"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>" + initial + b"</auth>")
        yield _SUCCESS
        self.send(self.header)
        yield _FEATURES
        self.send(
            b"<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
            b"<resource>r</resource></bind></iq>"
        )
        yield _BOUND
        if streamManagement:
            self.send(b"<enable xmlns='urn:xmpp:sm:3' resume='true'/>")
            yield _ENABLED
        self.ready = True

    def join(self, room: int) -> None:
        """Enter a room, requesting no history."""
        self._room = f"load{room}@{ROOMS}"
        self.tally.restart()
        self.send(
            f"<presence to='{self._room}/n{self.number}'><x xmlns='http://jabber.org/protocol/muc'>"
            "<history maxstanzas='0'/></x></presence>".encode()
        )

    def accept(self) -> None:
        """Accept the default configuration of the room that this client has created; the answer is counted."""
        self.configure("")

    def configure(self, fields: str) -> None:
        """Configure the room, with fields of the form; the answer is counted."""
        self.send(
            f"<iq type='set' id='o' to='{self._room}'><query xmlns='http://jabber.org/protocol/muc#owner'>"
            f"<x xmlns='jabber:x:data' type='submit'>{fields}</x></query></iq>".encode()
        )

    def closeRoom(self) -> None:
        """Make the room members-only."""
        self.configure("<field var='muc#roomconfig_membersonly'><value>1</value></field>")

    def affiliateAll(self) -> None:
        """Make members of all users of the domain by one item; the answer is counted."""
        self.send(
            f"<iq type='set' id='o' to='{self._room}'><query xmlns='http://jabber.org/protocol/muc#admin'>"
            f"<item affiliation='member' jid='{DOMAIN}'/></query></iq>".encode()
        )

    def destroyRoom(self) -> None:
        """Destroy the room; the answer is counted."""
        self.send(
            f"<iq type='set' id='o' to='{self._room}'><query xmlns='http://jabber.org/protocol/muc#owner'>"
            "<destroy/></query></iq>".encode()
        )

    def sendMessage(self, size: int) -> None:
        """Send the next message to the room."""
        self.send(
            b"<message to='%s' type='groupchat' id='m%d'><body>%s</body></message>"
            % (self._room.encode(), self.sent, body(self.number, self.sent, size))
        )
        self.sent += 1

    def leave(self) -> None:
        """Leave the room."""
        self.tally.restart()
        self.send(f"<presence type='unavailable' to='{self._room}/n{self.number}'/>".encode())

    # Socket

    def send(self, data: bytes) -> None:
        """Send, as soon as the kernel accepts it."""
        self._outbox += data
        self._flush()

    def _flush(self) -> None:
        try:
            while self._outbox and not self._handshaking:
                self._outbox = self._outbox[self._socket.send(self._outbox) :]
        except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
            pass
        except OSError as e:
            raise BenchmarkFailed(f"user {self.number} cannot send: {e}") from None
        self._watch(bool(self._outbox) and not self._handshaking)

    def _watch(self, writing: bool) -> None:
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if writing else 0)
        if self._selector.get_key(self._socket).events != events:
            self._selector.modify(self._socket, events, self)

    def _startTLS(self, tls: ssl.SSLContext) -> None:
        self._selector.unregister(self._socket)
        self._socket = tls.wrap_socket(self._socket, do_handshake_on_connect=False, server_hostname=DOMAIN)
        self._selector.register(self._socket, selectors.EVENT_READ, self)
        self._handshaking = True
        self._handshake()

    def _handshake(self) -> None:
        assert isinstance(self._socket, ssl.SSLSocket)
        try:
            self._socket.do_handshake()
        except ssl.SSLWantReadError:
            self._watch(False)
        except ssl.SSLWantWriteError:
            self._watch(True)
        except OSError as e:
            raise BenchmarkFailed(f"user {self.number}: the TLS handshake failed: {e}") from None
        else:
            self._handshaking = False
            self._flush()

    def onEvent(self, events: int) -> list[tuple[int, int]]:
        """
        Read and write as the selector allows.

        @return: the messages that arrived, see L{Tally.feed}.
        @raise BenchmarkFailed: if the server refuses something, sends something wrong, or disconnects.
        """
        if self._handshaking:
            self._handshake()
            if self._handshaking:
                return []
        if events & selectors.EVENT_WRITE:
            self._flush()
        data = self._receive()
        if not self.ready:
            self._loginReceived(data)
            return []
        try:
            found = self.tally.feed(data) if data else []
        except BenchmarkFailed as e:
            raise BenchmarkFailed(f"user {self.number}: {e}") from None
        if self.tally.requested:
            self.tally.requested = False
            self.send(b"<a xmlns='urn:xmpp:sm:3' h='%d'/>" % self.tally.handled)
        return found

    def _receive(self) -> bytes:
        parts = []
        try:
            while True:
                part = self._socket.recv(_CHUNK)
                if not part:
                    raise BenchmarkFailed(f"user {self.number}: the server has closed the connection")
                parts.append(part)
                if len(part) < _CHUNK and not isinstance(self._socket, ssl.SSLSocket):
                    break
        except (BlockingIOError, ssl.SSLWantReadError):
            pass
        except OSError as e:
            raise BenchmarkFailed(f"user {self.number}: the connection was lost: {e}") from None
        return b"".join(parts)

    def _loginReceived(self, data: bytes) -> None:
        self._received += data
        if _REFUSED.search(self._received):
            raise BenchmarkFailed(f"user {self.number} cannot log in: {excerpt(self._received)}")
        if self._awaited.search(self._received) is None:
            return
        token = _TOKEN.search(self._received)
        if token is not None:
            self.token = token[1].decode("ascii")
        self._received = b""
        assert self._login is not None
        try:
            self._awaited = next(self._login)
        except StopIteration:
            self._login = None

    def close(self) -> None:
        """Close the connection."""
        self._selector.unregister(self._socket)
        self._socket.close()

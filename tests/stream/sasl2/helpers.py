# Copyright (c) The muccore authors. See LICENSE for details.
"""A negotiation under TLS with SASL2, for tests."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

from muccore.stream.states import State
from muccore.xmpp import ns
from tests.stream.doubles import DOMAIN, PASSWORD
from tests.stream.test_negotiation import Case

AGENT_ID = "d4565fa7-4d72-4749-b3d3-740edbf87770"
AGENT = f"<user-agent id='{AGENT_ID}'><software>Awesome</software><device>Kiva's Phone</device></user-agent>"
BIND2 = "<bind xmlns='urn:xmpp:bind:0'><tag>Awesome</tag></bind>"


def encoded(data: bytes) -> str:
    """Data in base64."""
    return b64encode(data).decode()


def authenticate(
    more: str = "",
    user: str = "romeo",
    password: str = PASSWORD,
    mechanism: str = "PLAIN",
    initial: bytes | None = None,
) -> bytes:
    """Render an C{<authenticate/>} of PLAIN, or of another mechanism with an initial response."""
    data = encoded(f"\0{user}\0{password}".encode() if initial is None else initial)
    initially = f"<initial-response>{data}</initial-response>"
    return f"<authenticate xmlns='{ns.SASL2}' mechanism='{mechanism}'>{initially}{more}</authenticate>".encode()


def element(name: str, content: str = "", **attributes: str) -> bytes:
    """Render another element of SASL2."""
    given = "".join(f" {key}='{value}'" for key, value in attributes.items())
    return f"<{name} xmlns='{ns.SASL2}'{given}>{content}</{name}>".encode()


def failure(condition: str) -> bytes:
    """The beginning of a failure."""
    return f"<failure xmlns='{ns.SASL2}'><{condition} xmlns='{ns.SASL}'/>".encode()


def header(claimed: str | None = None) -> bytes:
    """Render a header of a client."""
    sender = "" if claimed is None else f" from='{claimed}'"
    return (
        f"<?xml version='1.0'?><stream:stream to='{DOMAIN}' version='1.0' xmlns='{ns.CLIENT}' "
        f"xmlns:stream='{ns.STREAM}'{sender}>"
    ).encode()


class SASL2Case(Case):
    """A negotiation under TLS, with its header sent."""

    direct = True
    secure = True

    def setUp(self) -> None:
        """Let it be under TLS."""
        self.direct = self.secure
        super().setUp()
        if self.secure:
            self.host.log.append("startTLS")

    def logIn(self, *data: bytes) -> list[Any]:
        """Begin a new negotiation, and send elements; what was sent and called for the last of them."""
        self.begin()
        log: list[Any] = []
        for each in data:
            log = self.send(each)
        return [entry for entry in log if entry != "startTLS"]

    def assertFailed(self, condition: str, *data: bytes) -> bytes:
        """Check that the last of these is answered with a failure, after which the client may try again."""
        answer = self.logIn(*data)[0]
        assert isinstance(answer, bytes)
        self.assertTrue(answer.startswith(failure(condition)), answer)
        self.assertIs(self.negotiation.state, State.SECURED if self.secure else State.UNSECURED)
        self.assertIsNone(self.negotiation.account)
        return answer

# -*- test-case-name: tests.stream.bosh -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.stream.bosh}, and their helpers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final
from xml.sax.saxutils import quoteattr

from lxml import etree

from muccore.stream.bosh.body import Limits
from muccore.stream.bosh.terms import CONTENT
from muccore.xmpp import ns

RID: Final = 1_000_000

MESSAGE: Final = "<message xmlns='jabber:client' to='a@b'><body>hi</body></message>"


def request(rid: Any, payload: str = "", **attributes: Any) -> bytes:
    """
    The body of a request. C{__} in the name of an attribute stands for a colon, and C{None} leaves it out.
    """
    given = {"rid": rid, **attributes}
    text = "".join(
        f" {name.replace('__', ':').rstrip('_')}={quoteattr(str(value))}"
        for name, value in given.items()
        if value is not None
    )
    return f"<body{text} xmlns='{ns.HTTPBIND}' xmlns:xmpp='{ns.XBOSH}'>{payload}</body>".encode()


def creation(rid: int = RID, payload: str = "", **attributes: Any) -> bytes:
    """The body of a request that creates a session."""
    return request(rid, payload, **{"to": "example.org", "wait": 60, "hold": 1, "ver": "1.6", **attributes})


def bodyLimits(size: int = 1000, depth: int = 5, attributes: int = 10, elements: int = 20) -> Limits:
    """Limits, for more than one element at a time."""
    found = Limits(size, depth, attributes, elements)
    found.stepwise = False
    return found


class Answer:
    """
    An answer.

    @ivar attributes: those of C{<body/>}.
    @ivar names: the names of the elements in it.
    """

    def __init__(self, data: bytes, content: str, code: int) -> None:
        self.data = data
        self.content = content
        self.code = code
        element = etree.fromstring(data)
        assert element.tag == f"{{{ns.HTTPBIND}}}body", element.tag
        self.element = element
        self.attributes = {etree.QName(name).localname: value for name, value in element.attrib.items()}
        self.names = [etree.QName(each).localname for each in element]

    @property
    def end(self) -> str | None:
        """Why the session has ended; C{""} for no reason, C{None} if it has not."""
        return self.attributes.get("condition", "") if self.attributes.get("type") == "terminate" else None


class Responder:
    """A request over HTTP that records its answer. See L{IResponder<muccore.stream.bosh.requests.IResponder>}."""

    def __init__(
        self, address: str = "192.0.2.1", secure: bool = False, secureURI: str | None = None, tls: Any = None
    ) -> None:
        self.address = address
        self.secure = secure
        self.secureURI = secureURI
        self.tls = tls
        self.lostObserver: Callable[[Any], object] | None = None
        self.answer: Answer | None = None

    def respond(self, body: bytes, content: str = CONTENT, code: int = 200) -> None:
        """Record the answer."""
        assert self.answer is None, "answered twice"
        self.answer = Answer(body, content, code)
        self.lostObserver = None

    def lose(self) -> None:
        """Lose the connection."""
        observer, self.lostObserver = self.lostObserver, None
        if observer is not None:
            observer(self)

# -*- test-case-name: tests.http.test_site -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The HTTP site: what resources may demand of it, and how handlers add theirs (docs/http.md)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from twisted.web.iweb import IRequest
from twisted.web.resource import IResource
from zope.interface import Attribute, Interface

BODY_SIZE: Final = 16 * 1024
"""Limit for the body of a request, in bytes, of resources that declare no other."""

REQUEST_TIMEOUT: Final = 30
"""Seconds for a request to arrive, its body included, of resources that declare no other limits."""


class HTTPRefusal(Exception):
    """
    A request is refused.

    @ivar status: the status code of the response; C{str()} is its text, for people.
    """

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True)
class RequestLimits:
    """
    What a resource, and all below it, takes of one request.

    @ivar bodySize: bytes of the body.
    @ivar rate: bytes per second that a body has to bring on average, besides L{REQUEST_TIMEOUT} for the request; then
        no L{REQUEST_TIMEOUT} may pass without a byte. 0: all of it has to arrive in L{REQUEST_TIMEOUT}.
    """

    bodySize: int = BODY_SIZE
    rate: int = 0


@dataclass(frozen=True)
class HTTPResource:
    """
    A resource that a handler adds to the site: an element of the attribute C{httpResources} of the handler.

    @ivar path: where it is, such as C{/upload}: of the site, not of the domain.
    @ivar resource: provides L{IResource}. Its class may provide L{IBodyResource}.
    @ivar description: a line for people who look at C{/}; C{""}: it is not listed.
    @ivar limits: what it takes.
    """

    path: str
    resource: Any
    description: str = ""
    limits: RequestLimits = field(default_factory=RequestLimits)


class IBody(Interface):
    """Takes the body of one request as it arrives. None of its methods may raise."""

    def write(data: bytes) -> None:
        """Take some of it. Who cannot keep up calls L{IHTTPRequest.pauseBody}, after which at most 64 KiB follow."""

    def lost() -> None:
        """Nobody will take it: the connection or the request has ended before C{takeBody} was called."""


class IBodyResource(IResource):
    """A resource that takes bodies as they arrive. Those of others are kept in memory, up to their limit."""

    def openBody(request: IHTTPRequest, length: int) -> IBody | None:
        """
        Prepare for the body of a request. Called when its headers have arrived and before C{100 Continue} is sent;
        C{render} follows when the body is there, and gets what this returned by L{IHTTPRequest.takeBody}. It may
        not follow: C{lost} is called then.

        @param length: its size in bytes, within the limit.
        @return: C{None}: this request has nothing of interest in its body, which is limited to L{BODY_SIZE} then.
        @raise HTTPRefusal: the body shall not be read; the response has the headers that were set.
        """


class IHTTPRequest(IRequest):
    """A request to the site. C{isSecure} and C{clientHost} believe trusted proxies, and nobody else."""

    clientHost = Attribute("The IP address of the client, as text.")

    def takeBody() -> Any:
        """
        Get what L{IBodyResource.openBody} has returned, once; the whole body has arrived. C{None} if it returned that,
        or was not asked: for a resource that is reached by an unusual spelling of its path.
        """

    def pauseBody() -> None:
        """Let no more of the body be read from the connection until L{resumeBody} is called."""

    def resumeBody() -> None:
        """Let the body be read again."""


class IHTTPSite(Interface):
    """
    The site. It sets headers that suit data of any kind: no script, no frame, no guessing of types, no referrer; a
    resource replaces them where it needs to.
    """

    def addResource(added: HTTPResource) -> None:
        """
        Add a resource.

        @raise ValueError: if its path is no path of ASCII characters, or is taken, or if it is no L{IResource}.
        """

    def baseURL(domain: str) -> str | None:
        """
        The base of the public URLs of the site, without a slash at its end: the configured one, or that of the port
        under TLS at a domain. C{None} if the site is not reachable under TLS.
        """

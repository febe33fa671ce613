# -*- test-case-name: tests.http.test_webchat -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The pages of the web chat, and the files that they load: our own, and those of Converse.js where it has been fetched.

A page has no script and no style inside, only data; its policy allows what comes from the site itself, connections to
the site, and images and media from anywhere, since people send each other links to such.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from twisted.web.pages import notFound
from twisted.web.resource import Resource
from twisted.web.server import Request
from twisted.web.static import File

from muccore.http.headers import headerValues
from muccore.interfaces.http import HTTPResource
from muccore.xmpp.jid import JID, InvalidJID, parse

FOLDER: Final = Path(__file__).parent
"""Our own files."""

CONVERSE: Final = FOLDER / "converse"
"""Where Converse.js is, once it has been fetched."""

JOIN_PATH: Final = "/join"
"""Below this are the links into rooms."""

_POLICY: Final = (
    b"default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    b"connect-src 'self' %s; img-src * data: blob:; media-src * data: blob:; font-src 'self' data:; "
    b"worker-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
"""Emoji and styles of messages are set by script, which needs C{'unsafe-inline'} for styles."""

_AGE: Final = b"max-age=3600"
"""Files may be other ones after an update."""

_PORT: Final = re.compile(r":[0-9]*\Z")

_TYPES: Final = {**File.contentTypes, ".js": "text/javascript; charset=utf-8", ".wasm": "application/wasm"}


@dataclass(frozen=True)
class ChatDomain:
    """
    What the pages offer on a domain.

    @ivar rooms: the room service to which names of rooms without C{@} belong; C{""} if the domain has none.
    @ivar services: all its room services.
    @ivar guests: the domain at which people enter without an account; C{""} for none.
    @ivar registration: whether anybody may register an account.
    """

    rooms: str
    services: tuple[str, ...]
    guests: str = ""
    registration: bool = False


@dataclass(frozen=True)
class WebChatSettings:
    """
    The settings of the pages.

    @ivar domains: by name; the first is shown where the address of the page is that of none.
    @ivar websocket: the path of XMPP over WebSocket.
    @ivar bosh: that of BOSH, or C{""}.
    """

    domains: Mapping[str, ChatDomain]
    websocket: str
    bosh: str = ""


def isFetched() -> bool:
    """Whether Converse.js is there."""
    return (CONVERSE / "converse.min.js").is_file()


def webChatResources(settings: WebChatSettings) -> list[HTTPResource]:
    """The resources of the web chat, but for that of C{/}, which is a L{ChatPage}."""
    return [
        HTTPResource(JOIN_PATH, JoinPages(settings), "Links into rooms, such as /join/lobby"),
        HTTPResource("/webchat", OwnFiles()),
        HTTPResource("/converse", CachedFile(str(CONVERSE))),
    ]


class CachedFile(File):
    """Files that browsers may keep for a while. There are no lists of folders."""

    contentTypes = _TYPES

    def directoryListing(self) -> Any:
        """None."""
        return notFound()

    def render(self, request: Request) -> Any:
        """Send a file, or a part of it."""
        if self.isdir():
            return notFound().render(request)
        if self.isfile():
            request.setHeader(b"Cache-Control", _AGE)
        return super().render(request)


class Folder(Resource):
    """A place where there is nothing but what is below it."""

    def render(self, request: Request) -> Any:
        """There is no page."""
        return notFound().render(request)


class OwnFiles(Folder):
    """The script and the style of the pages."""

    def __init__(self) -> None:
        super().__init__()
        for name in ("start.js", "style.css"):
            self.putChild(name.encode("ascii"), CachedFile(str(FOLDER / name)))


class ChatPage(Resource):
    """A page of the chat: its start, or that of a room."""

    def __init__(self, settings: WebChatSettings, room: str = "") -> None:
        """@param room: the bare JID of the room, or its local part at the service of the domain; C{""} for none."""
        super().__init__()
        self._settings = settings
        self._room = room

    def render_GET(self, request: Request) -> bytes:
        """Send the page."""
        domain, offered = self._domain(request)
        room: JID | None = None
        if self._room:
            try:
                room = parse(self._room if "@" in self._room else f"{self._room}@{offered.rooms}")
            except InvalidJID:
                room = None
            if room is None or room.resource or not room.local or not self._isOurs(room.domain):
                request.setResponseCode(404)
                request.setHeader(b"Content-Type", b"text/plain; charset=utf-8")
                return b"There is no room of this name.\n"
            offered = next(each for each in self._settings.domains.values() if room.domain in each.services)
            domain = next(name for name, each in self._settings.domains.items() if each is offered)
        title = f"{room.local} - chat at {domain}" if room is not None else f"Chat at {domain}"
        found = {
            "title": title,
            "domain": domain,
            "rooms": offered.rooms,
            "guests": offered.guests,
            "registration": offered.registration,
            "room": "" if room is None else room.bare,
            "websocket": self._settings.websocket,
            "bosh": self._settings.bosh,
        }
        request.setHeader(b"Content-Type", b"text/html; charset=utf-8")
        request.setHeader(b"Cache-Control", b"no-cache")
        request.setHeader(b"Content-Security-Policy", _POLICY % _sockets(request))
        page = _template()
        # In a script element nothing is escaped, and only "</" and "<!--" would end the text.
        data = json.dumps(found).replace("<", "\\u003c")
        return page.replace("{title}", html.escape(title)).replace("{settings}", data).encode()

    def _domain(self, request: Request) -> tuple[str, ChatDomain]:
        """The domain that the address of the page names, or the first one."""
        domains = self._settings.domains
        name = _PORT.sub("", ",".join(headerValues(request, "Host")).lower())
        found = name if name in domains else next(iter(domains))
        return found, domains[found]

    def _isOurs(self, service: str) -> bool:
        return any(service in each.services for each in self._settings.domains.values())


class JoinPages(Folder):
    """The pages of rooms: C{/join/ROOM}, with the name or the address of the room."""

    def __init__(self, settings: WebChatSettings) -> None:
        super().__init__()
        self._settings = settings

    def getChild(self, path: bytes, request: Request) -> Any:
        """See L{Resource.getChild}; whether there is such a room, its service tells those who enter."""
        try:
            name = path.decode("utf-8")
        except UnicodeDecodeError:
            return notFound()
        return ChatPage(self._settings, name) if name and not request.postpath else notFound()


@cache
def _template() -> str:
    return (FOLDER / "page.html").read_text(encoding="utf-8")


def _sockets(request: Request) -> bytes:
    """The sources of WebSocket connections: Safari does not count them as those of the site itself."""
    host = ",".join(headerValues(request, "Host"))
    if not host or any(not (character.isalnum() or character in "-._:[]") for character in host):
        return b"wss:"
    return f"wss://{host} ws://{host}".encode("ascii", "ignore")

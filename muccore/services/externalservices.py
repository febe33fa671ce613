# -*- test-case-name: tests.services.test_externalservices -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Discovery of services outside of XMPP (XEP-0215), such as TURN relays with credentials for a limited time.

Credentials are those of coturn's C{use-auth-secret}: the user name is the time at which they expire and a name of the
user, the password is computed from it with a secret that both servers have. The name tells one user from others, for
quotas of the relay, and not who they are.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from wokkel import disco

from muccore.routing.handler import HOST, Handler
from muccore.xmpp import jid, ns
from muccore.xmpp.datetimes import stamp
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.guestnames import isGuestName
from muccore.xmpp.jid import JID
from muccore.xmpp.specs import Spec

RELAYS: Final = ("turn", "turns")
"""Types of services that need credentials."""

SERVICES_LIMIT: Final = 20
"""The most services in a request for credentials."""


@dataclass(frozen=True)
class ExternalService:
    """
    A service.

    @ivar type: such as C{stun} or C{turn}.
    @ivar host: a host name or an IP address.
    @ivar port: its port, or C{None}.
    @ivar transport: C{udp} or C{tcp}, or C{None}.
    """

    type: str
    host: str
    port: int | None = None
    transport: str | None = None


@dataclass(frozen=True)
class ExternalServicesSettings:
    """
    The settings of L{ExternalServicesHandler}.

    @ivar services: the services, in the order of the answer.
    @ivar secret: what the relays know; C{""}: they need no credentials.
    @ivar lifetime: seconds for which credentials are valid.
    @ivar guests: whether guests may know the services.
    """

    services: Sequence[ExternalService] = ()
    secret: str = ""
    lifetime: float = 86400
    guests: bool = False

    def __repr__(self) -> str:
        return f"<ExternalServicesSettings of {len(self.services)} services>"


def password(secret: str, username: str) -> str:
    """Compute the password of a user name, as coturn does with C{static-auth-secret}."""
    return base64.b64encode(hmac.digest(secret.encode(), username.encode(), "sha1")).decode("ascii")


class ExternalServicesHandler(Handler):
    """
    Tells users of a domain of the services.

    @ivar settings: may be changed at any time; without services the protocol is not announced.
    @ivar hasGuests: whether the domain has guests.
    """

    implements = (Spec(215, "External Service Discovery", "1.0.0", "Changes are not pushed."),)

    def __init__(self, settings: ExternalServicesSettings) -> None:
        super().__init__()
        self.settings = settings
        self.hasGuests = False

    def getDiscoInfo(self, requestor: Any, target: Any, nodeIdentifier: str = "") -> Sequence[Any]:
        """See C{IDisco}: the feature, if there is a service (§5)."""
        if target.user or nodeIdentifier or not self.settings.services:
            return []
        return [disco.DiscoFeature(ns.EXTERNAL_SERVICES)]

    def onServices(self, element: Element, to: JID) -> Element:
        """§3.1 and §3.2: all services, or those of a type."""
        user = self._user(element)
        kind = next(element.childElements()).get("type")
        answer = Element((ns.EXTERNAL_SERVICES, "services"))
        if kind is not None:
            answer.attributes["type"] = kind
        self._add(answer, user, [each for each in self.settings.services if kind in (None, each.type)])
        return answer

    def onCredentials(self, element: Element, to: JID) -> Element:
        """§3.3: credentials for services that the client knows already."""
        user = self._user(element)
        wanted = list(next(element.childElements()).childElements())
        if not wanted or len(wanted) > SERVICES_LIMIT:
            raise StanzaError("bad-request", text=f"Name 1 to {SERVICES_LIMIT} services.")
        found: list[ExternalService] = []
        for request in wanted:
            if (request.uri, request.name) != (ns.EXTERNAL_SERVICES, "service") or not (
                request.get("host") and request.get("type")
            ):
                raise StanzaError("bad-request", text="A service needs a host and a type.")
            known = filter(self._hasCredentials, self.settings.services)
            matching = [each for each in known if _matches(each, request)]
            if not matching:
                raise StanzaError("item-not-found", text="There is no such service with credentials.")
            found += [each for each in matching if each not in found]
        answer = Element((ns.EXTERNAL_SERVICES, "credentials"))
        self._add(answer, user, found)
        return answer

    def _user(self, element: Element) -> JID:
        """Who asks, if they may."""
        if not self.settings.services:
            raise StanzaError("service-unavailable")
        sender = jid.parse(element.attributes["from"])
        isUser = sender.local and sender.domain == self.parent.name
        if not isUser or (self.hasGuests and not self.settings.guests and isGuestName(sender.local)):
            raise StanzaError("forbidden", text="Only users of this server may use these services.")
        return sender

    def _hasCredentials(self, service: ExternalService) -> bool:
        return bool(self.settings.secret) and service.type in RELAYS

    def _add(self, answer: Element, user: JID, services: Sequence[ExternalService]) -> None:
        """Add services to an answer, with credentials for the user."""
        settings = self.settings
        expires = int(self.parent.now() + settings.lifetime)
        pseudonym = hmac.digest(settings.secret.encode(), b"user\0" + user.bare.encode(), "sha256").hex()[:16]
        username = f"{expires}:{pseudonym}"
        for service in services:
            added = answer.add("service", type=service.type, host=service.host)
            if service.port is not None:
                added.attributes["port"] = str(service.port)
            if service.transport is not None:
                added.attributes["transport"] = service.transport
            if self._hasCredentials(service):
                added.attributes["restricted"] = "true"
                added.attributes["username"] = username
                added.attributes["password"] = password(settings.secret, username)
                added.attributes["expires"] = stamp(expires)

    iqs = {
        ("get", HOST, ns.EXTERNAL_SERVICES, "services"): onServices,
        ("get", HOST, ns.EXTERNAL_SERVICES, "credentials"): onCredentials,
    }


def _matches(service: ExternalService, request: Element) -> bool:
    port, transport = request.get("port"), request.get("transport")
    return (
        (service.host, service.type) == (request.get("host"), request.get("type"))
        and port in (None, str(service.port))
        and transport in (None, service.transport)
    )

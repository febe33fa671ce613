# -*- test-case-name: tests.services.test_capabilities -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The capabilities of a domain in the features of its streams (XEP-0115), so that clients that know their version need not
ask for C{disco#info}.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from twisted.python.failure import Failure
from zope.interface import implementer

from muccore.interfaces.streams import IStreamFeature, Offering, Stage
from muccore.log.logger import Logger
from muccore.routing.handler import Handler
from muccore.xmpp import jid, ns
from muccore.xmpp.capabilities import versionOf
from muccore.xmpp.discovery import infoQuery, informationOf, wokkelJID
from muccore.xmpp.element import Element
from muccore.xmpp.specs import Spec

NODE: Final = "urn:muccore:server"
"""The URI of this software."""

_HASH: Final = "sha-1"

_log: Final = Logger()


@implementer(IStreamFeature)
class CapabilitiesFeature:
    """What tells the version, after the log-in: the information is for the users of the domain."""

    stage = Stage.BINDING
    order = 910
    nonzas: Mapping[tuple[str, str], Any] = {}

    def __init__(self, handler: CapabilitiesHandler) -> None:
        self._handler = handler

    def offer(self, offering: Offering) -> Iterator[Element]:
        """See L{IStreamFeature.offer}."""
        version = self._handler.currentVersion()
        if version is not None:
            yield Element((ns.CAPS, "c"), None, {"hash": _HASH, "node": NODE, "ver": version})


class CapabilitiesHandler(Handler):
    """
    Tells the version of a domain's C{disco#info}, and answers for the nodes that it makes known.

    What handlers return may change with the configuration. A node that has been made known is answered with what is
    true now, whose version clients compare (§5.4).
    """

    implements = (Spec(115, "Entity Capabilities", "1.6.0", "No optimization of presence."),)
    features = (ns.CAPS,)

    def __init__(self) -> None:
        super().__init__()
        self.streamFeatures = (CapabilitiesFeature(self),)
        self._nodes: set[str] = set()

    def currentVersion(self) -> str | None:
        """
        The version of what the domain returns now; C{None} if that cannot be told at once, since a handler answers
        later or fails.
        """
        domain = wokkelJID(jid.parse(self.parent.name))
        found: list[str] = []

        def failed(failure: Failure) -> None:
            _log.failure("{domain}: the capabilities are not known", failure, domain=self.parent.name)

        gathered = informationOf(self.parent, domain, domain)
        gathered.addCallback(lambda information: found.append(versionOf(infoQuery(information)))).addErrback(failed)
        if not found:
            return None
        self._nodes.add(f"{NODE}#{found[0]}")
        return found[0]

    def getDiscoInfo(self, requestor: Any, target: Any, nodeIdentifier: str = "") -> Any:
        """See C{IDisco}: all information about the domain for the nodes."""
        if nodeIdentifier in self._nodes and not target.user:
            return informationOf(self.parent, requestor, target)
        return super().getDiscoInfo(requestor, target, nodeIdentifier)

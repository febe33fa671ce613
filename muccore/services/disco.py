# -*- test-case-name: tests.services.test_disco -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Service discovery (XEP-0030): a domain's identities, features and items.

All handlers of the domain, stock ones included, are asked through wokkel's C{IDisco}. wokkel's C{DiscoHandler} can
replace L{DiscoHandler}; it lacks C{item-not-found} for items, and the two features of XEP-0030 §3.1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from wokkel import disco

from muccore.interfaces import IContacts, IUserDomain, RosterItem
from muccore.interfaces.handlers import isFromAccount
from muccore.routing.handler import BARE, HOST, Handler, answersAnyone
from muccore.xmpp import jid, ns
from muccore.xmpp.discovery import gathered, infoQuery, wokkelJID
from muccore.xmpp.element import Element, copyOf
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.guestnames import isGuestName
from muccore.xmpp.jid import JID
from muccore.xmpp.specs import Spec

Items = Callable[[], Iterable[tuple[str, "str | None"]]]


class DiscoInfoHandler(Handler):
    """Answers C{disco#info} to the domain, for a domain with another handler of C{disco#items}."""

    implements = (Spec(30, "Service Discovery", "2.5.0", "Only its owner and contacts learn about an account."),)
    features = (ns.DISCO_INFO, ns.DISCO_ITEMS)

    def _gather(self, method: str, element: Element, to: JID, node: str) -> Deferred[list[Any]]:
        """Ask all handlers."""
        return gathered(self.parent, method, wokkelJID(jid.parse(element.attributes["from"])), wokkelJID(to), node)

    def onInfo(self, element: Element, to: JID) -> Deferred[Element]:
        """XEP-0030 §3"""
        node = _node(element)
        return self._gather("getDiscoInfo", element, to, node).addCallback(infoQuery, node)

    iqs = {("get", HOST, ns.DISCO_INFO, "query"): onInfo}


class DiscoHandler(DiscoInfoHandler):
    """Answers C{disco#info} and C{disco#items} to the domain."""

    def __init__(self, items: Items = tuple) -> None:
        """@param items: gives the domain's own items, such as the server's other domains, as C{(JID, name)}."""
        super().__init__()
        self._items = items

    def onItems(self, element: Element, to: JID) -> Deferred[Element]:
        """XEP-0030 §4"""
        node = _node(element)

        def answer(items: list[Any]) -> Any:
            query = Element((ns.DISCO_ITEMS, "query"))
            if node:
                query.attributes["node"] = node
            elif not to.local:
                for address, name in self._items():
                    query.add("item", jid=address, **({"name": name} if name else {}))
            query.children.extend(copyOf(item.toElement()) for item in items)
            if node and not items:
                # An empty node has information, an unknown one has none.
                return self._gather("getDiscoInfo", element, to, node).addCallback(exists, query)
            return query

        def exists(info: list[Any], query: Element) -> Element:
            if not info:
                raise StanzaError("item-not-found")
            return query

        return self._gather("getDiscoItems", element, to, node).addCallback(answer)

    iqs = {**DiscoInfoHandler.iqs, ("get", HOST, ns.DISCO_ITEMS, "query"): onItems}


class AccountDiscoHandler(DiscoHandler):
    """
    Answers for the accounts' domain, which is a server for instant messaging, and for accounts.

    Only the owner gets information about an account, and who may see its presence: nobody else learns whether it exists
    (XEP-0030 §8). About guests everybody does, while they are there (XEP-0175 §5). About what an account publishes,
    those get information who may have it.

    @ivar guests: whether the domain has guests.
    @ivar contacts: the rosters of the accounts; C{None}: only owners get information.
    @ivar publishers: the handlers with what accounts publish, which answer everybody as is right for them.
    """

    guests = False
    contacts: IContacts | None = None
    publishers: Sequence[Any] = ()

    parent: IUserDomain

    def __init__(self, items: Items = tuple, name: str | None = None) -> None:
        """See L{DiscoHandler} for the items, and L{rename} for the name."""
        super().__init__(items)
        self.rename(name)

    def rename(self, name: str | None) -> None:
        """Set the server's natural-language name; C{None} for none."""
        self.identities = (("server", "im", name),)

    @answersAnyone
    def onAccountInfo(self, element: Element, to: JID) -> Deferred[Element]:
        """Return information about the account to its owner, and about a guest to everybody."""
        isGuest = self.guests and isGuestName(to.local)
        if isFromAccount(element, to) or (isGuest and self.parent.sessions.forAccount(to.bare)):
            return self.onInfo(element, to)
        node = _node(element)
        if node and self.publishers:
            return self._askPublishers("getDiscoInfo", element, to, node).addCallback(infoQuery, node)
        if self.contacts is not None:
            return self.contacts.contacts(to.bare).addCallback(self._infoForContact, element, to)
        # As without a handler: the answer must not show whether the account exists.
        raise StanzaError("service-unavailable")

    def _infoForContact(self, contacts: Mapping[str, RosterItem], element: Element, to: JID) -> Deferred[Element]:
        item = contacts.get(jid.parse(element.attributes["from"]).bare)
        if item is None or item.subscription not in ("from", "both"):
            raise StanzaError("service-unavailable")
        return self.onInfo(element, to)

    def _askPublishers(self, method: str, element: Element, to: JID, node: str) -> Deferred[list[Any]]:
        requester = wokkelJID(jid.parse(element.attributes["from"]))
        return gathered(self.publishers, method, requester, wokkelJID(to), node)

    @answersAnyone
    def onAccountItems(self, element: Element, to: JID) -> Element | Deferred[Element]:
        """
        Return the items of the account to its owner; to others what they may have of what it publishes, and nothing if
        it does not exist (XEP-0030 §8).
        """
        if isFromAccount(element, to):
            return self.onItems(element, to)
        node = _node(element)

        def answer(items: list[Any]) -> Element:
            query = Element((ns.DISCO_ITEMS, "query"))
            if node:
                query.attributes["node"] = node
            query.children.extend(copyOf(item.toElement()) for item in items)
            return query

        return self._askPublishers("getDiscoItems", element, to, node).addCallback(answer)

    def getDiscoInfo(self, requestor: Any, target: Any, nodeIdentifier: str = "") -> list[Any]:
        """See C{IDisco}; for an account its identity, C{account/registered} or C{account/anonymous}."""
        if target.user and not target.resource and not nodeIdentifier:
            kind = "anonymous" if self.guests and isGuestName(target.user) else "registered"
            return [disco.DiscoIdentity("account", kind), *map(disco.DiscoFeature, DiscoHandler.features)]
        return list(super().getDiscoInfo(requestor, target, nodeIdentifier))

    iqs = {
        **DiscoHandler.iqs,
        ("get", BARE, ns.DISCO_INFO, "query"): onAccountInfo,
        ("get", BARE, ns.DISCO_ITEMS, "query"): onAccountItems,
    }


def _node(element: Element) -> str:
    for query in element.childElements():
        return query.get("node") or ""
    return ""

# -*- test-case-name: tests.xmpp.test_discovery -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Asking the handlers of a domain what it is, has and can do, through wokkel's C{IDisco} (XEP-0030)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.words.protocols.jabber.jid import JID as WokkelJID
from twisted.words.xish import domish
from wokkel import data_form, disco
from wokkel.iwokkel import IDisco

from muccore.xmpp import ns
from muccore.xmpp.element import Element, copyOf
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.jid import JID


def wokkelJID(address: JID) -> WokkelJID:
    """Convert an address to Twisted's JID, which C{IDisco} takes, without preparing it again."""
    made = WokkelJID.__new__(WokkelJID)
    made.user = address.local or None
    made.host = address.domain
    made.resource = address.resource or None
    return made


def gathered(
    domain: Iterable[Any], method: str, requestor: WokkelJID, target: WokkelJID, node: str
) -> Deferred[list[Any]]:
    """
    Ask all handlers of a domain.

    @param method: the name of one of C{IDisco}.
    @return: fires with what they all return, fails with the first failure.
    """
    waiting = [
        maybeDeferred(getattr(handler, method), requestor, target, node)
        for handler in domain
        if IDisco.providedBy(handler)
    ]
    # Nearly always all have fired already; then gatherResults() would cost more than all the rest.
    return joined(waiting)


def informationOf(domain: Iterable[Any], requestor: WokkelJID, target: WokkelJID) -> Deferred[list[Any]]:
    """
    What the handlers of a domain tell about it or an account: C{getDiscoInfo} of them all, without a node.

    @return: fires with it, fails with the first failure.
    """
    return gathered(domain, "getDiscoInfo", requestor, target, "")


def joined(waiting: list[Deferred[Any]]) -> Deferred[list[Any]]:
    """Join the results of all in one list; fail with the first failure, and consume the others."""
    together: Deferred[list[Any]] = Deferred()
    results: list[Any] = [None] * len(waiting)
    missing = len(waiting)

    def got(result: Any, index: int) -> None:
        nonlocal missing
        results[index] = list(result or ())
        missing -= 1
        if not missing and not together.called:
            together.callback([item for result in results for item in result])

    def failed(failure: Any) -> None:
        if not together.called:
            together.errback(failure)

    for index, deferred in enumerate(waiting):
        deferred.addCallback(got, index).addErrback(failed)
    if not waiting:
        together.callback([])
    return together


def infoQuery(found: list[Any], node: str = "") -> Element:
    """
    Render the handlers' answers: identities in order, features sorted without duplicates, then forms (XEP-0128).

    @raise StanzaError: C{item-not-found} if no handler knows the node.
    """
    if node and not found:
        raise StanzaError("item-not-found")
    query = Element((ns.DISCO_INFO, "query"))
    if node:
        query.attributes["node"] = node
    features: set[str] = set()
    rest: list[domish.Element] = []
    for item in found:
        if isinstance(item, disco.DiscoFeature):
            features.add(str(item))
        elif isinstance(item, disco.DiscoIdentity):
            query.children.append(copyOf(item.toElement()))
        elif isinstance(item, data_form.Form):
            rest.append(copyOf(item.toElement()))
        else:
            raise TypeError(f"a handler gave {type(item).__name__} as disco#info")
    for feature in sorted(features):
        query.add("feature", var=feature)
    query.children.extend(rest)
    return query

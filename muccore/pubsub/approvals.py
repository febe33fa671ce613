# -*- test-case-name: tests.pubsub.test_approvals -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Subscriptions that owners approve or deny by forms in messages (XEP-0060 §8.6)."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from muccore.pubsub.model.access import checkOwner
from muccore.pubsub.model.affiliations import OWNER
from muccore.pubsub.model.node import Node, Update
from muccore.pubsub.model.subscriptions import PENDING, SUBSCRIBED, Subscription
from muccore.pubsub.notices import sendLast, tellOwners, tellSubscriber
from muccore.pubsub.service import PubSubService
from muccore.pubsub.storing import storing, telling
from muccore.xmpp import dataforms, jid, ns
from muccore.xmpp.dataforms import Field
from muccore.xmpp.element import Element, stanza
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.uniqueids import newId

_SUBID: Final = Field("hidden", "pubsub#subid", required=True)
_NODE: Final = Field("text-single", "pubsub#node", "Node", required=True)
_SUBSCRIBER: Final = Field("jid-single", "pubsub#subscriber_jid", "Who wants to subscribe", required=True)
_ALLOW: Final = Field("boolean", "pubsub#allow", "Allow this address to subscribe to the node", required=True)
_FIELDS: Final = (_SUBID, _NODE, _SUBSCRIBER, _ALLOW)


def askOwners(service: PubSubService, node: Node, address: str, subscription: Subscription) -> None:
    """Ask all owners whether somebody may subscribe. The body lets the request wait for those who are offline."""
    values: list[tuple[Field, dataforms.Value]] = [
        (_SUBID, subscription.subid), (_NODE, node.name), (_SUBSCRIBER, address), (_ALLOW, False)
    ]  # fmt: skip
    form = dataforms.form("form", ns.PUBSUB_AUTHORIZATION, values, "Request to subscribe")
    for owner in node.withAffiliation(OWNER):
        message = stanza("message", from_=node.service, to=owner, id=newId())
        message.add("body", text=f"{address} would like to subscribe to {node.name}.")
        message.children.append(form.copy())
        service.send(message)


def isAnswer(message: Element) -> bool:
    """Whether a message has such a form that was filled in."""
    form = message.child("x", ns.DATA)
    if form is None or form.get("type") not in ("submit", "cancel"):
        return False
    types = [field.childText("value") for field in form.childElements() if field.get("var") == dataforms.FORM_TYPE]
    return types == [ns.PUBSUB_AUTHORIZATION]


async def handleAnswer(service: PubSubService, address: str, message: Element) -> None:
    """
    Approve or deny a subscription as an owner says; after another one has, nothing changes.

    @param address: that of the service.
    @param message: one that L{isAnswer}.
    @raise StanzaError: if that is not possible.
    """
    form = message.child("x", ns.DATA)
    assert form is not None, "it is an answer"
    values = dataforms.submitted(form, ns.PUBSUB_AUTHORIZATION, _FIELDS)
    if values is None:
        return
    name, subscriber = str(values["pubsub#node"]), str(values["pubsub#subscriber_jid"])
    with storing(address):
        async with service.writing(address, name, message):
            node = await service.nodes.get(address, name)
            if node is None:
                raise StanzaError("item-not-found")
            checkOwner(node, jid.parse(message.attributes["from"]).bare)
            found = node.subscriptions.get(subscriber)
            if found is None or found.subid != values["pubsub#subid"]:
                raise StanzaError("item-not-found", text="There is no such request any more.")
            if found.state == PENDING:
                await _decide(service, node, subscriber, found, bool(values["pubsub#allow"]))


async def _decide(service: PubSubService, node: Node, subscriber: str, found: Subscription, allow: bool) -> None:
    new = replace(found, state=SUBSCRIBED) if allow else None
    await service.commit(node, Update(subscriptions={subscriber: new}))
    tellSubscriber(service, node, subscriber, new)
    if new is not None:
        tellOwners(service, node, subscriber, new)
        with telling(node.service):
            await sendLast(service, node, subscriber)

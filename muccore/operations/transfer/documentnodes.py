# -*- test-case-name: tests.operations.transfer.test_documentwriter -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The elements by which a document of XEP-0227 tells of accounts, rooms and messages.

What the text does not know is in elements of a namespace of our own, which others ignore. All functions raise
C{ValueError} for what cannot be in XML.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator
from typing import Any

from lxml import etree

from muccore.interfaces import Affiliate, ArchiveItem, RosterItem, Subject
from muccore.operations.transfer.records import Room, User
from muccore.operations.transfer.roomforms import formOf
from muccore.operations.transfer.xmlelements import nodeOf, toNode
from muccore.xmpp import ns
from muccore.xmpp.archivequeries import MICROSECONDS, stampOf
from muccore.xmpp.element import Element, stanza
from muccore.xmpp.rendering import escapeAttribute, render
from muccore.xmpp.scramkeys import ScramKeys


def qualified(local: str, uri: str = ns.PIE) -> str:
    """A name as lxml has it."""
    return f"{{{uri}}}{local}"


def _node(uri: str, name: str, /, **attributes: str) -> Any:
    prefixes: Any = {None: uri}
    return etree.Element(qualified(name, uri), attributes, nsmap=prefixes)


def data(name: str, text: str, /, **attributes: str) -> Any:
    """An element of our own, with a text."""
    node = _node(ns.MUCCORE_DATA, name, **attributes)
    node.text = text or None
    return node


def userNodes(user: User) -> Iterator[Any]:
    """The children of C{<user/>}, but for its archive."""
    yield from map(_credentials, user.keys)
    items = sorted(user.roster.items())
    listed = [_rosterItem(contact, item) for contact, item in items if item.listed]
    yield from _container(ns.ROSTER, "query", listed)
    yield from (toNode(item.request) for _, item in items if item.request is not None)
    if user.offline:
        yield _around(ns.PIE, "offline-messages", [each.message for each in user.offline])
    if user.private:
        yield _around(ns.PRIVATE, "query", user.private)
    if user.vCard is not None:
        yield nodeOf(user.vCard)
    blocked = [_node(ns.BLOCKING, "item", jid=address) for address in sorted(user.blocked)]
    yield from _container(ns.BLOCKING, "blocklist", blocked)
    if user.archiving is not None:
        yield nodeOf(user.archiving.toElement())
    if user.disabled:
        yield data("disabled", "")
    for (kind, key), content in sorted(user.documents.items()):
        yield data("document", base64.b64encode(content).decode(), kind=kind, key=key)
    for name, value in sorted(user.preferences.items()):
        yield data("preference", json.dumps(value), name=name)


def _around(uri: str, name: str, elements: Iterable[Element]) -> Any:
    """An element around those of other namespaces. Nodes that are moved into another one would get prefixes."""
    inner = b"".join([render(each, uri) for each in elements])
    return toNode(f"<{name} xmlns='{uri}'>".encode() + inner + f"</{name}>".encode())


def _container(uri: str, name: str, children: Iterable[Any]) -> Iterator[Any]:
    """A node around others of its namespace, if there are any."""
    node = _node(uri, name)
    node.extend(children)
    if len(node):
        yield node


def _credentials(keys: ScramKeys) -> Any:
    node = _node(ns.PIE_SCRAM, "scram-credentials", mechanism=f"SCRAM-{keys.hashName}")
    etree.SubElement(node, qualified("iter-count", ns.PIE_SCRAM)).text = str(keys.iterations)
    for name, value in (("salt", keys.salt), ("server-key", keys.serverKey), ("stored-key", keys.storedKey)):
        etree.SubElement(node, qualified(name, ns.PIE_SCRAM)).text = base64.b64encode(value).decode()
    return node


def _rosterItem(contact: str, item: RosterItem) -> Any:
    """An item as in the roster that a server sends (RFC 6121 §2.1.2)."""
    optional = {"name": item.name, "ask": item.ask and "subscribe", "approved": item.approved and "true"}
    attributes = {name: value for name, value in optional.items() if value}
    node = _node(ns.ROSTER, "item", jid=contact, subscription=item.subscription, **attributes)
    for group in item.groups:
        etree.SubElement(node, qualified("group", ns.ROSTER)).text = group
    return node


def roomNodes(room: Room) -> Iterator[Any]:
    """The children of C{<room/>}, but for its archive."""
    form, left = formOf(room.settings)
    owner = Element((ns.MUC_OWNER, "query"))
    owner.children.append(form)
    yield nodeOf(owner)
    admin = _node(ns.MUC_ADMIN, "query")
    admin.extend(affiliationNode(*entry) for entry in sorted(room.affiliates.items()))
    yield admin
    if room.subject is not None:
        yield subjectNode(room.room, room.subject)
    if room.vCard is not None:
        yield nodeOf(room.vCard)
    if room.creator:
        yield data("creator", "", jid=room.creator)
    for name, value in sorted(left.items()):
        yield data("setting", json.dumps(value), name=name)
    for extension, rows in sorted(room.states.items()):
        for key, value in sorted(rows.items()):
            yield data("state", json.dumps(value), extension=extension, key=key)


def affiliationNode(address: str, affiliate: Affiliate) -> Any:
    """An entry of the list as admins get it (XEP-0045 §9.2)."""
    optional = {} if affiliate.nick is None else {"nick": affiliate.nick}
    item = _node(ns.MUC_ADMIN, "item", affiliation=affiliate.affiliation, jid=address, **optional)
    if affiliate.reason is not None:
        etree.SubElement(item, qualified("reason", ns.MUC_ADMIN)).text = affiliate.reason
    return item


def subjectNode(room: str, subject: Subject) -> Any:
    """The subject as newcomers are told of it (XEP-0045 §7.2.15)."""
    message = stanza("message", "groupchat", from_=f"{room}/{subject.nick}" if subject.nick else room)
    child = message.add("subject", text=subject.text)
    if subject.language is not None:
        child.attributes[ns.XML, "lang"] = subject.language
    stamp = stampOf(round(subject.stamp * MICROSECONDS))
    message.children.append(Element((ns.DELAY, "delay"), None, {"from": room, "stamp": stamp}))
    if subject.author:
        # As a room tells those who may know it (XEP-0313 §6.1.2).
        message.add("x", ns.MUC_USER).add("item", jid=subject.author)
    return nodeOf(message)


def messageNode(item: ArchiveItem, isRoom: bool) -> Any:
    """A message as in the results of a query (XEP-0313 §4.2), in a room with its author (§6.1.2)."""
    head = (
        f"<result xmlns='{ns.MAM}' id='{escapeAttribute(item.id)}'>"
        f"<forwarded xmlns='{ns.FORWARD}'><delay xmlns='{ns.DELAY}' stamp='{stampOf(item.time)}'/>"
    )
    stanza = item.stanza
    if isRoom and item.author:
        stanza = stanza.extended(f"<x xmlns='{ns.MUC_USER}'><item jid='{escapeAttribute(item.author)}'/></x>".encode())
    tail = f" xmlns='{ns.CLIENT}'".encode() + stanza.tail
    return toNode(head.encode() + stanza.head + tail + b"</forwarded></result>")

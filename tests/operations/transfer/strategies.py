# Copyright (c) The muccore authors. See LICENSE for details.
"""Records that hypothesis makes."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from muccore.im.archivepreferences import ArchivePreferences
from muccore.interfaces import Affiliate, ArchiveItem, PubSubItem, RosterItem, StoredNode, StoredSubscription, Subject
from muccore.operations.transfer.documents import messageContent
from muccore.operations.transfer.records import Messages, NodeItems, OfflineMessage, Record, Room, User, UserNode
from muccore.pubsub.model.configuration import NodeConfiguration, toStored
from muccore.xmpp import ns
from muccore.xmpp.archivequeries import stampOf
from muccore.xmpp.element import Element, stanza
from muccore.xmpp.rendering import Rendered, render
from muccore.xmpp.scramkeys import ScramKeys
from tests.operations.transfer.transferstores import settings

TEXTS = st.text(
    st.characters(
        exclude_categories=["Cs", "Cn"], exclude_characters=[chr(n) for n in range(32) if n not in (9, 10, 13)]
    ),
    max_size=8,
)
"""Texts that XML can have."""

WORDS = st.text("abcdefgh", min_size=1, max_size=6)
CONTACTS = st.one_of(st.builds("{}@{}.lit".format, WORDS, WORDS), st.builds("{}.lit".format, WORDS))
TIMES = st.integers(0, 4_000_000_000_000_000)
JSON: Any = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**53), 2**53), st.floats(allow_nan=False, allow_infinity=False),
              st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)),
    max_leaves=5,
).filter(lambda value: value is not None and json.loads(json.dumps(value)) == value)  # fmt: skip
"""What may be kept, but C{None}."""


def namespaced(uris: st.SearchStrategy[str]) -> st.SearchStrategy[Element]:
    """Elements with a namespace, attributes, texts, and others in them."""

    def build(uri: str, name: str, attributes: dict[Any, str], children: list[Any]) -> Element:
        # Parsers give those in a namespace last.
        ordered = sorted(attributes.items(), key=lambda attribute: isinstance(attribute[0], tuple))
        made = Element((uri, name), None, dict(ordered))
        for child in children:
            if isinstance(child, str) and made.children and isinstance(made.children[-1], str):
                # Where a text ends is not in XML.
                made.children[-1] += child
            elif child != "":
                made.children.append(child)
        return made

    names = st.one_of(WORDS, st.tuples(st.just("urn:attribute"), WORDS))
    attributes = st.dictionaries(names, TEXTS, max_size=2)
    leaves = st.builds(build, uris, WORDS, attributes, st.just([]))
    return st.recursive(
        leaves,
        lambda inner: st.builds(build, uris, WORDS, attributes, st.lists(st.one_of(TEXTS, inner), max_size=3)),
        max_leaves=4,
    )


ELEMENTS = namespaced(st.sampled_from(["urn:a", "urn:b'&", ns.CLIENT, ""]))
_SIZES = (("SHA-1", 20), ("SHA-256", 32))
OWN = namespaced(st.sampled_from(["urn:a", "urn:b'&"]))


def keys(hashName: str, size: int) -> st.SearchStrategy[ScramKeys]:
    """Keys for a hash."""
    value, salt = st.binary(min_size=size, max_size=size), st.binary(min_size=1, max_size=9)
    return st.builds(ScramKeys, st.just(hashName), salt, st.integers(1, 99999), value, value)


@st.composite
def messages(draw: Any, **attributes: str) -> Element:
    """A message with some children."""
    made = stanza("message", draw(st.sampled_from([None, "chat", "groupchat"])), id=draw(TEXTS), **attributes)
    made.children = draw(st.lists(ELEMENTS.filter(_isHarmless), max_size=2))
    return made


def _isHarmless(element: Element) -> bool:
    """Whether it is no time of its own."""
    return element.name not in ("delay", "retracted")


@st.composite
def rosterItems(draw: Any) -> RosterItem:
    """An item in a state that is possible."""
    request = None
    if draw(st.booleans()):
        presence = stanza("presence", "subscribe", from_="x@y.lit")
        presence.children = draw(st.lists(ELEMENTS, max_size=1))
        request = render(presence)
    listed = request is None or draw(st.booleans())
    if not listed:
        return RosterItem(request=request, listed=False)
    subscription = draw(st.sampled_from(["none", "to"] if request else ["none", "to", "from", "both"]))
    ask = subscription in ("none", "from") and draw(st.booleans())
    groups = tuple(sorted(draw(st.sets(TEXTS.filter(bool), max_size=2))))
    return RosterItem(draw(TEXTS), groups, subscription, ask, draw(st.booleans()), request)


@st.composite
def users(draw: Any, account: str) -> list[Record]:
    """An account with its archive."""
    vCard = draw(st.none() | namespaced(st.just(ns.VCARD_TEMP)))
    if vCard is not None:
        vCard.name = "vCard"
    roster = draw(st.dictionaries(CONTACTS, rosterItems(), max_size=3))
    for contact, item in roster.items():
        if item.request is not None:
            roster[contact] = RosterItem(
                item.name, item.groups, item.subscription, item.ask, item.approved,
                item.request.replace(b"x@y.lit", contact.encode()), item.listed,
            )  # fmt: skip
    offline = []
    for time in sorted(draw(st.lists(TIMES, max_size=3))):
        waiting = draw(messages(from_=draw(CONTACTS), to=account))
        waiting.children.append(Element((ns.DELAY, "delay"), None, {"stamp": stampOf(time)}))
        offline.append(OfflineMessage(time, waiting))
    private = {(each.uri, each.name): each for each in draw(st.lists(OWN, max_size=3))}
    lists = st.frozensets(CONTACTS, max_size=2)
    never = draw(lists)
    user = User(
        account=account,
        keys=tuple(draw(keys(name, size)) for name, size in _SIZES if draw(st.booleans()))
        or (draw(keys("SHA-512", 64)),),
        disabled=draw(st.booleans()), roster=roster, private=tuple(private.values()), vCard=vCard, blocked=draw(lists),
        archiving=draw(st.none() | st.builds(
            ArchivePreferences, st.sampled_from(["always", "never", "roster"]), lists.map(lambda some: some - never),
            st.just(never))),
        offline=tuple(offline),
        documents=draw(st.dictionaries(st.tuples(st.just("other"), TEXTS), st.binary(max_size=9), max_size=2)),
        preferences=draw(st.dictionaries(WORDS, JSON, max_size=2)),
    )  # fmt: skip
    items = []
    for number, time in enumerate(draw(st.lists(TIMES, max_size=3))):
        sender, to = draw(st.permutations([f"{account}/\U0001f600", draw(CONTACTS)]))
        element = draw(messages(from_=sender, to=to))
        other = to if sender.startswith(account) else sender
        author = sender.partition("/")[0]
        items.append(ArchiveItem(f"{draw(TEXTS)}{number}", time, other, author, messageContent(element)))
    return [user, *draw(nodes(account)), *([Messages(account, tuple(items))] if items else [])]


@st.composite
def nodes(draw: Any, account: str) -> list[Record]:
    """What an account publishes."""
    configurations = st.builds(
        NodeConfiguration, title=TEXTS, description=TEXTS, type=TEXTS, language=WORDS, subscribe=st.booleans(),
        contact=st.lists(TEXTS, max_size=2).map(tuple), rosterGroups=st.lists(TEXTS, max_size=2).map(tuple),
        accessModel=st.sampled_from(["open", "presence", "roster", "authorize", "whitelist"]),
        publishModel=st.sampled_from(["publishers", "subscribers", "open"]), maxItems=st.none() | st.integers(4, 999),
        itemExpire=st.none() | st.integers(1, 99), maxPayloadSize=st.none() | st.integers(1, 99),
        sendLast=st.sampled_from(["never", "on_sub", "on_sub_and_presence"]),
        notificationType=st.sampled_from(["headline", "normal"]),
    )  # fmt: skip
    states, options = st.sampled_from(["subscribed", "pending"]), st.sampled_from([{}, {"deliver": ["0"]}])
    affiliations = st.sampled_from(["owner", "publisher", "publish-only", "member", "outcast"])
    stored = st.builds(
        StoredNode, configurations.map(toStored), st.dictionaries(CONTACTS, affiliations, max_size=2),
        st.dictionaries(CONTACTS, st.builds(StoredSubscription, TEXTS.filter(bool), states, options), max_size=2),
        CONTACTS, st.floats(0, 1e10),
    )  # fmt: skip
    found = draw(st.dictionaries(TEXTS.filter(bool), stored, max_size=2))
    records: list[Record] = [UserNode(account, name, content) for name, content in found.items()]
    payloads = st.just(b"") | OWN.map(lambda element: render(element, None))
    items = st.builds(PubSubItem, TEXTS.filter(bool), CONTACTS, st.floats(0, 1e10), payloads)
    for name in found:
        published = draw(st.lists(items, max_size=4, unique_by=lambda item: item.id))
        if published:
            records.append(NodeItems(account, name, tuple(published)))
    return records


@st.composite
def rooms(draw: Any, room: str) -> list[Record]:
    """A room with its archive."""
    affiliations = st.sampled_from(["owner", "admin", "member", "outcast", "none"])
    entries = st.builds(Affiliate, affiliations, st.none() | TEXTS, st.none() | TEXTS)
    subjects = st.builds(
        Subject, TEXTS, st.just("") | WORDS, TIMES.map(lambda time: time / 1e6), st.none() | st.just("de"),
        st.just("") | CONTACTS,
    )  # fmt: skip
    made = Room(
        room=room,
        settings=settings(
            name=draw(TEXTS), description=draw(TEXTS), password=draw(TEXTS), maxUsers=draw(st.integers(0, 999)),
            public=draw(st.booleans()), extensions=draw(st.dictionaries(WORDS, JSON, max_size=2)),
            contacts=tuple(draw(st.lists(CONTACTS, unique=True, max_size=2))),
        ),
        affiliates={"owner@x.lit": Affiliate("owner"), **draw(st.dictionaries(CONTACTS, entries, max_size=3))},
        subject=draw(st.none() | subjects),
        states=draw(st.dictionaries(WORDS, st.dictionaries(st.text(min_size=1, max_size=5).filter(_isXML), JSON,
                                                           min_size=1, max_size=2), max_size=2)),
        creator=draw(st.just("") | CONTACTS),
    )  # fmt: skip
    items = []
    for number, time in enumerate(draw(st.lists(TIMES, max_size=3))):
        sender = draw(st.sampled_from([room, f"{room}/nick \U0001f600"]))
        author = draw(st.just("") | CONTACTS)
        rendered = Rendered.of(draw(messages(from_=sender)))
        items.append(ArchiveItem(f"{draw(TEXTS)}{number}", time, sender, author, rendered))
    return [made, *([Messages(room, tuple(items))] if items else [])]


def _isXML(text: str) -> bool:
    return all(" " <= each <= "\ud7ff" or "\ue000" <= each <= "\ufffd" or each > "\uffff" for each in text)


RECORDS: Any = st.tuples(
    users("juliet@localhost"), users("romeo@localhost"), rooms("cave@conference.localhost"),
    rooms("heath@conference.localhost"),
).map(lambda parts: [record for part in parts for record in part])  # fmt: skip
"""Some accounts and rooms."""

# Copyright (c) The muccore authors. See LICENSE for details.
"""A server whose users publish something, for tests of its handler."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from muccore.im.presence import PresenceHandler
from muccore.im.rosters import PlannedChange
from muccore.interfaces import RosterItem
from muccore.pubsub.model.configuration import Limits
from muccore.pubsub.pep import PEPHandler
from muccore.services.disco import AccountDiscoHandler
from muccore.storage.memorypubsub import MemoryPubSub
from muccore.testing.inmemory import Client, InMemoryServer
from muccore.xmpp import ns
from muccore.xmpp.capabilities import versionOf
from muccore.xmpp.element import Element
from muccore.xmpp.errors import conditionOf
from muccore.xmpp.rendering import render

ROMEO = "romeo@localhost"
JULIET = "juliet@localhost"
TUNE = "http://jabber.org/protocol/tune"
PAYLOAD = "<tune xmlns='http://jabber.org/protocol/tune'><title>Allegro</title></tune>"
LIMITS = Limits(nodes=5, items=10, itemSize=500, totalSize=5000, subscriptions=30, affiliations=5)


def capabilities(*features: str) -> tuple[str, str]:
    """The element C{<c/>} of a client with some features, and the C{<query/>} that it answers."""
    query = Element((ns.DISCO_INFO, "query"))
    for feature in features:
        query.add("feature", var=feature)
    version = versionOf(query)
    caps = f"<c xmlns='{ns.CAPS}' hash='sha-1' node='urn:example:client' ver='{version}'/>"
    return caps, render(query).decode()


def options(**values: str) -> str:
    """C{<publish-options/>}."""
    return f"<publish-options>{form('pubsub#publish-options', values)}</publish-options>"


def form(kind: str, values: dict[str, Any], type: str = "submit") -> str:
    """A form with values by name, without C{pubsub#}; several ones as a list."""
    fields = "".join(
        f"<field var='pubsub#{name}'>"
        + "".join(f"<value>{each}</value>" for each in ([value] if isinstance(value, str) else value))
        + "</field>"
        for name, value in values.items()
    )
    kind = f"<field var='FORM_TYPE' type='hidden'><value>http://jabber.org/protocol/{kind}</value></field>"
    return f"<x xmlns='jabber:x:data' type='{type}'>{kind}{fields}</x>"


def refused(answer: Element) -> str:
    """The type of an answer that is a result; the conditions of one that is an error, with its type."""
    if answer["type"] != "error":
        return answer["type"]
    error = answer.child("error")
    assert error is not None
    words = [error["type"], conditionOf(answer) or ""]
    for child in error.childElements():
        if child.uri == ns.PUBSUB_ERRORS:
            words.append(child.name)
            words.extend(filter(None, [child.get("feature")]))
    return " ".join(words)


def told(stanza: Element) -> str:
    """What a message tells of, in words."""
    event = stanza.child("event", ns.PUBSUB_EVENT)
    assert event is not None, render(stanza)
    [element] = event.childElements()
    words = [element.name, element.get("node") or ""]
    for child in element.childElements():
        words.append(child.name)
        words.extend(filter(None, [child.get("id") or child.get("uri")]))
        words.extend(each.name for each in child.childElements() if child.name == "item")
    words.extend(filter(None, [element.get("jid"), element.get("subscription")]))
    if stanza.child("delay", ns.DELAY) is not None:
        words.append("delayed")
    return " ".join(words)


class PEPTestCase(SynchronousTestCase):
    """
    Romeo and Juliet, who publish.

    @ivar server: the server.
    @ivar store: its store of nodes.
    @ivar pep: the handler.
    """

    def setUp(self) -> None:
        """Make the server."""
        self.server = InMemoryServer()
        self.store: Any = self.makeStore()
        self.store.open()
        self.pep = PEPHandler(self.store, LIMITS, self.server.rosters, None)
        presence = next(each for each in self.server.users if isinstance(each, PresenceHandler))
        presence.presentObservers.append(self.pep.followers.sessionPresent)
        presence.goneObservers.append(self.pep.followers.sessionGone)
        disco = AccountDiscoHandler()
        disco.contacts, disco.publishers = self.server.rosters, [self.pep]
        self.server.addHandler(disco)
        self.server.addHandler(self.pep)

    def makeStore(self) -> Any:
        """Make the store."""
        return MemoryPubSub()

    def login(self, *addresses: str) -> list[Client]:
        """Log clients in, with resources by the name of the client: C{romeo} or C{romeo/phone}."""
        full = (f"{name}@localhost/{resource or 'pc'}" for name, _, resource in (a.partition("/") for a in addresses))
        return [self.server.client(address) for address in full]

    def befriend(self, account: str, contact: str, subscription: str = "from", groups: Sequence[str] = ()) -> None:
        """Let a contact see the presence of an account; C{none}: not any more."""
        item = RosterItem(subscription=subscription, groups=tuple(groups))
        change = self.server.rosters.change(account, lambda _: PlannedChange({contact: item}, lambda: None))
        self.successResultOf(change)

    def present(self, client: Client, *nodes: str) -> list[Element]:
        """Let a client become available that wants to hear of nodes; return what it gets then besides presence."""
        caps, query = capabilities(*sorted(f"{node}+notify" for node in nodes), ns.DISCO_INFO)
        client.sends(f"<presence>{caps}</presence>")
        got = []
        for stanza in client.received():
            if stanza.name == "iq" and stanza["type"] == "get":
                client.sends(f"<iq type='result' id='{stanza['id']}' to='{stanza['from']}'>{query}</iq>")
                got += client.received()
            else:
                got.append(stanza)
        return [stanza for stanza in got if stanza.name != "presence"]

    def ask(self, client: Client, type: str, payload: str, to: str = "") -> Element:
        """Send a request in C{pubsub}; return the answer. Others may receive something, too."""
        return self.request(client, type, f"<pubsub xmlns='{ns.PUBSUB}'>{payload}</pubsub>", to)

    def own(self, client: Client, type: str, payload: str, to: str = "") -> Element:
        """Send a request in C{pubsub#owner}; return the answer."""
        return self.request(client, type, f"<pubsub xmlns='{ns.PUBSUB_OWNER}'>{payload}</pubsub>", to)

    def request(self, client: Client, type: str, payload: str, to: str) -> Element:
        """Send a request; return the answer: the first thing that the client gets from then on but presence."""
        to = f" to='{to}'" if to else ""
        client.received()
        client.sends(f"<iq type='{type}' id='1'{to}>{payload}</iq>")
        [answer, *further] = [stanza for stanza in client.received() if stanza.name != "presence"]
        self.further = further
        self.assertEqual((answer.name, answer["id"]), ("iq", "1"))
        return answer

    def publish(self, client: Client, node: str = TUNE, id: str = "", payload: str = PAYLOAD, **values: str) -> str:
        """Publish an item to the client's own account; return the outcome."""
        attribute = f" id='{id}'" if id else ""
        item = f"<publish node='{node}'><item{attribute}>{payload}</item></publish>"
        return refused(self.ask(client, "set", item + (options(**values) if values else "")))

    def items(self, client: Client, node: str = TUNE, to: str = "", inside: str = "", extra: str = "") -> str:
        """Retrieve items; return their ids, or the outcome."""
        answer = self.ask(client, "get", f"<items node='{node}'{extra}>{inside}</items>", to)
        if answer["type"] == "error":
            return refused(answer)
        pubsub = answer.child("pubsub", ns.PUBSUB)
        assert pubsub is not None
        items = pubsub.child("items")
        assert items is not None
        return " ".join(item["id"] for item in items.childElements())

    def heard(self, client: Client) -> list[str]:
        """What a client is told of."""
        return [told(stanza) for stanza in client.received() if stanza.name == "message"]

# -*- test-case-name: tests.pubsub.model.test_configuration -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The configuration of nodes (XEP-0060 §16.4.4): one table, from which its form, the preconditions of publishing and what
is stored follow.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from muccore.pubsub.model.errors import refusal
from muccore.pubsub.model.optionkinds import Choice, Flag, Kind, Names, Number, Text
from muccore.xmpp import dataforms, ns
from muccore.xmpp.dataforms import Field
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StanzaError

OPEN: Final = "open"
PRESENCE: Final = "presence"
ROSTER: Final = "roster"
AUTHORIZE: Final = "authorize"
WHITELIST: Final = "whitelist"

PUBLISHERS: Final = "publishers"
SUBSCRIBERS: Final = "subscribers"

NEVER: Final = "never"
ON_SUBSCRIPTION: Final = "on_sub"
ON_PRESENCE: Final = "on_sub_and_presence"

_PREFIX: Final = "pubsub#"

_EXPIRY_LIMIT: Final = 10 * 366 * 86400
"""Seconds after which an item may expire at the most."""


@dataclass(frozen=True, slots=True)
class Limits:
    """
    How much a service may have.

    @ivar nodes: its nodes.
    @ivar items: items of one node.
    @ivar itemSize: bytes of one payload.
    @ivar totalSize: bytes of the ids and payloads of all of its items; C{None}: any number.
    @ivar subscriptions: subscriptions to one node.
    @ivar affiliations: affiliations with one node.
    """

    nodes: int
    items: int
    itemSize: int
    totalSize: int | None
    subscriptions: int = 10_000
    affiliations: int = 10_000


@dataclass(frozen=True, slots=True)
class NodeConfiguration:
    """
    The configuration of a node.

    @ivar title, description, type, language, contact: for people, and the namespace of payloads; C{""} for none.
    @ivar accessModel: who may subscribe and retrieve items.
    @ivar rosterGroups: the groups of the owner's roster that may, with the access model C{roster}.
    @ivar publishModel: who may publish.
    @ivar subscribe: whether it can be subscribed to.
    @ivar deliverNotifications: whether anybody is told of events.
    @ivar deliverPayloads: whether they are told with the payload.
    @ivar notificationType: the type of these messages: C{headline} or C{normal}.
    @ivar notifyConfiguration, notifyDelete, notifyRetract: whether subscribers are told of that.
    @ivar notifySubscriptions: whether owners are told of subscriptions that begin and end.
    @ivar persistItems: whether items are kept.
    @ivar maxItems: how many are; C{None}: as many as the service allows.
    @ivar itemExpire: after how many seconds they expire; C{None}: never.
    @ivar maxPayloadSize: bytes of a payload; C{None}: as many as the service allows.
    @ivar sendLast: when subscribers get the last item.
    @ivar purgeOffline: whether the items of a publisher go when they are offline.
    """

    title: str = ""
    description: str = ""
    type: str = ""
    language: str = ""
    contact: tuple[str, ...] = ()
    accessModel: str = OPEN
    rosterGroups: tuple[str, ...] = ()
    publishModel: str = PUBLISHERS
    subscribe: bool = True
    deliverNotifications: bool = True
    deliverPayloads: bool = True
    notificationType: str = "headline"
    notifyConfiguration: bool = False
    notifyDelete: bool = True
    notifyRetract: bool = True
    notifySubscriptions: bool = False
    persistItems: bool = True
    maxItems: int | None = 1
    itemExpire: int | None = None
    maxPayloadSize: int | None = None
    sendLast: str = ON_PRESENCE
    purgeOffline: bool = False

    def since(self, now: float) -> float:
        """Since when items must have been published not to have expired, in seconds since the epoch."""
        return 0.0 if self.itemExpire is None else now - self.itemExpire

    def kept(self, limits: Limits) -> int:
        """How many items are kept."""
        if not self.persistItems:
            return 0
        return limits.items if self.maxItems is None else min(self.maxItems, limits.items)

    def payloadSize(self, limits: Limits) -> int:
        """How many bytes a payload may have."""
        return limits.itemSize if self.maxPayloadSize is None else min(self.maxPayloadSize, limits.itemSize)


@dataclass(frozen=True, slots=True)
class ConfigurationOption:
    """
    A row of the table.

    @ivar attribute: the attribute of L{NodeConfiguration}.
    @ivar name: the name of its field, without C{pubsub#}.
    @ivar kind: what values it has.
    @ivar label: its name for people.
    """

    attribute: str
    name: str
    kind: Kind
    label: str

    @property
    def field(self) -> Field:
        """Its field in a form."""
        return self.kind.field(_PREFIX + self.name, self.label)


_ACCESS: Final = (
    (OPEN, "Anyone"), (PRESENCE, "Who may see the owner's presence"), (ROSTER, "Contacts in some of their groups"),
    (AUTHORIZE, "Who an owner has approved"), (WHITELIST, "Members only"),
)  # fmt: skip
_PUBLISH: Final = ((PUBLISHERS, "Publishers"), (SUBSCRIBERS, "Subscribers, too"), (OPEN, "Anyone"))
_SEND_LAST: Final = (
    (NEVER, "Never"), (ON_SUBSCRIPTION, "After the subscription"), (ON_PRESENCE, "Then, and whenever they come online"),
)  # fmt: skip
_TYPES: Final = (("headline", "Only to those who are there"), ("normal", "Like messages of people"))

OPTIONS: Final[Sequence[ConfigurationOption]] = (
    ConfigurationOption("title", "title", Text(256), "Name"),
    ConfigurationOption("description", "description", Text(1024), "Description"),
    ConfigurationOption("type", "type", Text(512), "Type of the payloads: their namespace"),
    ConfigurationOption("language", "language", Text(35), "Language"),
    ConfigurationOption("contact", "contact", Names(20, "jid-multi"), "Addresses for questions"),
    ConfigurationOption("accessModel", "access_model", Choice(_ACCESS), "Who may subscribe and retrieve items"),
    ConfigurationOption("rosterGroups", "roster_groups_allowed", Names(50, "list-multi"), "Groups that may"),
    ConfigurationOption("publishModel", "publish_model", Choice(_PUBLISH), "Who may publish"),
    ConfigurationOption("subscribe", "subscribe", Flag(), "Can be subscribed to"),
    ConfigurationOption("deliverNotifications", "deliver_notifications", Flag(), "Send notifications of events"),
    ConfigurationOption("deliverPayloads", "deliver_payloads", Flag(), "Send them with the payload"),
    ConfigurationOption("notificationType", "notification_type", Choice(_TYPES), "Type of the notifications"),
    ConfigurationOption("notifyConfiguration", "notify_config", Flag(), "Tell subscribers of a new configuration"),
    ConfigurationOption("notifyDelete", "notify_delete", Flag(), "Tell subscribers that the node is deleted"),
    ConfigurationOption("notifyRetract", "notify_retract", Flag(), "Tell subscribers that items are removed"),
    ConfigurationOption("notifySubscriptions", "notify_sub", Flag(), "Tell owners who subscribes and unsubscribes"),
    ConfigurationOption("persistItems", "persist_items", Flag(), "Keep items"),
    ConfigurationOption("maxItems", "max_items", Number("items", True), "How many items are kept; max: all"),
    ConfigurationOption(
        "itemExpire", "item_expire", Number(_EXPIRY_LIMIT, True), "Seconds after which items expire; max: never"
    ),
    ConfigurationOption("maxPayloadSize", "max_payload_size", Number("itemSize", False), "Bytes of a payload"),
    ConfigurationOption("sendLast", "send_last_published_item", Choice(_SEND_LAST), "When the last item is sent"),
    ConfigurationOption("purgeOffline", "purge_offline", Flag(), "Remove items when their publisher goes offline"),
)
"""The table, in the order of the form."""

_BY_NAME: Final = {_PREFIX + option.name: option for option in OPTIONS}


class ConfigurationForms:
    """
    The forms of the nodes of a service.

    @ivar limits: how much it may have.
    """

    def __init__(
        self, limits: Limits, accessModels: Collection[str], omitted: Collection[str] = (),
        choices: Mapping[str, Collection[str]] | None = None,
    ) -> None:  # fmt: skip
        """
        @param accessModels: the access models that it supports.
        @param omitted: the attributes of L{NodeConfiguration} that cannot be configured.
        @param choices: values that other attributes may have, if not all.
        """
        self.limits = limits
        self._accessModels = frozenset(accessModels)
        self._choices = {**(choices or {}), "accessModel": self._accessModels}
        self._options = [option for option in OPTIONS if option.attribute not in omitted]

    def make(self, configuration: NodeConfiguration, type: str = "form", groups: Iterable[str] = ()) -> Element:
        """
        Build the form of a configuration.

        @param type: C{"form"} to be filled in, C{"result"} to be read.
        @param groups: the groups of the owner's roster.
        """
        fields = []
        for option in self._options:
            value = option.kind.shown(getattr(configuration, option.attribute), self.limits)
            fields.append((self._field(option, groups), value))
        return dataforms.form(type, ns.PUBSUB_NODE_CONFIG, fields)

    def _field(self, option: ConfigurationOption, groups: Iterable[str] = ()) -> Field:
        field = option.field
        allowed = self._choices.get(option.attribute)
        if allowed is not None:
            return replace(field, options=tuple(each for each in field.options if each[0] in allowed))
        if option.attribute == "rosterGroups":
            return replace(field, options=tuple((group, group) for group in groups), open=True)
        return field

    def read(self, x: Element, base: NodeConfiguration) -> NodeConfiguration | None:
        """
        Read a submitted form.

        @param base: has the values that are not submitted.
        @return: the configuration; C{None} if the form was cancelled.
        @raise StanzaError: if something in it is invalid, which names it.
        """
        values = self._read(x, ns.PUBSUB_NODE_CONFIG)
        return None if values is None else self._checked(replace(base, **values))

    def preconditions(self, x: Element) -> Mapping[str, Any]:
        """
        Read the options of a publication (§7.1.5): values by attribute of L{NodeConfiguration}.

        @raise StanzaError: if one is unknown or invalid.
        """
        for field in x.childElements():
            name = field.get("var")
            known = {dataforms.FORM_TYPE, *(_PREFIX + option.name for option in self._options)}
            if (field.uri, field.name) == (ns.DATA, "field") and name is not None and name not in known:
                raise refusal("conflict", "precondition-not-met", f"{name[:64]}: no such option of a node")
        values = self._read(x, ns.PUBSUB_PUBLISH_OPTIONS)
        if values is None:
            raise StanzaError("bad-request", text="the options of a publication cannot be cancelled")
        return values

    def withOptions(self, configuration: NodeConfiguration, options: Mapping[str, Any]) -> NodeConfiguration:
        """
        The configuration of a node that is created by a publication with options.

        @raise StanzaError: if they contradict each other.
        """
        return self._checked(replace(configuration, **options))

    def _read(self, x: Element, namespace: str) -> dict[str, Any] | None:
        self._checkAccessModel(x)
        submitted = dataforms.submitted(x, namespace, [self._field(option) for option in self._options])
        if submitted is None:
            return None
        return {
            _BY_NAME[name].attribute: _BY_NAME[name].kind.read(name, value, self.limits)
            for name, value in submitted.items()
        }

    def _checkAccessModel(self, x: Element) -> None:
        """@raise StanzaError: for an access model that is not supported, which has an error of its own (§8.1.2)."""
        for field in x.childElements():
            if field.get("var") == "pubsub#access_model" and field.childText("value") not in self._accessModels:
                raise refusal("not-acceptable", "unsupported-access-model", "pubsub#access_model: not supported")

    def _checked(self, configuration: NodeConfiguration) -> NodeConfiguration:
        if configuration.purgeOffline and configuration.publishModel != PUBLISHERS:
            # Of others it is not known when they go offline.
            text = "pubsub#purge_offline: only if pubsub#publish_model is publishers"
            raise StanzaError("not-acceptable", text=text)
        return configuration


def checkPreconditions(configuration: NodeConfiguration, options: Mapping[str, Any]) -> None:
    """@raise StanzaError: C{conflict} for the first option of a publication that a node does not have (§7.1.5)."""
    for option in OPTIONS:
        attribute = option.attribute
        if attribute in options and not option.kind.equal(getattr(configuration, attribute), options[attribute]):
            raise refusal("conflict", "precondition-not-met", f"pubsub#{option.name}: the node has another value")


def toStored(configuration: NodeConfiguration) -> dict[str, list[str]]:
    """What is stored of a configuration."""
    return {option.name: option.kind.toStored(getattr(configuration, option.attribute)) for option in OPTIONS}


def fromStored(values: Mapping[str, Sequence[str]]) -> NodeConfiguration:
    """The configuration that was stored; what it does not have is as in L{NodeConfiguration}."""
    found = {
        option.attribute: option.kind.fromStored(values[option.name]) for option in OPTIONS if option.name in values
    }
    return NodeConfiguration(**found)

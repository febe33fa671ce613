# -*- test-case-name: tests.pubsub.model.test_subscriptions -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Subscriptions to nodes and their options (XEP-0060 §4.2, §6.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from muccore.interfaces import StoredSubscription
from muccore.pubsub.model.errors import refusal
from muccore.xmpp import dataforms, ns
from muccore.xmpp.dataforms import Field
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StanzaError

SUBSCRIBED: Final = "subscribed"
PENDING: Final = "pending"
NONE: Final = "none"

_DELIVER: Final = Field("boolean", "pubsub#deliver", "Receive notifications")


@dataclass(frozen=True, slots=True)
class SubscriptionOptions:
    """
    The options of a subscription.

    @ivar deliver: whether the subscriber wants to be notified.
    """

    deliver: bool = True

    def form(self, type: str = "form") -> Element:
        """The form of the options; type C{"form"} to be filled in, C{"result"} to be read."""
        return dataforms.form(type, ns.PUBSUB_SUBSCRIBE_OPTIONS, [(_DELIVER, self.deliver)])

    def changed(self, x: Element | None) -> SubscriptionOptions | None:
        """
        Read a submitted form.

        @param x: the form; without one the request is invalid.
        @return: the options; C{None} if the form was cancelled.
        @raise StanzaError: C{bad-request} with C{invalid-options} (§6.3.6).
        """
        try:
            if x is None:
                raise StanzaError("bad-request", text="the form is missing")
            values = dataforms.submitted(x, ns.PUBSUB_SUBSCRIBE_OPTIONS, [_DELIVER])
        except StanzaError as e:
            raise refusal("bad-request", "invalid-options", e.text) from None
        if values is None:
            return None
        return SubscriptionOptions(bool(values.get("pubsub#deliver", self.deliver)))


DEFAULT: Final = SubscriptionOptions()
"""What subscribers have who have not chosen anything else."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """
    A subscription.

    @ivar subid: its identifier.
    @ivar state: L{SUBSCRIBED} or L{PENDING}.
    """

    subid: str
    state: str
    options: SubscriptionOptions = DEFAULT

    @property
    def stored(self) -> StoredSubscription:
        """What is stored of it."""
        options = {} if self.options == DEFAULT else {"deliver": ["1" if self.options.deliver else "0"]}
        return StoredSubscription(self.subid, self.state, options)

    @classmethod
    def fromStored(cls, stored: StoredSubscription) -> Subscription:
        """The subscription that was stored."""
        deliver = stored.options.get("deliver")
        options = DEFAULT if deliver is None else SubscriptionOptions(list(deliver) == ["1"])
        return cls(stored.subid, stored.state, options)

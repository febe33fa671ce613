# -*- test-case-name: tests.pubsub.test_service -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""All requests to publish-subscribe services."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from muccore.pubsub import management, ownerlists, publishing, retrieving, subscribing
from muccore.pubsub.service import Function
from muccore.xmpp import ns

REQUESTS: Final[Mapping[tuple[str, str, str], Function]] = {
    ("get", ns.PUBSUB, "subscriptions"): subscribing.ownSubscriptions,
    ("get", ns.PUBSUB, "affiliations"): subscribing.ownAffiliations,
    ("set", ns.PUBSUB, "subscribe"): subscribing.subscribe,
    ("set", ns.PUBSUB, "unsubscribe"): subscribing.unsubscribe,
    ("get", ns.PUBSUB, "options"): subscribing.getOptions,
    ("set", ns.PUBSUB, "options"): subscribing.setOptions,
    ("get", ns.PUBSUB, "default"): subscribing.getDefaultOptions,
    ("get", ns.PUBSUB, "items"): retrieving.getItems,
    ("set", ns.PUBSUB, "publish"): publishing.publish,
    ("set", ns.PUBSUB, "retract"): publishing.retract,
    ("set", ns.PUBSUB, "create"): management.create,
    ("get", ns.PUBSUB_OWNER, "configure"): management.getConfiguration,
    ("set", ns.PUBSUB_OWNER, "configure"): management.setConfiguration,
    ("get", ns.PUBSUB_OWNER, "default"): management.getDefault,
    ("set", ns.PUBSUB_OWNER, "delete"): management.delete,
    ("set", ns.PUBSUB_OWNER, "purge"): management.purge,
    ("get", ns.PUBSUB_OWNER, "subscriptions"): ownerlists.getSubscriptions,
    ("set", ns.PUBSUB_OWNER, "subscriptions"): ownerlists.setSubscriptions,
    ("get", ns.PUBSUB_OWNER, "affiliations"): ownerlists.getAffiliations,
    ("set", ns.PUBSUB_OWNER, "affiliations"): ownerlists.setAffiliations,
}
"""The functions by the type of the stanza, and namespace and name of what is requested."""

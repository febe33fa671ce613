# -*- test-case-name: tests.pubsub.model.test_access -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The errors of XEP-0060: a condition of stanza errors with one of publish-subscribe."""

from __future__ import annotations

from muccore.xmpp import ns
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StanzaError


def refusal(condition: str, specific: str, text: str | None = None, type: str | None = None) -> StanzaError:
    """
    An error with a condition of its own.

    @param condition: the condition of a stanza error.
    @param specific: that of C{pubsub#errors}.
    @param type: the type of the error, if it is not the usual one of the condition.
    """
    return StanzaError(condition, type, text, Element((ns.PUBSUB_ERRORS, specific)))


def unsupported(feature: str) -> StanzaError:
    """What is asked for is not supported by the service or the node: a feature, by its name without namespace."""
    error = Element((ns.PUBSUB_ERRORS, "unsupported"), None, {"feature": feature})
    return StanzaError("feature-not-implemented", appCondition=error)


def nodeRequired() -> StanzaError:
    """The request does not name a node."""
    return refusal("bad-request", "nodeid-required")

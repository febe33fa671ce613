# -*- test-case-name: tests.pubsub.test_pepdefaults -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The configuration of nodes that accounts publish to without saying how (XEP-0163 §5), by what lives in them.

Clients may choose something else by options of their publications.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from muccore.pubsub.model.configuration import NEVER, OPEN, PRESENCE, WHITELIST, NodeConfiguration

DEFAULT: Final = NodeConfiguration(accessModel=PRESENCE)
"""For contacts, the last item."""

_PRIVATE: Final = replace(DEFAULT, accessModel=WHITELIST, maxItems=None, sendLast=NEVER)
"""For the clients of the account only, many items."""

_DEFAULTS: Final[Mapping[str, NodeConfiguration]] = {
    # XEP-0223, XEP-0048: one item with all bookmarks.
    "storage:bookmarks": replace(DEFAULT, accessModel=WHITELIST),
    # XEP-0402, with the notification settings (XEP-0492) and pinning (XEP-0469) of each.
    "urn:xmpp:bookmarks:1": _PRIVATE,
    # XEP-0292
    "urn:xmpp:vcard4": replace(DEFAULT, accessModel=OPEN),
    # XEP-0490
    "urn:xmpp:mds:displayed:0": _PRIVATE,
    # XEP-0384: who is no contact encrypts, too.
    "urn:xmpp:omemo:2:devices": replace(DEFAULT, accessModel=OPEN),
    "urn:xmpp:omemo:2:bundles": replace(DEFAULT, accessModel=OPEN, maxItems=None, sendLast=NEVER),
    "eu.siacs.conversations.axolotl.devicelist": replace(DEFAULT, accessModel=OPEN),
}

_BUNDLES: Final = "eu.siacs.conversations.axolotl.bundles:"
"""The beginning of nodes with bundles, one a device, in earlier versions of XEP-0384."""


def defaultsFor(name: str) -> NodeConfiguration:
    """The configuration of a new node of an account, by its name."""
    if name.startswith(_BUNDLES):
        return replace(DEFAULT, accessModel=OPEN, sendLast=NEVER)
    return _DEFAULTS.get(name, DEFAULT)

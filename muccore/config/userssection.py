# -*- test-case-name: tests.config.test_schema -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The section C{[users]} of the configuration; L{muccore.config.schema} has the others."""

from __future__ import annotations

from dataclasses import dataclass

from muccore.config.option import option as _option
from muccore.config.types import Boolean, Choice, Duration, Integer, Size
from muccore.im.archivepreferences import DEFAULTS
from muccore.im.pushes import CONTENTS, NOTHING


@dataclass(frozen=True)
class UsersSection:
    """What users may store on the server."""

    privateElement: int = _option(
        Size("1 KiB", "64 MiB"),
        "128 KiB",
        "The largest element of private data (XEP-0049). All bookmarks of a user are one element.",
    )
    privateData: int = _option(Size("1 KiB", "1 GiB"), "512 KiB", "The maximum of private data of one user.")
    vcardSize: int = _option(Size("1 KiB", "64 MiB"), "128 KiB", "The largest vCard of a user, with the avatar in it.")
    offlineSize: int = _option(
        Size("0 B", "1 GiB"),
        "1 MiB",
        "What messages to one user who is offline may take (XEP-0160), until their client has them. More are returned "
        "to those who may see the user's presence, and dropped for others. 0: none are kept.",
    )
    blockListSize: int = _option(
        Size("1 KiB", "1 MiB"), "64 KiB", "The maximum of the addresses that one user blocks (XEP-0191), together."
    )
    pushContent: str = _option(
        Choice(*CONTENTS),
        NOTHING,
        "What push services, which belong to those who make clients, are told of messages to users who are away "
        "(XEP-0357): nothing but that there is one, its sender too, or its sender and its text.",
    )
    pubsubNodes: int = _option(
        Integer(0, 100_000),
        "500",
        "The maximum of nodes of one user (XEP-0163), such as one with their avatar and one with their bookmarks.",
    )
    pubsubItems: int = _option(
        Integer(1, 1_000_000), "5000", "The maximum of items of one node: it is what a client means by max."
    )
    pubsubItemSize: int = _option(Size("1 KiB", "64 MiB"), "128 KiB", "The largest item, such as an avatar.")
    pubsubData: int = _option(
        Size("1 KiB", "64 GiB"), "10 MiB", "The maximum of all items of one user. Of more, none is taken."
    )
    archive: bool = _option(
        Boolean(),
        "yes",
        "Whether the messages of users are archived, if there is a store for them ([storage] archive): each user reads "
        "their own, from all of their clients (XEP-0313).",
    )
    archiveDefault: str = _option(
        Choice(*DEFAULTS),
        "always",
        "What is archived for users who have not said what they want (XEP-0441): everything, what is from or to "
        "contacts in their rosters, or nothing.",
    )
    archiveRetention: float = _option(
        Duration("0 s", "36500 d"),
        "365 d",
        "The time after which messages are deleted from the archives of users. 0: never.",
    )
    archiveMessages: int = _option(
        Integer(0, 100_000_000),
        "100000",
        "The maximum of messages in the archive of one user. Of more, the oldest are deleted. 0: any number.",
    )

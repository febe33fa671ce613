# -*- test-case-name: tests.config.test_schema -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The section C{[muc]} of the configuration; L{muccore.config.schema} has the others."""

from __future__ import annotations

from dataclasses import dataclass

from muccore.config.option import option as _option
from muccore.config.plugins import HandlerDescription, HandlerType
from muccore.config.roomfields import FieldDefault, FieldName
from muccore.config.types import (
    Boolean,
    Choice,
    Duration,
    HostName,
    Integer,
    ListOf,
    NodeAddress,
    Size,
    Text,
    URLTemplate,
)
from muccore.xmpp.jid import JID


@dataclass(frozen=True)
class MUCSection:
    """The rooms."""

    domain: tuple[str, ...] = _option(
        ListOf(HostName(), least=1),
        None,
        "The domain of the rooms; not that of the accounts. Of several, each is a service with rooms of its own.",
    )
    name: str = _option(Text(), "Chat rooms", "The name of the room service for people, as clients show it.")
    roomCreation: str = _option(
        Choice("anyone", "local", "nobody"),
        "anyone",
        "Who may create rooms: anyone who can reach the server, local accounts only (of the domain that has this "
        "service of rooms), or nobody.",
    )
    roomList: str = _option(
        Choice("anyone", "local"),
        "anyone",
        "Who may list and search the public rooms: anyone who can reach the server, or local accounts only, as for "
        "room_creation.",
    )
    roomRegistration: str = _option(
        Choice("anyone", "local"),
        "anyone",
        "Who may register with rooms by themselves, where rooms allow that, to become members or to reserve a nick: "
        "anyone, or local accounts only. Admins of rooms can make anybody a member.",
    )
    lockNewRooms: bool = _option(
        Boolean(),
        "yes",
        'Whether a new room is locked until its owner accepts a configuration (XEP-0045 §10.1). "no" is for clients '
        "that do not support this, such as Dino: the room is open from the start.",
    )
    roomsPerUser: int = _option(
        Integer(0, 1000000), "100", "The maximum of rooms that one account has created and that exist. 0: no limit."
    )
    roomsPerMinute: int = _option(
        Integer(0, 1000),
        "20",
        "How many rooms one account may create in a minute in the long run; five times as many at once. 0: no limit.",
    )
    roomsLimit: int = _option(Integer(0, 100000000), "100000", "The maximum of rooms of a service. 0: no limit.")
    roomSizeLimit: int = _option(
        Size("64 KiB", "1 GiB"),
        "16 MiB",
        "What one room may take in the store: its lists with nicks and reasons, its configuration, subject and "
        "registrations. Its users may use nine tenths of it; the rest is for those who run the room.",
    )
    userSizeLimit: int = _option(
        Size("64 KiB", "1024 GiB"), "64 MiB", "What the rooms that one account has created may take together."
    )
    totalSizeLimit: int = _option(Size("64 KiB", "65536 GiB"), "4 GiB", "What all rooms of a service may take.")
    idleRooms: int = _option(
        Integer(0, 1000000), "1000", "The maximum of empty rooms that are kept in memory, with their last messages."
    )
    listLimit: int = _option(
        Integer(100, 50000),
        "5000",
        "The maximum of entries of a list of affiliations that is sent as a whole; longer ones are requested in pages "
        "(XEP-0059).",
    )
    presenceSize: int = _option(Size("512 B", "256 KiB"), "8 KiB", "The largest presence that a room broadcasts.")
    history: int = _option(Integer(0, 10000), "20", "The number of last messages that a new room sends to newcomers.")
    historyLimit: int = _option(Integer(0, 10000), "200", "The maximum that an owner can set for history.")
    maxUsersLimit: int = _option(
        Integer(1, 1000000), "10000", "The maximum of occupants of a room; its owner can set less."
    )
    occupantRate: int = _option(
        Size("0 B", "1 GiB"),
        "2 MiB",
        "Average bytes per second that one user may cause to be sent in one room: the size of their messages and "
        "presence, entering and leaving included, times the number of those who get it. Who causes more is read more "
        "slowly; who goes on by other clients is refused. 0: no limit.",
    )
    occupantBurst: int = _option(
        Size("1 KiB", "64 GiB"), "16 MiB", "What a user that was silent before may cause at once."
    )
    roomRate: int = _option(
        Size("0 B", "1 GiB"),
        "8 MiB",
        "Average bytes per second that all occupants of one room together may cause to be sent. Above it, what each of "
        "them causes counts up to 8 times for occupant_rate, so that those wait who cause the most. 0: no limit.",
    )
    roomBurst: int = _option(
        Size("1 KiB", "64 GiB"), "128 MiB", "What the occupants of a quiet room may cause at once, all together."
    )
    messagesPerMinute: int = _option(
        Integer(0, 1000),
        "0",
        "The maximum of messages that one occupant may send to a room in a minute, private ones included; its owner "
        "can set less. Moderators are exempt. 0: no limit.",
    )
    presencePerMinute: int = _option(
        Integer(0, 1000),
        "0",
        "The maximum of times in a minute that one user may enter a room, or change their presence or nick there; its "
        "owner can set less. Moderators are exempt. 0: no limit.",
    )
    joinsPerMinute: int = _option(
        Integer(0, 1000),
        "0",
        "The maximum of times in a minute that users without affiliation may enter a room, all together; its owner can "
        "set less. 0: no limit.",
    )
    pingInterval: float = _option(
        Duration("0 s", "24 h"),
        "900 s",
        "How often occupants at external components and other servers are pinged; those who do not answer within 2 "
        "minutes, or are gone, leave the room. 0: never. Users of this server are not pinged: their end is noticed.",
    )
    webchatUrl: str = _option(
        URLTemplate("{jid}"),
        "",
        "The address of a web chat that lets people into a room, with {jid} where the room's address goes, such as "
        "https://chat.example.org/join?room={jid}. Rooms that are listed and that everybody may enter without a "
        "password show it to clients. Without it, none do.",
    )
    temporaryRoomGrace: float = _option(
        Duration("0 s", "30 d"),
        "600 s",
        "The time after a start for which empty temporary rooms are kept; at least occupant_grace.",
    )
    occupantGrace: float = _option(
        Duration("0 s", "24 h"),
        "5 min",
        "The time after a start for which the occupants of an earlier run keep their places. Those who enter again "
        "meanwhile have not left for others; those who do not, leave at its end. 0: everybody enters anew.",
    )
    roomLockTimeout: float = _option(
        Duration("1 s", "24 h"), "300 s", "A new room that stays locked for this time is destroyed."
    )
    tombstoneTime: float = _option(
        Duration("0 s", "36500 d"),
        "30 d",
        "The time for which a persistent room that an owner has destroyed is remembered: whoever wants to enter is "
        "told that it is gone, and where to go instead. Only former owners can create it anew. 0: not at all.",
    )
    defaultPublic: bool = _option(Boolean(), "yes", "Whether a new room is listed.")
    defaultPersistent: bool = _option(Boolean(), "no", "Whether a new room is kept when its last occupant has left.")
    defaultMembersOnly: bool = _option(Boolean(), "no", "Whether only members may enter a new room.")
    defaultModerated: bool = _option(Boolean(), "no", "Whether only occupants with voice may speak in a new room.")
    defaultWhois: str = _option(
        Choice("moderators", "anyone"), "moderators", "Who sees the real addresses of the occupants of a new room."
    )
    defaultArchive: bool = _option(
        Boolean(),
        "yes",
        "Whether the messages of a new room are archived, if there is a store for them ([storage] archive): whoever "
        "may enter the room may read them, and newcomers get the last ones after a restart, too. Owners can switch it.",
    )
    archiveRetention: float = _option(
        Duration("0 s", "36500 d"),
        "0 s",
        "The time after which messages are deleted from the archives of rooms, whose owners can set less. 0: never.",
    )
    blockLists: tuple[JID, ...] = _option(
        ListOf(NodeAddress()),
        "",
        "Real-time block lists that rooms follow: publish-subscribe nodes whose items are named after the SHA-256 "
        "hashes of accounts and domains. Who is on one neither enters, reads nor speaks without an affiliation, unless "
        "the owner of the room switches that off.",
    )
    roomDefaults: tuple[tuple[str, str], ...] = _option(
        ListOf(FieldDefault()),
        "",
        "What other fields of the configuration form of a new room contain, such as muc#roomconfig_changesubject = 1. "
        "Several values of one field have spaces between them.",
    )
    lockedFields: tuple[str, ...] = _option(
        ListOf(FieldName()),
        "",
        "The fields of the configuration form that owners cannot change. The form shows them as text. New rooms have "
        "the default; rooms that exist keep what they have.",
    )
    auditRetention: float = _option(
        Duration("0 s", "36500 d"),
        "365 d",
        "The time after which it is forgotten who has moderated and configured rooms. 0: never.",
    )
    extraHandlers: tuple[HandlerDescription, ...] = _option(
        ListOf(HandlerType()),
        "",
        "Additional protocol handlers for the domain of the rooms, from Twisted plugins, as in [server].",
    )

# Copyright (c) The muccore authors. See LICENSE for details.
"""Stores and records for tests of what moves between them."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from muccore.config.hosts import Host
from muccore.config.schema import Settings
from muccore.im.archivepreferences import ArchivePreferences
from muccore.interfaces import (
    Affiliate,
    ArchiveItem,
    PubSubItem,
    RosterItem,
    StoredNode,
    StoredSubscription,
    Subject,
)
from muccore.muc.model.roomsettings import RoomSettings
from muccore.operations.transfer.documents import messageContent
from muccore.operations.transfer.documentwriter import DocumentWriter
from muccore.operations.transfer.records import (
    Messages,
    NodeItems,
    OfflineMessage,
    Problem,
    Record,
    Room,
    User,
    UserNode,
)
from muccore.operations.transfer.storereader import StoreReader
from muccore.operations.transfer.storewriter import SKIP, StoreWriter, Summary
from muccore.pubsub.model.configuration import NodeConfiguration, toStored
from muccore.storage.memory import MemoryAccounts, MemoryOccupants, MemoryRooms
from muccore.storage.memoryarchive import MemoryArchive
from muccore.storage.memoryaudit import MemoryAudit
from muccore.storage.memorypubsub import MemoryPubSub
from muccore.storage.memoryroster import MemoryRosters
from muccore.storage.memoryuserdata import MemoryUserData
from muccore.testing.doubles import ThreadlessReactor
from muccore.xmpp import ns
from muccore.xmpp.element import Element, stanza
from muccore.xmpp.rendering import Rendered
from muccore.xmpp.scramkeys import ScramKeys
from tests.storage.postgres import server

JULIET = "juliet@localhost"
ROMEO = "romeo@montague.lit"
CAVE = "cave@conference.localhost"
NOON = 1_700_000_000_000_000


class MemoryStores:
    """The stores of a server, in memory, open; like L{ServerStores<muccore.server.stores.ServerStores>}."""

    def __init__(self) -> None:
        self.accounts = MemoryAccounts(ThreadlessReactor())
        self.rooms, self.rosters, self.userData = MemoryRooms(), MemoryRosters(), MemoryUserData()
        self.archive, self.audit, self.occupants = MemoryArchive(), MemoryAudit(), MemoryOccupants()
        self.pubSub = MemoryPubSub()
        for store in (
            self.accounts, self.rooms, self.rosters, self.userData, self.archive, self.audit, self.pubSub
        ):  # fmt: skip
            store.open()

    def accountsOf(self, host: Host) -> Any:
        """The same for all hosts."""
        return self.accounts

    def userDataOf(self, host: Host) -> Any:
        """The same for all hosts."""
        return self.userData

    def pubSubOf(self, host: Host) -> Any:
        """The same for all hosts."""
        return self.pubSub

    def manageable(self) -> Iterator[Any]:
        """All of them."""
        return iter([self.accounts])


async def put(records: Iterable[Record], stores: Any, settings: Settings, existing: str = SKIP, **how: Any) -> Summary:
    """Write records into stores."""
    writer = StoreWriter(stores, settings, existing, **how)
    for record in records:
        if not isinstance(record, Problem):
            await writer.write(record)
    await writer.finish()
    return writer.summary


async def exported(stores: Any, settings: Settings) -> bytes:
    """The document of everything in stores."""
    reader = StoreReader(stores, settings)
    file = io.BytesIO()
    writer = DocumentWriter(file)
    async for record in reader.read(await reader.users(), await reader.rooms()):
        problems = [record] if isinstance(record, Problem) else writer.write(record)
        assert not problems, problems
    writer.finish()
    return file.getvalue()


async def collected(records: AsyncIterator[Record]) -> list[Record]:
    """All records, in a list."""
    return [record async for record in records]


def now(work: Any) -> Any:
    """The result of a Deferred, or of a coroutine, that waits for nothing."""
    results: list[Any] = []
    waiting = work if isinstance(work, Deferred) else Deferred.fromCoroutine(work)
    waiting.addBoth(results.append)
    (result,) = results
    if isinstance(result, Failure):
        result.raiseException()
    return result


def postgresqlPlace(test: SynchronousTestCase) -> str:
    """The description of an empty database for a test."""
    options = server().emptyDatabase(test).options
    return "postgresql://{user}:{password}@{host}:{port}/{dbname}".format(**options)


# A sample


def storedNode(
    affiliations: dict[str, str] | None = None, subscriptions: dict[str, StoredSubscription] | None = None, **given: Any
) -> StoredNode:
    """A node of L{JULIET}, without its items."""
    configuration = toStored(NodeConfiguration(**given))
    return StoredNode(configuration, affiliations or {}, subscriptions or {}, JULIET, NOON / 1e6)


def pubSubItem(id: str, payload: bytes = b"<nick xmlns='http://jabber.org/protocol/nick'>J</nick>") -> PubSubItem:
    """An item that L{JULIET} has published."""
    return PubSubItem(id, JULIET, NOON / 1e6 + 0.25, payload)


def message(body: str, **attributes: str | None) -> Element:
    """A message with a body."""
    made = stanza("message", attributes.pop("type", "chat"), **attributes)
    made.add("body", text=body)
    return made


def userItem(id: str, body: str, time: int = NOON, sender: str = f"{ROMEO}/orchard", to: str = JULIET) -> ArchiveItem:
    """A message in the archive of L{JULIET}."""
    element = message(body, from_=sender, to=to, id=f"m-{id}")
    other = to if sender.startswith(JULIET) else sender
    return ArchiveItem(id, time, other, sender.partition("/")[0], messageContent(element), body)


def roomItem(id: str, body: str, time: int = NOON, nick: str = "thirdwitch", author: str = JULIET) -> ArchiveItem:
    """A message in the archive of L{CAVE}."""
    element = message(body, type="groupchat", from_=f"{CAVE}/{nick}", id=f"m-{id}")
    return ArchiveItem(id, time, f"{CAVE}/{nick}", author, Rendered.of(element), body)


def settings(**overrides: Any) -> dict[str, Any]:
    """The configuration of a room."""
    given: dict[str, Any] = {
        "persistent": True, "public": False, "membersOnly": True, "moderated": False, "nonAnonymous": True,
        "historyLength": 20, "name": "The Cave <&>", "description": "Dark\nand damp", "password": "s3cret",
        "logged": True, "maxUsers": 30, "contacts": (JULIET,), "presenceBroadcast": ("moderator",),
        "extensions": {"archive.days": "7", "occupant-id": "a secret"},
    }  # fmt: skip
    return RoomSettings(**given | overrides).toMapping()


def keysOf(password: str, *names: str) -> tuple[ScramKeys, ...]:
    """The keys of a password."""
    return tuple(ScramKeys.derive(name, password, b"salt" * 4, 4096) for name in names)


def sample() -> list[Record]:
    """Records with everything in them."""
    vCard = Element((ns.VCARD_TEMP, "vCard"))
    vCard.add("FN", text="Juliet 'Capulet' <x>")
    photo = vCard.add("PHOTO")
    photo.add("TYPE", text="image/png")
    photo.add("BINVAL", text="aGVhcnQ=")
    bookmarks = Element(("storage:bookmarks", "storage"))
    bookmarks.add("conference", jid=CAVE, name="Ⅲ \U0001f600")
    delayed = message("late & <lamented>", from_=f"{ROMEO}/orchard", to=f"{JULIET}/balcony")
    delayed.children.append(Element((ns.DELAY, "delay"), None, {"from": "localhost", "stamp": "2023-11-14T22:13:20Z"}))
    request = b"<presence from='tybalt@capulet.lit' type='subscribe'><status>let&apos;s &lt;talk></status></presence>"
    roster = {
        ROMEO: RosterItem("Romeo", ("friends", "loves"), "both", approved=True),
        "nurse@localhost": RosterItem("", (), "from", ask=True),
        "tybalt@capulet.lit": RosterItem(request=request, listed=False),
        "paris@capulet.lit": RosterItem("Paris", (), "to", request=request.replace(b"tybalt", b"paris")),
    }
    juliet = User(
        account=JULIET, keys=keysOf("r0m30", "SHA-1", "SHA-256", "SHA-512"), disabled=True, roster=roster,
        private=(bookmarks, Element(("urn:empty", "empty"), None, {"a": "b"})), vCard=vCard,
        blocked=frozenset(["tybalt@capulet.lit", "montague.lit", "x@y.lit/z"]),
        archiving=ArchivePreferences("roster", frozenset([ROMEO]), frozenset(["capulet.lit"])),
        offline=(OfflineMessage(NOON, delayed), OfflineMessage(NOON, message("2", from_=ROMEO, to=JULIET))),
        documents={("last-activity", "unavailable"): b'{"time": 5}', ("other", "\xe4 b"): b"\0\xff"},
        preferences={"invitations": True, "other": {"a": [1, None, 2.5]}},
    )  # fmt: skip
    tombstone = stanza("message", "groupchat", from_=f"{CAVE}/thirdwitch", id="m-r2")
    tombstone.add("retracted", ns.RETRACT, id="x", stamp="2023-11-14T22:13:20Z")
    gone = ArchiveItem("r2", NOON + 2, f"{CAVE}/thirdwitch", JULIET, Rendered.of(tombstone), retracted=True)
    own = ArchiveItem("r3", NOON + 3, CAVE, "", Rendered.of(message("The room", type="groupchat", from_=CAVE)))
    affiliates = {
        JULIET: Affiliate("owner"),
        ROMEO: Affiliate("member", "Third \"Witch\" 'of' Ⅲ"),
        "tybalt@capulet.lit": Affiliate("outcast", None, "a villain & <worse>"),
        "earthly.lit": Affiliate("outcast", None, ""),
        "nurse@localhost": Affiliate("none", "nurse"),
    }
    states = {"timed-affiliations": {"tybalt@capulet.lit": [1.5e9, "outcast", None, None]}, "hats": {"a": {"b": "ä"}}}
    cave = Room(
        room=CAVE, settings=settings(), affiliates=affiliates, states=states, vCard=vCard, creator=JULIET,
        subject=Subject("Fire Burn & Cauldron Bubble!", "thirdwitch", NOON / 1e6, "en", JULIET),
    )  # fmt: skip
    return [
        juliet,
        UserNode(JULIET, "notes <&>", storedNode(
            {ROMEO: "member", "tybalt@capulet.lit": "outcast"},
            {f"{ROMEO}/orchard": StoredSubscription("s1", "subscribed", {"deliver": ["0"]}),
             "nurse@localhost": StoredSubscription("s2", "pending")},
            accessModel="authorize", maxItems=None, title="Notes 'of' <mine>", contact=(JULIET, ROMEO), itemExpire=60,
        )),
        UserNode(JULIET, "urn:xmpp:avatar:data", storedNode(accessModel="open")),
        NodeItems(JULIET, "notes <&>", (pubSubItem("b"), pubSubItem("a&'", b""))),
        NodeItems(JULIET, "urn:xmpp:avatar:data", (pubSubItem("x", b"<data xmlns='urn:a'>&lt;</data>"),)),
        Messages(JULIET, (userItem("a", "Hello"), userItem("b", "Bye", NOON + 1, f"{JULIET}/balcony", ROMEO))),
        User(account="nurse@localhost", keys=keysOf("nurse", "SHA-1")),
        cave,
        Messages(CAVE, (roomItem("r1", "Thrice the brinded cat hath mew'd."), gone, own)),
        Room(room="heath@conference.localhost", settings=settings(name="", public=True), affiliates={
            JULIET: Affiliate("owner")}),
    ]  # fmt: skip

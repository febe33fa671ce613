# -*- test-case-name: tests.operations.transfer.prosody.test_users -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The accounts of a host of Prosody as records."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar

from muccore.im.archivepreferences import ALWAYS, NEVER, ROSTER, ArchivePreferences
from muccore.interfaces import RosterItem
from muccore.operations.transfer.documentparts import ITERATIONS_LIMIT
from muccore.operations.transfer.foreignelements import checkText, shown
from muccore.operations.transfer.foreignmessages import StoredMessage, accountItem, addDelay, messages
from muccore.operations.transfer.pieces import DataError
from muccore.operations.transfer.prosody import eventing
from muccore.operations.transfer.prosody.archives import stored
from muccore.operations.transfer.prosody.folder import LIST, DataFolder
from muccore.operations.transfer.prosody.luadata import LuaTable, LuaValue
from muccore.operations.transfer.prosody.nodes import PublishedNodes
from muccore.operations.transfer.prosody.stanzas import elementOf
from muccore.operations.transfer.records import Messages, OfflineMessage, Problem, Record, User
from muccore.xmpp import ns
from muccore.xmpp.element import Element, stanza
from muccore.xmpp.jid import JID, InvalidJID, make, parse
from muccore.xmpp.rendering import Rendered
from muccore.xmpp.scramkeys import ScramKeys

ACCOUNTS: Final = "accounts"
"""The store of passwords."""

STORES: Final = frozenset((
    ACCOUNTS, "roster", "private", "vcard", "blocklist", "privacy", "offline", "archive", "archive_prefs",
    eventing.NODES,
))  # fmt: skip
"""The stores that are read."""

_HASHES: Final = {40: "SHA-1", 64: "SHA-256", 128: "SHA-512"}
_SUBSCRIPTIONS: Final = ("none", "to", "from", "both")
_POLICIES: Final[dict[Any, str]] = {True: ALWAYS, False: NEVER, ROSTER: ROSTER}

_T = TypeVar("_T")


class HostUsers:
    """The accounts of one host."""

    def __init__(self, folder: DataFolder, host: str) -> None:
        self._folder = folder
        self._host = host
        self._problems: list[Problem] = []
        self._account = ""
        self._name = ""

    def records(self) -> Iterator[Record]:
        """All accounts, each with its archive; if passwords are elsewhere, all of whom there is something."""
        everybody = {
            name
            for store in STORES
            for name in self._folder.names(self._host, store) + self._folder.names(self._host, store, LIST)
        }
        accounts = set(self._folder.names(self._host, ACCOUNTS)) or everybody
        for name in sorted(accounts):
            yield from self._records(name)
        for name in sorted(everybody - accounts):
            yield Problem(shown(f"{name}@{self._host}"), "what is kept", "there is no such account", wholly=True)

    def _records(self, name: str) -> Iterator[Record]:
        self._name = name
        try:
            account = make(name, self._host)
        except InvalidJID as error:
            yield Problem(shown(f"{name}@{self._host}"), "account", str(error), wholly=True)
            return
        self._account = account.bare
        try:
            credentials = self._folder.read(self._host, ACCOUNTS, name)
            login = _login(credentials or LuaTable())
        except DataError as error:
            yield Problem(self._account, "account", str(error), wholly=True)
            return
        published = eventing.Published(self._folder, self._host, name)
        user = User(
            account=self._account,
            private=self._private(),
            roster=self._roster(),
            vCard=self._vCard(published),
            blocked=self._blocked(),
            archiving=self._archiving(),
            offline=self._offline(),
            **login,
        )
        if credentials is not None and not (user.password or user.keys):
            self._report("password", "Prosody has none: nobody can log in until one is set")
        yield user
        yield from PublishedNodes(self._folder, self._host, name, self._account).records()
        problems, self._problems = self._problems, []
        yield from problems
        yield from self._archive(account)

    def _report(self, what: str, reason: str) -> None:
        self._problems.append(Problem(self._account, what, reason))

    def _try(self, what: str, read: Callable[..., _T], *arguments: Any) -> _T | None:
        """Read something; report what is wrong with it."""
        try:
            return read(*arguments)
        except (DataError, InvalidJID) as error:
            self._report(what, str(error))
            return None

    def _table(self, store: str) -> LuaTable:
        """A store of the account; empty if there is none."""
        return self._try(store, self._folder.read, self._host, store, self._name) or LuaTable()

    def _roster(self) -> dict[str, RosterItem]:
        table = self._table("roster")
        made: dict[str, RosterItem] = {}
        for address, value in table.named.items():
            item = self._try(f"contact {shown(address)}", _rosterItem, value)
            if item is not None and (contact := self._address("contact", address)):
                made[contact] = item
        kept = table.flags.get(False)
        pending = kept.table("pending") if isinstance(kept, LuaTable) else None
        for address, value in (pending or LuaTable()).named.items():
            request = self._try(f"request of {shown(address)}", _request, address, value)
            contact = self._address("request of", address)
            if request is not None and contact:
                item = made.get(contact, RosterItem(listed=False))
                if item.subscription not in ("from", "both"):
                    made[contact] = _withRequest(item, request)
        return made

    def _address(self, what: str, text: str) -> str:
        """Prepare an address as a bare JID; C{""} if it is none, or the user's own."""
        found = self._try(f"{what} {shown(text)}", parse, text)
        return "" if found is None or found.bare == self._account else found.bare

    def _private(self) -> tuple[Element, ...]:
        found = []
        for key, value in sorted(self._table("private").named.items()):
            element = self._try(f"private XML {shown(key)}", elementOf, value, ns.PRIVATE)
            if element is not None:
                found.append(element)
        return tuple(found)

    def _vCard(self, published: eventing.Published) -> Element | None:
        table = self._table("vcard")
        if table.named:
            return self._try("vCard", elementOf, table, ns.VCARD_TEMP)
        return self._try("vCard", published.vCard)

    def _blocked(self) -> frozenset[str]:
        addresses = list(self._table("blocklist").named)
        if not addresses and not self._folder.has(self._host, "blocklist", self._name, ".dat"):
            addresses = self._try("privacy list", _denied, self._table("privacy")) or []
        found = (self._try(f"block of {shown(each)}", parse, each) for each in addresses)
        return frozenset(each.full for each in found if each is not None)

    def _archiving(self) -> ArchivePreferences | None:
        table = self._table("archive_prefs")
        if not (table.flags or table.named):
            return None
        always: set[str] = set()
        never: set[str] = set()
        for address, wanted in table.named.items():
            if prepared := self._try(f"archiving of {shown(address)}", parse, address):
                (always if wanted else never).add(prepared.full)
        default = table.flags.get(False, True)
        policy = _POLICIES.get(default if isinstance(default, (bool, str)) else True, ALWAYS)
        return ArchivePreferences(policy, frozenset(always - never), frozenset(never))

    def _offline(self) -> tuple[OfflineMessage, ...]:
        found: list[OfflineMessage] = []

        def read() -> None:
            for value in self._folder.readList(self._host, "offline", self._name):
                message = self._try("offline message", stored, value, 0)
                if message is not None:
                    found.append(_offlineMessage(message, self._account, self._host))

        self._try("offline messages", read)
        return tuple(found)

    def _archive(self, account: JID) -> Iterator[Messages | Problem]:
        values = self._folder.readList(self._host, "archive", self._name)
        return messages(self._account, values, lambda value, number: accountItem(stored(value, number), account))


def _login(credentials: LuaTable) -> dict[str, Any]:
    """
    Password, keys and state of an account, as arguments of L{User}.

    @raise DataError: if the keys are none.
    """
    made: dict[str, Any] = {"disabled": bool(credentials.named.get("disabled"))}
    password = credentials.text("password")
    if password:
        return {**made, "password": password}
    stored, server = credentials.text("stored_key"), credentials.text("server_key")
    # A salt may be any bytes.
    salt, iterations = credentials.named.get("salt"), credentials.number("iteration_count")
    if stored is None or server is None:
        return made
    hashName = _HASHES.get(len(stored))
    try:
        keys = bytes.fromhex(stored), bytes.fromhex(server)
    except ValueError:
        raise DataError("its keys are not hexadecimal") from None
    if hashName is None or len(server) != len(stored) or not (isinstance(salt, str) and salt):
        raise DataError("its keys are incomplete, or of a hash that is not known")
    if not (isinstance(iterations, int) and 0 < iterations <= ITERATIONS_LIMIT):
        raise DataError("its keys have an impossible number of iterations")
    return {**made, "keys": (ScramKeys(hashName, salt.encode("utf-8", "surrogateescape"), iterations, *keys),)}


def _rosterItem(value: LuaValue) -> RosterItem | None:
    if not isinstance(value, LuaTable):
        return None
    subscription = value.text("subscription") or "none"
    if subscription not in _SUBSCRIPTIONS:
        raise DataError("its subscription is not known")
    groups = value.table("groups") or LuaTable()
    return RosterItem(
        name=value.text("name") or "",
        groups=tuple(sorted(checkText(group) for group in groups.named if group)),
        subscription=subscription,
        ask=value.text("ask") == "subscribe" and subscription in ("none", "from"),
        approved=value.text("approved") == "true",
    )


def _request(address: str, value: LuaValue) -> bytes:
    """A request as it is kept: without C{to}."""
    request = elementOf(value) if isinstance(value, LuaTable) else stanza("presence", "subscribe", from_=address)
    rendered = Rendered.of(request)
    return rendered.head + rendered.tail


def _withRequest(item: RosterItem, request: bytes) -> RosterItem:
    return RosterItem(item.name, item.groups, item.subscription, item.ask, item.approved, request, item.listed)


def _denied(privacy: LuaTable) -> list[str]:
    """What the default privacy list (XEP-0016) blocks, as Prosody itself migrates it."""
    name = privacy.text("default")
    lists = privacy.table("lists") or LuaTable()
    chosen = lists.table(name) if name else None
    items = chosen.table("items") if chosen is not None else None
    return [
        item.text("value") or ""
        for item in (items.values if items is not None else [])
        if isinstance(item, LuaTable) and item.text("type") == "jid" and item.text("action") == "deny"
    ]


def _offlineMessage(found: StoredMessage, account: str, host: str) -> OfflineMessage:
    message = found.element
    message.attributes.setdefault("to", account)
    addDelay(message, host, found.time)
    return OfflineMessage(found.time, message)

# -*- test-case-name: tests.im.test_archive -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The archives of users (XEP-0313): what they send and get is kept, and can be read by all of their clients.

A message is archived when it has passed the filters that refuse, before anybody gets it; with its id, it goes to the
clients of the user (XEP-0359), copies included. In the archive of its sender it stays when it is returned. In that of
its recipient there is only what somebody gets: a session, or the store of offline messages, which so keeps the id.

Where the text leaves a choice:

  - Messages of type C{groupchat} are not archived, rooms do that.
  - What a user sends to themselves is archived as it arrives, once.
  - A correction (XEP-0308) is archived as the message that it is; a retraction (XEP-0424) leaves tombstones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure
from wokkel import disco
from zope.interface import implementer

from muccore.im.archivecleaning import ArchiveCleaning
from muccore.im.archivepreferences import NEVER, ROSTER, ArchivePreferences
from muccore.im.archiveretractions import ArchiveRetractions
from muccore.im.archiverules import isArchived
from muccore.im.rosters import Rosters
from muccore.im.userdomain import mayBeStored
from muccore.im.userstate import UserStates
from muccore.interfaces import (
    ArchiveItem,
    ArchiveMetadata,
    ArchivePage,
    IAccountArchive,
    IArchiveStore,
    ISession,
    IStreamFeature,
    IUserDomain,
    IUserState,
    Offering,
    Stage,
    StoreError,
)
from muccore.interfaces.filters import ARCHIVE, COPIES
from muccore.interfaces.handlers import isFromAccount
from muccore.log.logger import Logger
from muccore.routing.handler import BARE, Handler, answersAnyone
from muccore.xmpp import archivequeries, ns, retractions
from muccore.xmpp.archivequeries import MICROSECONDS
from muccore.xmpp.archivereading import ArchiveReader
from muccore.xmpp.carbons import isEligible, isPrivateMessage
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.guestnames import isGuestName
from muccore.xmpp.jid import JID, parse
from muccore.xmpp.rendering import OwnStanzas, Rendered, render, toAttribute
from muccore.xmpp.specs import Spec
from muccore.xmpp.stanzaids import renderStanzaId, stanzaIdBy, withoutStanzaId, withStanzaId
from muccore.xmpp.uniqueids import newId

_FEATURES: Final = (*archivequeries.FEATURES, archivequeries.GROUPCHAT, ns.STANZA_ID, *retractions.FEATURES)
_LOG_INTERVAL: Final = 60
_MESSAGE: Final = b"<message"
_RETRACT: Final = b"retract"
"""What is in every retraction."""


@implementer(IStreamFeature)
class ArchiveFeature:
    """Tells clients what their archive has when they bind a resource (XEP-0386 §3.2); streams are offered nothing."""

    stage = Stage.BINDING
    order = 330
    nonzas: Mapping[tuple[str, str], Any] = {}

    def __init__(self, handler: ArchiveHandler) -> None:
        self._handler = handler

    def offer(self, offering: Offering) -> Iterable[Element]:
        """See L{IStreamFeature.offer}."""
        return ()

    def describe(self, account: JID) -> Deferred[bytes]:
        """Render the ends of the archive; guests have none."""
        if self._handler.guests and isGuestName(account.local):
            return succeed(b"")
        ends = self._handler.metadata(account)
        return ends.addCallback(archivequeries.metadata).addCallback(render)


@implementer(IAccountArchive)
class ArchiveHandler(Handler):
    """
    Keeps the archives, and answers queries.

    @ivar default: what is archived of users who have not said what they want, one of
        L{DEFAULTS<muccore.im.archivepreferences.DEFAULTS>}.
    @ivar guests: whether the domain has guests, who have no archives.
    @ivar cleaning: deletes what is too old or too much.
    @ivar retracting: makes tombstones.
    """

    implements = (
        Spec(313, "Message Archive Management", "1.1.3", "For users."),
        Spec(334, "Message Processing Hints", "1.0.0", "Of messages to users."),
        Spec(359, "Unique and Stable Stanza IDs", "0.7.0", "For messages to users."),
        Spec(424, "Message Retraction", "0.4.2", "In the archives of users."),
        Spec(431, "Full Text Search in MAM", "0.2.0"),
    )
    features = retractions.FEATURES
    guests = False

    parent: IUserDomain

    _log = Logger()

    def __init__(
        self, store: IArchiveStore, rosters: Rosters, default: str, cleaning: ArchiveCleaning,
        states: UserStates | None = None,
    ) -> None:  # fmt: skip
        """@param states: have the preferences of users; C{None}: these cannot be stored."""
        super().__init__()
        self.streamFeatures = (ArchiveFeature(self),)
        self.store = store
        self.default = default
        self.cleaning = cleaning
        self.retracting = ArchiveRetractions(store)
        self._rosters = rosters
        self._states = states
        self._reader = ArchiveReader(store)
        nothing = Element((None, ""))
        # The last message that was rendered; the last one that got an id for copies, and without it.
        self._lastRendered = nothing, Rendered(b"", b"")
        self._lastStamped = nothing, nothing
        self._lost = 0
        self._lastReport: float | None = None

    # Keeping

    def onSent(self, session: ISession, element: Element, to: JID) -> Element:
        """Archive what a user sends to others; copies get the id (XEP-0313 §3.5), see L{onRouted}."""
        if element.attributes.get("type") == "groupchat":
            # That is for the archive of the room.
            return element
        account = session.account.bare
        element = withoutStanzaId(element, account)
        if to.bare == account or not isArchived(element) or not self._allows(session.userState, account, to):
            return element
        id = newId()
        rendered = self._rendered(element)
        self._append(account, id, to, account, rendered, element.attributes["to"], element.childText("body"))
        # With one session there are no copies.
        several = len(self.parent.sessions.forAccount(account)) > 1
        stamped = withStanzaId(element, rendered, account, id) if several else element
        self._lastStamped = stamped, element
        return stamped

    def onRouted(self, session: ISession, element: Element, to: JID) -> Element:
        """Take the id away when copies have been made: others must not get it (XEP-0313 §3.5)."""
        if element.attributes.get("type") == "groupchat":
            return element
        stamped, original = self._lastStamped
        if element is stamped or element is original:
            return original
        return withoutStanzaId(element, session.account.bare)

    def onReceived(self, element: Element, to: JID, recipients: tuple[ISession, ...]) -> Element:
        """
        Archive what sessions of a user get, and give it its id; of what is stored for later, so that copies have that.
        Other messages without recipients are refused, or see L{prepare}.
        """
        account = to.bare
        element = withoutStanzaId(element, account)
        if not (recipients or self._isCopied(element, to)) or not isArchived(element):
            return element
        state = recipients[0].userState if recipients else None
        if state is None and self._states is not None:
            state = self._states.get(account)
        sender = parse(element.attributes["from"])
        if not self._allows(state, account, sender):
            return element
        id = newId()
        rendered = self._rendered(element)
        self._append(account, id, sender, sender.bare, rendered, element.attributes["to"], element.childText("body"))
        return withStanzaId(element, rendered, account, id)

    def _isCopied(self, element: Element, to: JID) -> bool:
        """Whether clients get copies of a message that nobody gets now, and that is to be stored (XEP-0280)."""
        sender = element.attributes["from"]
        return (
            any(
                each.carbonsSince is not None and each.fullText != sender
                for each in self.parent.sessions.forAccount(to.bare).values()
            )
            and mayBeStored(element, to)
            and isEligible(element)
            and not isPrivateMessage(element)
        )

    async def prepare(self, message: Element, to: JID) -> tuple[Element, Callable[[], None] | None]:
        """See L{OfflineArchive<muccore.im.offlinearchive.OfflineArchive>}."""
        account = to.bare
        if not isArchived(message) or stanzaIdBy(message, account) is not None:
            return message, None
        sender = parse(message.attributes["from"])
        state = None if self._states is None else await self._states.load(to.bareJID())
        isContact = False
        if self._preferences(state).default == ROSTER:
            isContact = await self._rosters.hasContact(account, sender.bare)
        if not self._preferences(state).allows(sender, lambda _: isContact):
            return message, None
        id = newId()
        rendered = Rendered.of(message)
        address, body = message.attributes["to"], message.childText("body")

        def append() -> None:
            self._append(account, id, sender, sender.bare, rendered, address, body)

        return withStanzaId(message, rendered, account, id), append

    def takeBack(self, message: Element, account: str) -> Deferred[Any]:
        """See L{OfflineArchive<muccore.im.offlinearchive.OfflineArchive>}."""
        id = stanzaIdBy(message, account)
        return self.store.remove(account, [] if id is None else [id])

    def has(self, account: str, id: str) -> Deferred[bool]:
        """See L{OfflineArchive<muccore.im.offlinearchive.OfflineArchive>}."""
        return self.store.get(account, id).addCallback(lambda item: item is not None)

    def receive(self, message: Element, stamps: bytes, account: JID) -> bytes:
        """See L{IAccountArchive.receive}."""
        state = None if self._states is None else self._states.get(account.bare)
        sender = parse(message.attributes["from"])
        if not isArchived(message) or (state is None and self._states is not None):
            # Without their state, whether they want it is not known.
            return b""
        if not self._allows(state, account.bare, sender):
            return b""
        id = newId()
        rendered, to = Rendered.of(message).extended(stamps), account.bare
        self._append(to, id, sender, sender.bare, rendered, to, message.childText("body"))
        return renderStanzaId(account.bare, id)

    def _preferences(self, state: IUserState | None) -> ArchivePreferences:
        stored = None if state is None else state.archiving
        return ArchivePreferences(self.default) if stored is None else stored

    def _allows(self, state: IUserState | None, account: str, other: JID) -> bool:
        """Whether a user wants something from or to an address to be archived (XEP-0441 §2.3)."""
        if self.guests and isGuestName(account.partition("@")[0]):
            return False
        stored = None if state is None else state.archiving
        if stored is None and self.default != ROSTER:
            return self.default != NEVER
        return self._preferences(state).allows(other, lambda contact: self._rosters.isContact(account, contact))

    def _rendered(self, element: Element) -> Rendered:
        """Render a message once for the archives of both, if they are of this domain."""
        last, rendered = self._lastRendered
        if last is not element:
            rendered = Rendered.of(element)
            self._lastRendered = element, rendered
        return rendered

    def _append(
        self, account: str, id: str, other: JID, author: str, message: Rendered, to: str, body: str | None
    ) -> None:
        """
        Append a message.

        @param other: the address at the other end.
        @param author: the bare JID that has written it.
        @param to: its address.
        """
        time = round(self.parent.now() * MICROSECONDS)
        kept = Rendered(_MESSAGE, toAttribute(to) + message.tail)
        item = ArchiveItem(id, time, other.full, author, kept, body or "")
        self.store.append(account, [item]).addErrback(self._appendFailed)
        self.cleaning.appended(account)
        if _RETRACT in message.tail and retractions.isRetraction(message.element):
            self.retracting.retract(account, item, message.element)

    def _appendFailed(self, failure: Failure) -> None:
        """Log that messages are missing in archives, at most once a minute."""
        failure.trap(StoreError)
        self._lost += 1
        now = self.parent.clock.seconds()
        if self._lastReport is None or now - self._lastReport >= _LOG_INTERVAL:
            self._log.error(
                "{count} messages of users could not be archived: {error}",
                count=self._lost,
                error=failure.getErrorMessage(),
            )
            self._lastReport, self._lost = now, 0

    # Reading

    @answersAnyone
    def onForm(self, element: Element, to: JID) -> Element:
        """Return the fields of queries (XEP-0313 §4.1.5)."""
        checkOwner(element, to)
        return archivequeries.form(ofAccount=True)

    @answersAnyone
    def onMetadata(self, element: Element, to: JID) -> Deferred[Any]:
        """Return the ends of the archive (XEP-0313 §5)."""
        checkOwner(element, to)
        return self.metadata(to).addCallbacks(archivequeries.metadata, self._storeFailed)

    @answersAnyone
    def onQuery(self, element: Element, to: JID) -> Deferred[Any]:
        """Send a page of the archive (XEP-0313 §4)."""
        checkOwner(element, to)
        sender = parse(element.attributes["from"])
        request = archivequeries.parse(next(element.childElements()), ofAccount=True)
        query = request.query
        if request.sender is not None:
            # Their own address stands for what they have sent to themselves (§4.1.1).
            isOwn = request.sender.bare == to.bare
            query = replace(query, sender=to.bare if isOwn else request.sender.full)

        def send(page: ArchivePage) -> None:
            items = reversed(page.items) if request.flipped else page.items
            results = OwnStanzas(archivequeries.result(to.bare, request, item) for item in items)
            self.parent.routeTo(sender).deliverAll(results, toAttribute(sender.full))

        return self._reader.query(to.bare, sender, query, send).addErrback(self._storeFailed)

    def _storeFailed(self, failure: Failure) -> Any:
        if not failure.check(StoreError):
            return failure
        self._log.error("the archive of a user cannot be read: {error}", error=failure.getErrorMessage())
        raise StanzaError("internal-server-error", "wait", "The archive could not be read; try again later.")

    def getDiscoInfo(self, requestor: Any, target: Any, nodeIdentifier: str = "") -> Sequence[Any]:
        """See C{IDisco}: the features of an archive are those of the account (XEP-0313 §7)."""
        isGuest = self.guests and target.user and isGuestName(target.user)
        if target.user and not target.resource and not nodeIdentifier and not isGuest:
            return [disco.DiscoFeature(feature) for feature in _FEATURES]
        return super().getDiscoInfo(requestor, target, nodeIdentifier)

    # For others

    def metadata(self, account: JID) -> Deferred[ArchiveMetadata | None]:
        """See L{IAccountArchive.metadata}."""
        return self.store.metadata(account.bare)

    def remove(self, account: str) -> Deferred[None]:
        """See L{IAccountArchive.remove}."""
        return self.store.delete(account)

    def connectionInitialized(self) -> None:
        """Begin to look for what is to be deleted."""
        super().connectionInitialized()
        self.cleaning.start(self.parent)

    def shutDown(self, final: bool) -> None:
        """Look no more."""
        self.cleaning.stop()

    iqs = {
        ("get", BARE, ns.MAM, "query"): onForm,
        ("set", BARE, ns.MAM, "query"): onQuery,
        ("get", BARE, ns.MAM, "metadata"): onMetadata,
    }
    outbound = {("message", ARCHIVE): onSent, ("message", COPIES + 10): onRouted}
    inbound = {("message", ARCHIVE): onReceived}


def checkOwner(iq: Element, account: JID) -> None:
    """@raise StanzaError: C{forbidden} for another one's archive, whether the account exists or not (§8.1)."""
    if not isFromAccount(iq, account):
        raise StanzaError("forbidden", text="Only the account itself has access to its archive.")

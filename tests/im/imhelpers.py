# Copyright (c) The muccore authors. See LICENSE for details.
"""A server of accounts with rosters, in memory, and summaries of what its clients receive."""

from __future__ import annotations

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from muccore.im.accountroster import AccountRoster
from muccore.im.presence import PresenceHandler
from muccore.im.roster import RosterHandler
from muccore.im.rosters import Rosters
from muccore.im.subscribing import SubscriptionHandler
from muccore.im.subscriptionstates import stateOf
from muccore.im.userdomain import UserDomain
from muccore.routing.domain import Domain
from muccore.routing.router import Router
from muccore.session.registry import Sessions
from muccore.storage.insecure import InsecureAuth
from muccore.testing.defaults import MANAGEMENT
from muccore.xmpp import jid, ns
from muccore.xmpp.element import Element
from tests.im.slowrosters import SlowRosters
from tests.routing.helpers import Client, FakeStream, xml

ROSTER = f"xmlns='{ns.ROSTER}'"
ACCOUNTS = ("romeo", "juliet", "nurse", "tybalt")


class Accounts(InsecureAuth):
    """Accounts of four users."""

    def hasAccount(self, account: str) -> Deferred[bool]:
        """See L{IAuthBackend.hasAccount}."""
        return succeed(account in [f"{name}@localhost" for name in ACCOUNTS])


class RecordingDomain(Domain):
    """A remote domain, which records what comes, and answers nothing."""

    def __init__(self, *args: object) -> None:
        super().__init__(*args)  # type: ignore[arg-type]
        self.received: list[str] = []

    def dispatch(self, element: Element, to: jid.JID) -> None:
        """See L{IDomain.dispatch}."""
        self.received.append(summary(element))


def item(element: Element) -> str:
    """An item of a roster: C{jid subscription}, and what else there is."""
    get = element.attributes.get
    groups = [f"group:{child.text()}" for child in element.childElements()]
    rest = [f"{name}:{get(name)}" for name in ("name", "ask", "approved") if get(name)]
    return " ".join([get("jid", "-"), get("subscription", "-"), *rest, *groups])


def summary(stanza: Element) -> str:
    """A stanza in a line: rosters, pushes, errors and presences have forms of their own."""
    get = stanza.attributes.get
    error = stanza.child("error")
    if error is not None:
        return f"error {next(error.childElements()).name}"
    query = stanza.child("query", ns.ROSTER)
    if query is not None:
        kind = "push" if get("type") == "set" else "roster"
        return ", ".join([kind, *map(item, query.childElements())])
    inside = [f"{child.name}:{child.text()}" for child in stanza.childElements()]
    kind = f"{stanza.name}" if stanza.name == "iq" else ""
    return " ".join(filter(None, [kind, get("type") or "available", f"from {get('from')}", f"to {get('to')}", *inside]))


class IMTestCase(SynchronousTestCase):
    """
    C{localhost} with the accounts of Romeo, Juliet, the nurse and Tybalt, and a remote domain C{remote.lit}.

    @ivar store: the store of rosters, which waits if it is C{slow}.
    """

    contacts = 10

    def setUp(self) -> None:
        self.store = SlowRosters()
        self.store.slow = False
        self.store.open()
        self.start()

    def start(self) -> None:
        """Start the server, again perhaps."""
        self.clock = Clock()
        self.sessions = Sessions(5, self.clock, MANAGEMENT)
        self.router = self.sessions.router = Router(self.clock)
        self.users = UserDomain("localhost", self.router, self.clock, self.sessions)
        self.remote = RecordingDomain("remote.lit", self.router, self.clock)
        self.router.addDomain(self.users)
        self.router.addDomain(self.remote)
        self.rosters = Rosters(self.store, self.sessions.isInUse)
        self.presence = PresenceHandler(20, self.rosters)
        self.roster = RosterHandler(self.rosters, self.presence, self.contacts)
        subscriptions = SubscriptionHandler(self.rosters, self.roster, self.presence, Accounts())
        for handler in (subscriptions, self.presence, self.roster):
            handler.setHandlerParent(self.users)

    def connect(self, address: str, interested: bool = True, available: bool = True) -> Client:
        """Log a client in: C{romeo}, or C{romeo/b}; it requests its roster, becomes available, and forgets both."""
        name, _, resource = address.partition("/")
        full = jid.parse(f"{name}@localhost/{resource or 'a'}")
        stream = FakeStream()
        client = Client(self.sessions.bind(full.bareJID(), full.resource, stream), stream)
        if interested:
            self.get(client)
        if available:
            client.send("<presence/>")
        client.take()
        return client

    def received(self, client: Client) -> list[str]:
        """What a client has received since the last call."""
        return [summary(xml(each)) for each in client.take()]

    def forget(self) -> None:
        """Discard what all have received."""
        for session in self.sessions:
            session.stream.take()  # type: ignore[union-attr]
        self.remote.received.clear()

    def get(self, client: Client, version: str | None = None) -> list[str]:
        """Request the roster."""
        ver = "" if version is None else f" ver='{version}'"
        client.send(f"<iq type='get' id='get'><query {ROSTER}{ver}/></iq>")
        return self.received(client)

    def set(self, client: Client, items: str) -> None:
        """Send a roster set."""
        client.send(f"<iq type='set' id='set'><query {ROSTER}>{items}</query></iq>")

    def subscription(self, client: Client, type: str, to: str, inside: str = "") -> None:
        """Send presence to manage a subscription."""
        client.send(f"<presence type='{type}' to='{to}'>{inside}</presence>")

    def fromRemote(self, type: str, to: str, inside: str = "", user: str = "paris@remote.lit") -> None:
        """Let presence come from the remote domain."""
        self.remote.send(xml(f"<presence type='{type}' from='{user}' to='{to}'>{inside}</presence>"))

    def befriend(self, one: Client, other: Client) -> None:
        """Let two users subscribe to each other; nobody remembers it."""
        for client, contact in ((one, other), (other, one)):
            self.subscription(client, "subscribe", contact.session.account.bare)
            self.subscription(contact, "subscribed", client.session.account.bare)
        self.forget()

    def state(self, user: str, contact: str) -> str:
        """The state of a subscription, as a user sees it."""
        stored = self.successResultOf(self.store.store.load(f"{user}@localhost"))
        return stateOf(AccountRoster(stored).item(contact)).name

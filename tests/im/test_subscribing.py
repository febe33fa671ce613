# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.im.subscribing}, and of what presence goes where because of subscriptions."""

from __future__ import annotations

from muccore.im import subscribing
from muccore.im.subscriptionstates import INBOUND, OUTBOUND, State, inState, isRouted
from muccore.interfaces import RosterChange, RosterItem
from muccore.xmpp import ns
from tests.im.imhelpers import IMTestCase
from tests.routing.helpers import Client

ROMEO, JULIET, NURSE = (f"{name}@localhost" for name in ("romeo", "juliet", "nurse"))
PARIS = "paris@remote.lit"
TYPES = ("subscribe", "subscribed", "unsubscribe", "unsubscribed")


class WalkTests(IMTestCase):
    """Every state of a subscription with every stanza (RFC 6121, Appendix A), as contacts and clients see it."""

    def begin(self, state: State) -> Client:
        """Log Romeo in, with a subscription in a state."""
        self.store.store.open()
        request = b"<presence type='subscribe' from='paris@remote.lit'/>"
        item = inState(RosterItem(), state, request)
        self.store.change(ROMEO, RosterChange("e", 1, 0, {PARIS: item}))
        self.start()
        romeo = self.connect("romeo")
        self.forget()
        return romeo

    def test_outbound(self) -> None:
        """What the user sends: it is routed as the table says; the roster item is pushed if it has changed."""
        for state in State:
            for type in TYPES:
                romeo = self.begin(state)
                self.subscription(romeo, type, PARIS)
                new = OUTBOUND[type].get(state, state)
                self.assertEqual(self.state("romeo", PARIS), new.name, (state, type))
                sent = [line for line in self.remote.received if line.startswith(type + " ")]
                self.assertEqual(sent, [f"{type} from {ROMEO} to {PARIS}"] if isRouted(type, state) else [])
                others = [line.split()[0] for line in self.remote.received if line not in sent]
                presence = {(False, True): ["available"], (True, False): ["unavailable"]}
                self.assertEqual(others, presence.get((state.hasFrom, new.hasFrom), []), (state, type))
                approved = type == "subscribed" and not new.hasFrom
                pushes = []
                if new is not state or approved:
                    ask = " ask:subscribe" if new.pendingOut else ""
                    pushes = [f"push, {PARIS} {new.subscription}{ask}{' approved:true' if approved else ''}"]
                self.assertEqual(self.received(romeo), pushes, (state, type))

    def test_inbound(self) -> None:
        """What the contact sends: it is delivered as the table says; the roster item is pushed if it has changed."""
        for state in State:
            for type in TYPES:
                romeo = self.begin(state)
                self.fromRemote(type, ROMEO)
                new = INBOUND[type].get(state, state)
                self.assertEqual(self.state("romeo", PARIS), new.name, (state, type))
                ask = " ask:subscribe" if new.pendingOut else ""
                expected = []
                if new is not state:
                    expected.append(f"{type} from {PARIS} to {ROMEO}")
                    if type != "subscribe":
                        expected.append(f"push, {PARIS} {new.subscription}{ask}")
                self.assertEqual(self.received(romeo), expected, (state, type))
                sent = []
                if type == "subscribe" and state.hasFrom:
                    # §3.1.3: approved already.
                    sent = [f"subscribed from {ROMEO} to {PARIS}", f"available from {ROMEO}/a to {PARIS}"]
                elif state.hasFrom and not new.hasFrom:
                    sent = [f"unavailable from {ROMEO}/a to {PARIS}"]
                self.assertEqual(self.remote.received, sent, (state, type))


class RequestTests(IMTestCase):
    """Requests (§3.1)"""

    def test_between(self) -> None:
        """Two users of this server, from the request to the first presence."""
        romeo, juliet = self.connect("romeo"), self.connect("juliet")
        romeo.send(f"<presence type='subscribe' id='s' to='{JULIET}/a'><status>Hi</status></presence>")
        self.assertEqual(self.received(romeo), [f"push, {JULIET} none ask:subscribe"])
        [request] = juliet.take()
        for part in (f"from=\"{ROMEO}\"", f"to=\"{JULIET}\"", 'id="s"', "<status>Hi</status>"):
            self.assertIn(part, request)
        self.subscription(juliet, "subscribed", f"{ROMEO}/x")
        self.assertEqual(self.received(juliet), [f"push, {ROMEO} from"])
        self.assertEqual(
            self.received(romeo),
            [
                f"subscribed from {JULIET} to {ROMEO}",
                f"push, {JULIET} to",
                f"available from {JULIET}/a to {ROMEO}",
            ],
        )

    def test_order(self) -> None:
        """Presence does not precede the approval that lets it be seen, however long it takes to store it (§3.1.6)."""
        romeo, juliet = self.connect("romeo"), self.connect("juliet")
        self.subscription(romeo, "subscribe", JULIET)
        self.forget()
        self.store.slow = True
        self.subscription(juliet, "subscribed", ROMEO)
        self.store.release("change")
        juliet.send("<presence><show>away</show></presence>")
        self.assertEqual(self.received(romeo), [])
        self.store.releaseAll()
        self.assertEqual(
            self.received(romeo),
            [
                f"subscribed from {JULIET} to {ROMEO}",
                f"push, {JULIET} to",
                f"available from {JULIET}/a to {ROMEO}",
                f"available from {JULIET}/a to {ROMEO} show:away",
            ],
        )

    def test_orderAndFailure(self) -> None:
        """Presence is delivered, too, if what it waits for cannot be stored."""
        romeo, juliet = self.connect("romeo"), self.connect("juliet")
        self.befriend(romeo, juliet)
        self.store.slow = True
        self.set(romeo, f"<item jid='{NURSE}'/>")
        juliet.send("<presence><show>away</show></presence>")
        self.assertEqual(self.received(romeo), [])
        self.store.fail("change")
        self.assertCountEqual(
            self.received(romeo), ["error internal-server-error", f"available from {JULIET}/a to {ROMEO} show:away"]
        )

    def test_kept(self) -> None:
        """
        A request waits, whole, for the next available resource, and for each one until it is answered (§3.1.3); it is
        not in the roster, and survives a restart.
        """
        self.fromRemote("subscribe", JULIET, "<nick xmlns='http://jabber.org/protocol/nick'>P</nick>")
        for resource in "ab":
            self.start()
            juliet = self.connect(f"juliet/{resource}", available=False)
            juliet.send("<presence/>")
            _, request = juliet.take()
            self.assertIn('type="subscribe"', request)
            self.assertIn(">P</nick>", request)
            self.assertIn(f'to="{JULIET}"', request)
            juliet.send("<presence><show>away</show></presence>")
            self.assertEqual(len(juliet.take()), 1)
            self.assertEqual(self.get(juliet), ["roster"])
        self.subscription(juliet, "unsubscribed", PARIS)
        self.assertEqual(self.received(juliet), [])
        self.assertEqual(self.remote.received, [f"unsubscribed from {JULIET} to {PARIS}"])
        self.assertEqual(self.received(self.connect("juliet/c")), [])

    def test_available(self) -> None:
        """Available resources get it, whether they have requested the roster or not."""
        clients = [
            self.connect("juliet/a", interested=False),
            self.connect("juliet/b", available=False),
            self.connect("juliet/c"),
        ]
        self.forget()
        self.fromRemote("subscribe", JULIET)
        self.assertEqual([len(self.received(client)) for client in clients], [1, 0, 1])

    def test_noAccount(self) -> None:
        """Requests to accounts that do not exist are ignored, and leave nothing (§8.5.1): nobody learns which do."""
        romeo = self.connect("romeo")
        for type in TYPES:
            self.subscription(romeo, type, "nobody@localhost")
            self.fromRemote(type, "nobody@localhost")
        self.assertNotIn("error", " ".join(self.received(romeo)))
        self.assertEqual(self.remote.received, [])
        self.start()
        nobody = self.connect("nobody")
        self.assertEqual(self.received(nobody), [])
        romeo = self.connect("romeo")
        for to in (JULIET, "other@localhost"):
            self.subscription(romeo, "subscribe", to)
            self.assertEqual(self.received(romeo), [f"push, {to} none ask:subscribe"])

    def test_again(self) -> None:
        """A request that was not answered is sent again when the user comes back: it may have been lost."""
        romeo = self.connect("romeo")
        self.subscription(romeo, "subscribe", PARIS)
        self.remote.received.clear()
        self.connect("romeo/b")
        self.assertEqual(self.remote.received, [f"subscribe from {ROMEO} to {PARIS}"])

    def test_itself(self) -> None:
        """Nobody subscribes to themselves."""
        romeo = self.connect("romeo")
        for type in TYPES:
            self.subscription(romeo, type, ROMEO)
            self.subscription(romeo, type, f"{ROMEO}/b")
        self.assertEqual((self.received(romeo), self.state("romeo", ROMEO)), ([], "NONE"))

    def test_refused(self) -> None:
        """Without an address, or too long: C{bad-request}, C{policy-violation}, whoever it is for."""
        romeo = self.connect("romeo")
        for type in TYPES:
            romeo.send(f"<presence type='{type}'/>")
            self.assertEqual(self.received(romeo), ["error bad-request"])
            for to in (JULIET, "nobody@localhost", PARIS):
                self.subscription(romeo, type, to, f"<status>{'x' * subscribing.REQUEST_LIMIT}</status>")
                self.assertEqual(self.received(romeo), ["error policy-violation"])
        self.assertEqual(self.get(romeo), ["roster"])

    def test_tooMany(self) -> None:
        """Strangers cannot fill the store: requests above the limit are shown to those who are there, and not kept."""
        self.patch(subscribing, "REQUESTS_LIMIT", 2)
        juliet = self.connect("juliet")
        for n in range(4):
            self.fromRemote("subscribe", JULIET, user=f"{n}@remote.lit")
        self.fromRemote("subscribe", JULIET, f"<status>{'x' * subscribing.REQUEST_LIMIT}</status>")
        self.assertEqual(len(self.received(juliet)), 5)
        second = self.connect("juliet/b", available=False)
        second.send("<presence/>")
        requests = [line for line in self.received(second) if line.startswith("subscribe")]
        self.assertEqual(requests, [f"subscribe from {n}@remote.lit to {JULIET}" for n in range(2)])

    def test_notDurable(self) -> None:
        """What could not be stored is not sent on; the user gets an error."""
        romeo = self.connect("romeo")
        self.store.slow = True
        self.subscription(romeo, "subscribe", PARIS)
        self.assertEqual((self.remote.received, self.received(romeo)), ([], []))
        self.store.fail("change")
        self.assertEqual((self.remote.received, self.received(romeo)), ([], ["error internal-server-error"]))
        self.fromRemote("subscribe", JULIET)
        self.store.fail("load")
        self.assertEqual(self.remote.received, [])

    def test_toResource(self) -> None:
        """To a resource, a request is as to the account; nothing else counts (§8.5.3.2.2)."""
        romeo = self.connect("romeo")
        self.subscription(romeo, "subscribe", PARIS)
        self.received(romeo)
        for type in ("subscribed", "unsubscribed", "unsubscribe"):
            self.fromRemote(type, f"{ROMEO}/a")
        self.assertEqual(self.received(romeo), [])
        self.fromRemote("subscribe", f"{ROMEO}/a")
        self.assertEqual(self.received(romeo), [f"subscribe from {PARIS} to {ROMEO}"])


class ApprovalTests(IMTestCase):
    """Approval in advance (§3.4)"""

    def setUp(self) -> None:
        super().setUp()
        self.juliet = self.connect("juliet")
        self.subscription(self.juliet, "subscribed", PARIS)

    def test_approved(self) -> None:
        """Nothing is sent to the contact; the item shows it; their request is then answered at once, unseen."""
        self.assertEqual(self.remote.received, [])
        self.assertEqual(self.received(self.juliet), [f"push, {PARIS} none approved:true"])
        self.fromRemote("subscribe", JULIET)
        self.assertEqual(self.received(self.juliet), [f"push, {PARIS} from approved:true"])
        self.assertEqual(
            self.remote.received, [f"subscribed from {JULIET} to {PARIS}", f"available from {JULIET}/a to {PARIS}"]
        )
        self.assertEqual(self.state("juliet", PARIS), "FROM")

    def test_cancelled(self) -> None:
        """It is taken back by cancelling what is not there yet (§3.4.1)."""
        self.received(self.juliet)
        self.subscription(self.juliet, "unsubscribed", PARIS)
        self.assertEqual(self.received(self.juliet), [f"push, {PARIS} none"])
        self.assertEqual(self.remote.received, [])
        self.fromRemote("subscribe", JULIET)
        self.assertEqual(self.received(self.juliet), [f"subscribe from {PARIS} to {JULIET}"])

    def test_notByProbe(self) -> None:
        """A probe of somebody without a subscription does not cancel it (§4.3.2)."""
        self.fromRemote("probe", JULIET)
        self.assertEqual(self.remote.received, [f"unsubscribed from {JULIET} to {PARIS}"])
        roster = self.rosters.loaded(JULIET)
        assert roster is not None
        self.assertTrue(roster.item(PARIS).approved)

    def test_feature(self) -> None:
        """It is offered as a stream feature (§3.4)."""
        [feature] = subscribing.SubscriptionHandler.streamFeatures
        self.assertEqual(
            [each.toXml() for each in feature.offer(None)], [f"<sub xmlns='{ns.SUBSCRIPTION_PRE_APPROVAL}'/>"]
        )


class PresenceTests(IMTestCase):
    """Presence between contacts (§4.2 to §4.5)"""

    def setUp(self) -> None:
        super().setUp()
        self.romeo, self.juliet = self.connect("romeo"), self.connect("juliet")
        self.befriend(self.romeo, self.juliet)

    def test_broadcast(self) -> None:
        """Presence goes to those who are subscribed, each update and the end, and to nobody else."""
        nurse = self.connect("nurse")
        self.subscription(nurse, "subscribe", ROMEO)
        self.forget()
        self.romeo.send("<presence><show>away</show></presence>")
        self.assertEqual(self.received(self.juliet), [f"available from {ROMEO}/a to {JULIET} show:away"])
        self.romeo.send("<presence type='unavailable'><status>bye</status></presence>")
        self.assertEqual(self.received(self.juliet), [f"unavailable from {ROMEO}/a to {JULIET} status:bye"])
        self.assertEqual(self.received(nurse), [])

    def test_ends(self) -> None:
        """However a session ends, those who have its presence learn of it once."""
        phone = self.connect("romeo/phone")
        self.received(self.juliet)
        self.romeo.vanish()
        phone.session.end()
        self.sessions.endings.finishAll()
        gone = [f"unavailable from {ROMEO}/{name} to {JULIET}" for name in ("a", "phone")]
        self.assertEqual(self.received(self.juliet), gone)
        self.connect("romeo/silent", available=False).vanish()
        self.assertEqual(self.received(self.juliet), [])

    def test_initial(self) -> None:
        """A resource that becomes available gets the presence of contacts, which others of the account do not."""
        self.juliet.send("<presence><status>here</status></presence>")
        self.forget()
        phone = self.connect("romeo/phone", available=False)
        phone.send("<presence/>")
        self.assertEqual(
            sorted(self.received(phone)),
            [
                f"available from {JULIET}/a to {ROMEO}/phone status:here",
                f"available from {ROMEO}/a to {ROMEO}/phone",
                f"available from {ROMEO}/phone to {ROMEO}/phone",
            ],
        )
        self.assertEqual(self.received(self.romeo), [f"available from {ROMEO}/phone to {ROMEO}/a"])
        self.assertEqual(self.received(self.juliet), [f"available from {ROMEO}/phone to {JULIET}"])

    def test_remote(self) -> None:
        """Contacts elsewhere are probed for the account (§4.3.1) and get its presence, once for each session."""
        self.subscription(self.romeo, "subscribe", PARIS)
        self.fromRemote("subscribed", ROMEO)
        self.fromRemote("subscribe", ROMEO)
        self.subscription(self.romeo, "subscribed", PARIS)
        self.forget()
        phone = self.connect("romeo/phone")
        self.assertEqual(
            self.remote.received, [f"available from {ROMEO}/phone to {PARIS}", f"probe from {ROMEO} to {PARIS}"]
        )
        self.remote.received.clear()
        phone.vanish()
        self.assertEqual(self.remote.received, [f"unavailable from {ROMEO}/phone to {PARIS}"])

    def test_probes(self) -> None:
        """
        Who has a subscription gets the presence of all resources, or that there is none; anybody else, of an account
        that does not exist, too, C{unsubscribed} (§4.3.2).
        """
        self.connect("juliet/b")
        self.forget()
        self.subscription(self.romeo, "probe", JULIET)
        self.assertEqual(self.received(self.romeo), [f"available from {JULIET}/{each} to {ROMEO}/a" for each in "ab"])
        for session in list(self.sessions.forAccount(JULIET).values()):
            session.end()
        self.forget()
        self.subscription(self.romeo, "probe", JULIET)
        self.assertEqual(self.received(self.romeo), [f"unavailable from {JULIET} to {ROMEO}/a"])
        for to in (NURSE, "nobody@localhost"):
            self.subscription(self.romeo, "probe", to)
            self.assertEqual(self.received(self.romeo), [])
            self.fromRemote("probe", to)
            self.assertEqual(self.remote.received, [f"unsubscribed from {to} to {PARIS}"])
            self.remote.received.clear()

    def test_cancelled(self) -> None:
        """Who cancels is unavailable for the other one first (§3.2.2), and gets their presence still."""
        self.subscription(self.romeo, "unsubscribed", JULIET)
        self.assertEqual(self.received(self.romeo), [f"push, {JULIET} to"])
        self.assertEqual(
            self.received(self.juliet),
            [
                f"unavailable from {ROMEO}/a to {JULIET}",
                f"unsubscribed from {ROMEO} to {JULIET}",
                f"push, {ROMEO} from",
            ],
        )
        self.romeo.send("<presence/>")
        self.juliet.send("<presence/>")
        self.assertEqual(self.received(self.juliet), [f"available from {JULIET}/a to {JULIET}/a"])
        self.assertIn(f"available from {JULIET}/a to {ROMEO}", self.received(self.romeo))

    def test_unsubscribed(self) -> None:
        """Who unsubscribes gets unavailable presence of the other one (§3.3.3)."""
        self.subscription(self.romeo, "unsubscribe", JULIET)
        self.assertEqual(
            sorted(self.received(self.romeo)), [f"push, {JULIET} from", f"unavailable from {JULIET}/a to {ROMEO}"]
        )
        self.assertEqual(
            self.received(self.juliet), [f"unsubscribe from {ROMEO} to {JULIET}", f"push, {ROMEO} to"]
        )

    def test_directed(self) -> None:
        """A contact to whom presence is directed as well is told of the end once."""
        for to in (JULIET, "room@remote.lit/nick"):
            self.romeo.send(f"<presence to='{to}'/>")
        self.forget()
        self.romeo.send("<presence type='unavailable'/>")
        self.assertEqual(self.received(self.juliet), [f"unavailable from {ROMEO}/a to {JULIET}"])
        self.assertEqual(self.remote.received, [f"unavailable from {ROMEO}/a to room@remote.lit/nick"])

    def test_endTogether(self) -> None:
        """Of sessions that end together, each one's end is told though the roster could not be loaded again."""
        phone = self.connect("romeo/phone")
        self.forget()
        self.store.calls.clear()
        self.store.slow = True
        for client in (self.romeo, phone):
            client.session.end()
        self.fromRemote("probe", ROMEO)
        self.sessions.endings.finishAll()
        gone = [f"unavailable from {ROMEO}/{name} to {JULIET}" for name in ("a", "phone")]
        self.assertEqual((self.received(self.juliet), self.store.calls), (gone, []))
        self.fromRemote("probe", ROMEO)
        self.assertEqual(self.store.calls, ["load"])

    def test_returnsEarly(self) -> None:
        """
        The unavailable presence of a session that takes several turns reaches contacts, and who asks, before the
        presence of the next session of the same full JID.
        """
        self.presence.directedLimit = 1000
        nurse = self.connect("nurse")
        for client in (nurse, self.romeo):
            for number in range(100):
                client.send(f"<presence to='friend{number}@remote.lit'/>")
        for to in (JULIET, f"{JULIET}/a", "tybalt@localhost"):
            self.romeo.send(f"<presence to='{to}'/>")
        tybalt = self.connect("tybalt")
        self.forget()
        for client in (nurse, self.romeo):
            client.session.end()
        self.sessions.endings.finishAll()
        self.romeo = self.connect("romeo")
        gone, there = f"unavailable from {ROMEO}/a to ", f"available from {ROMEO}/a to "
        self.assertEqual(self.received(self.juliet), [gone + JULIET, f"{gone}{JULIET}/a", there + JULIET])
        self.subscription(tybalt, "subscribe", ROMEO)
        self.subscription(self.romeo, "subscribed", "tybalt@localhost")
        seen = [each for each in self.received(tybalt) if "available" in each]
        self.assertEqual(seen, [gone + "tybalt@localhost", there + "tybalt@localhost"])
        while self.clock.getDelayedCalls():
            self.clock.advance(0)
        self.assertEqual((self.received(self.juliet), self.received(tybalt)), ([], []))

    def test_rosterWaits(self) -> None:
        """While the roster is being loaded, presence waits, in order; a session that has ended says nothing."""
        self.start()
        self.store.slow = False
        juliet = self.connect("juliet")
        self.store.slow = True
        romeo = self.connect("romeo", interested=False, available=False)
        gone = self.connect("romeo/gone", interested=False, available=False)
        for show in ("away", "xa"):
            romeo.send(f"<presence><show>{show}</show></presence>")
        gone.send("<presence/>")
        gone.vanish()
        self.assertEqual((self.received(romeo), self.received(juliet)), ([], []))
        self.store.releaseAll()
        available = [f"available from {ROMEO}/a to {JULIET} show:{show}" for show in ("away", "xa")]
        self.assertEqual(self.received(juliet), available)

    def test_noRoster(self) -> None:
        """If the roster cannot be loaded, the client learns it, and is not available."""
        self.start()
        self.store.slow = True
        romeo = self.connect("romeo", interested=False, available=False)
        romeo.send("<presence/>")
        self.store.fail("load")
        self.assertEqual(self.received(romeo), ["error internal-server-error"])
        self.assertIsNone(romeo.session.priority)


# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.im.userstate}."""

from __future__ import annotations

import gc
from typing import Any

from muccore.im import userstate
from muccore.im.userstate import BLOCKED, PHOTO, VCARD, UserState
from muccore.interfaces.filters import BLOCKING, STORE
from muccore.routing.handler import BARE, Handler, answersAnyone
from muccore.xmpp import jid
from tests.im.userdatahelpers import UserDataTestCase

ROMEO = "romeo@localhost"
JULIET = "juliet@localhost"


class Recorder(Handler):
    """Records what filters after the states get, and answers one request for accounts."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, str]] = []

    def onSent(self, session: Any, element: Any, to: Any) -> Any:
        """Record a stanza that is sent."""
        assert session.userState is not None
        self.seen.append(("sent", element.get("id")))
        return element

    def onReceived(self, element: Any, to: Any, recipients: Any) -> Any:
        """Record a stanza that is received, unless it is an answer."""
        if element.get("type") not in ("result", "error"):
            self.seen.append(("received", element.get("id")))
        return element

    def onOffline(self, element: Any, to: Any) -> Any:
        """Record a message to nobody who is there."""
        self.seen.append(("offline", element.get("id")))
        return element

    @answersAnyone
    def onRequest(self, element: Any, to: Any) -> None:
        """Record a request to an account."""
        self.seen.append(("asked", element.get("id")))

    iqs = {("get", BARE, "urn:x", "x"): onRequest}
    outbound = {("message", BLOCKING): onSent, ("presence", BLOCKING): onSent, ("iq", BLOCKING): onSent}
    inbound = {("message", BLOCKING): onReceived, ("presence", BLOCKING): onReceived, ("iq", BLOCKING): onReceived}
    offline = {("message", STORE): onOffline}


class UserStatesTests(UserDataTestCase):
    """L{userstate.UserStates}"""

    def setUp(self) -> None:
        """Record what comes behind."""
        super().setUp()
        self.recorder = Recorder()
        self.server.addHandler(self.recorder)

    def take(self) -> list[tuple[str, str]]:
        """What the filters behind have got since the last call."""
        seen, self.recorder.seen = self.recorder.seen, []
        return seen

    def store_(self, account: str = ROMEO) -> None:
        """Let an account block one address and have an avatar."""
        self.successResultOf(self.store.change(account, {(BLOCKED, "tybalt@x"): b"", (VCARD, PHOTO): b"abc"}))

    def test_loaded(self) -> None:
        """The state is what is stored, shared by the sessions of an account."""
        self.store_()
        first, second, juliet = self.login("romeo", "romeo/phone", "juliet")
        self.assertIsNone(first.session.userState)
        for client in (first, second, juliet):
            client.sends("<presence/>")
        state = first.session.userState
        assert state is not None
        self.assertEqual((state.photo, state.blocked), ("abc", {"tybalt@x"}))
        self.assertIs(second.session.userState, state)
        assert juliet.session.userState is not None
        self.assertEqual((juliet.session.userState.photo, juliet.session.userState.blocked), (None, set()))
        self.assertEqual(self.store.calls[1:], ["keys", "get"] * 2)

    def test_sentInOrder(self) -> None:
        """What a client sends meanwhile waits, and is handled in order; then nothing waits any more."""
        romeo, juliet = self.login("romeo", "juliet")
        juliet.sends("<presence/>")
        juliet.received()
        self.take()
        self.store.slow = True
        romeo.sends("<presence id='1'/>")
        romeo.sends(f"<message id='2' to='{juliet.address}'/>")
        romeo.sends("<iq id='3' type='get'><x xmlns='urn:x'/></iq>")
        self.assertEqual((self.take(), romeo.received(), juliet.received()), ([], [], []))
        self.store.release()
        self.assertEqual(self.take(), [("sent", "1"), ("sent", "2"), ("received", "2"), ("sent", "3"), ("asked", "3")])
        self.assertEqual(self.received(romeo), ["presence 1", "iq 3 result"])
        self.assertEqual(self.received(juliet), ["message 2"])
        romeo.sends(f"<message id='4' to='{juliet.address}'/>")
        self.assertEqual(self.received(juliet), ["message 4"])

    def test_receivedInOrder(self) -> None:
        """So does what is sent to an account, whether it has sessions or not, requests to it included."""
        [romeo] = self.login("romeo")
        romeo.sends("<presence/>")
        for name in ("nobody", "juliet"):
            self.login("juliet")
            romeo.received()
            self.take()
            self.store.slow = True
            for number in "123":
                romeo.sends(f"<message type='chat' id='{number}' to='{name}@localhost'/>")
            romeo.sends(f"<iq id='4' type='get' to='{name}@localhost'><x xmlns='urn:x'/></iq>")
            romeo.sends(f"<presence id='5' to='{name}@localhost'/>")
            self.assertEqual(self.take(), [("sent", number) for number in "12345"])
            self.assertEqual(romeo.received(), [])
            self.store.release()
            self.store.slow = False
            expected = []
            for number in "123":
                expected += [("received", number), ("offline", number)]
            self.assertEqual(self.take(), [*expected, ("received", "4"), ("asked", "4"), ("received", "5")])
            errors = [f"message {number} service-unavailable" for number in "123"]
            self.assertEqual(self.received(romeo), [*errors, "iq 4 result"])

    def test_ownRequests(self) -> None:
        """Requests of an account to itself are not filtered on the way in."""
        [romeo] = self.login("romeo")
        romeo.sends("<iq id='1' type='get'><x xmlns='urn:x'/></iq>")
        romeo.sends("<iq id='2' type='get'><y xmlns='urn:x'/></iq>")
        self.assertEqual(self.take(), [("sent", "1"), ("asked", "1"), ("sent", "2")])
        self.assertEqual(self.received(romeo), ["iq 1 result", "iq 2 service-unavailable"])

    def test_othersRequests(self) -> None:
        """Those of others are filtered once, whether a handler answers or not."""
        [romeo] = self.login("romeo")
        romeo.sends(f"<iq id='1' type='get' to='{JULIET}'><x xmlns='urn:x'/></iq>")
        romeo.sends(f"<iq id='2' type='get' to='{JULIET}'><y xmlns='urn:x'/></iq>")
        self.assertEqual(
            self.take(), [("sent", "1"), ("received", "1"), ("asked", "1"), ("sent", "2"), ("received", "2")]
        )
        self.assertEqual(self.received(romeo), ["iq 1 result", "iq 2 service-unavailable"])

    def test_failed(self) -> None:
        """If the state cannot be loaded, what waited is refused; the next stanza tries again."""
        for slow in (True, False):
            romeo, juliet = self.login("romeo", "juliet")
            self.store.slow, self.store.failing = slow, True
            romeo.sends(f"<message id='1' to='{JULIET}'/>")
            romeo.sends("<presence id='2' type='unavailable'/>")
            self.store.release()
            self.assertEqual((self.take(), self.received(romeo)), ([], ["message 1 internal-server-error"]))
            self.store.slow = self.store.failing = False
            romeo.sends("<presence id='3'/>")
            self.assertEqual(self.received(romeo), ["presence 3"])
            self.take()
            self.store.slow, self.store.failing = slow, True
            romeo.sends(f"<message id='4' to='{juliet.address}'/>")
            self.store.release()
            self.assertEqual(self.take(), [("sent", "4")])
            self.assertEqual(self.received(romeo), ["message 4 internal-server-error"])
            for client in (romeo, juliet):
                client.dropConnection()

    def test_bug(self) -> None:
        """A failure of the store that is none of a store is logged, and nothing waits forever."""
        [romeo] = self.login("romeo")
        self.patch(self.store, "_carryOut", lambda *arguments: 1 / 0)
        romeo.sends("<message id='1'/>")
        self.assertEqual(self.received(romeo), ["message 1 internal-server-error"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_ended(self) -> None:
        """What a session has sent before its end is handled, except presence, which nobody would revoke."""
        romeo, juliet = self.login("romeo", "juliet")
        juliet.sends("<presence/>")
        juliet.received()
        self.store.slow = True
        romeo.sends("<presence id='1'/>")
        romeo.sends(f"<presence id='2' to='{juliet.address}'/>")
        romeo.sends(f"<message id='3' to='{juliet.address}'/>")
        romeo.dropConnection()
        self.store.release()
        self.assertEqual(self.received(juliet), ["message 3"])
        self.assertIsNone(romeo.session.priority)

    def test_bounded(self) -> None:
        """Stanzas that would take more memory than the limit are refused."""
        self.patch(userstate, "WAITING_LIMIT", 9_000)
        self.states.disownHandlerParent(self.server.users)
        self.server.addHandler(userstate.UserStates(self.store))
        [romeo] = self.login("romeo")
        self.store.slow = True
        for number in range(5):
            romeo.sends(f"<message id='{number}' type='groupchat' to='{JULIET}'/>")
        self.assertEqual(self.received(romeo), ["message 3 resource-constraint", "message 4 resource-constraint"])
        self.store.release()
        self.assertEqual(self.take()[:3], [("sent", str(number)) for number in range(3)])
        romeo.received()
        romeo.sends(f"<message id='6' type='groupchat' to='{JULIET}'/>")
        self.store.release()
        self.assertEqual(self.received(romeo), ["message 6 service-unavailable"])

    def test_kept(self) -> None:
        """The states that were used last are kept, and those of accounts with sessions; others are loaded again."""
        self.patch(userstate, "RECENT_LIMIT", 2)
        [romeo] = self.login("romeo")
        romeo.sends("<presence/>")
        self.store.calls.clear()
        for name in ("a", "b", "a", "c"):
            romeo.sends(f"<message type='headline' to='{name}@localhost'/>")
        gc.collect()
        self.assertEqual(len(self.store.calls), 6)
        self.assertEqual([bool(self.states.get(f"{name}@localhost")) for name in "abc"], [True, False, True])
        self.assertIs(self.states.get(ROMEO), romeo.session.userState)

    def test_again(self) -> None:
        """The state of an account without sessions is loaded again after a minute, that of one with sessions is not."""
        romeo, juliet = self.login("romeo", "juliet")
        for client in (romeo, juliet):
            client.sends("<presence/>")
        self.store_("nobody@localhost")
        for seconds, loaded in ((0, 2), (59, 0), (1, 2), (1, 0), (60, 2)):
            self.server.clock.advance(seconds)
            self.store.calls.clear()
            for to in (JULIET, "nobody@localhost", juliet.address):
                romeo.sends(f"<message type='headline' to='{to}'/>")
            self.assertEqual(len(self.store.calls), loaded)
        self.successResultOf(self.store.removeAccount("nobody@localhost"))
        state = self.states.get("nobody@localhost")
        assert state is not None
        self.assertEqual(state.photo, "abc")
        self.server.clock.advance(60)
        romeo.sends("<message type='headline' to='nobody@localhost'/>")
        state = self.states.get("nobody@localhost")
        assert state is not None
        self.assertIsNone(state.photo)

    def test_loadingAgain(self) -> None:
        """Nothing overtakes what waits for that, though a session appears meanwhile."""
        [juliet] = self.login("juliet")
        for name in (JULIET, ROMEO):
            juliet.sends(f"<message type='headline' to='{name}'/>")
        self.server.clock.advance(60)
        self.take()
        self.store.slow = True
        juliet.sends(f"<message type='headline' id='1' to='{ROMEO}'/>")
        self.login("romeo")
        juliet.sends(f"<message type='headline' id='2' to='{ROMEO}'/>")
        self.store.release()
        received = [each for each in self.take() if each[0] == "received"]
        self.assertEqual(received, [("received", "1"), ("received", "2")])

    def test_fresh(self) -> None:
        """With the first session of an account, its state is loaded anew: the account may be another one."""
        self.store_()
        [romeo, juliet] = self.login("romeo", "juliet")
        romeo.sends("<presence/>")
        romeo.dropConnection()
        self.successResultOf(self.store.removeAccount(ROMEO))
        juliet.sends(f"<message type='headline' to='{ROMEO}'/>")
        [romeo] = self.login("romeo")
        romeo.sends("<presence/>")
        assert romeo.session.userState is not None
        self.assertEqual((romeo.session.userState.photo, romeo.session.userState.blocked), (None, set()))
        self.assertIs(self.states.get(ROMEO), romeo.session.userState)

    def test_restored(self) -> None:
        """The state of a session that was saved is loaded before it sends anything."""
        self.store_()
        romeo, phone = self.login("romeo", "romeo/phone")
        self.store.failing = True
        self.successResultOf(self.states.restored(romeo.session))
        self.assertIsNone(romeo.session.userState)
        self.store.failing = False
        self.successResultOf(self.states.restored(romeo.session))
        state = romeo.session.userState
        assert state is not None
        self.assertEqual(state.photo, "abc")
        [tablet] = self.login("romeo/tablet")
        self.successResultOf(self.states.restored(tablet.session))
        self.assertTrue(phone.session.userState is tablet.session.userState is state)

    def test_restoredTogether(self) -> None:
        """The state of several sessions of one account is loaded once, for all of them."""
        clients = self.login("romeo", "romeo/phone", "romeo/tablet")
        self.store.slow = True
        waiting = [self.states.restored(client.session) for client in clients]
        for each in waiting:
            self.assertNoResult(each)
        self.store.release()
        for each, client in zip(waiting, clients, strict=True):
            self.successResultOf(each)
            self.assertIsNotNone(client.session.userState)
        self.assertEqual(len(self.store.calls), 2)


class UserStateTests(UserDataTestCase):
    """L{UserState}"""

    def test_blocks(self) -> None:
        """Addresses match as XEP-0191 §5 says; neither the account's own nor its server's do."""
        state = UserState(jid.parse(ROMEO), set(), None)
        for blocked, matching, others in (
            ("a@x/r", ["a@x/r"], ["a@x", "a@x/s", "x/r", "x"]),
            ("a@x", ["a@x", "a@x/r"], ["b@x", "x", "x/a", "a@x.x"]),
            ("x/r", ["x/r"], ["x", "x/s", "a@x/r", "r@x"]),
            ("x", ["x", "x/r", "a@x", "a@x/r"], ["x.x", "x@y", "y/x", "a.x"]),
            (
                "localhost",
                ["juliet@localhost", "juliet@localhost/r"],
                ["localhost", "localhost/r", ROMEO, f"{ROMEO}/r"],
            ),
            (ROMEO, [], [ROMEO, f"{ROMEO}/r"]),
        ):
            state.blocked = {blocked, "other@other"}
            for address in matching:
                self.assertTrue(state.blocks(jid.parse(address)), (blocked, address))
            for address in others:
                self.assertFalse(state.blocks(jid.parse(address)), (blocked, address))

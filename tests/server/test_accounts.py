# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of changes and removals of accounts on a whole server."""

from __future__ import annotations

from typing import Any, ClassVar

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.logger import LogLevel

from muccore.interfaces import AccountBusy, NameReserved, NoSuchUser, StoreUnavailable
from muccore.testing.inmemory import parseStanza
from muccore.xmpp import ns
from muccore.xmpp.rendering import Rendered, toAttribute
from tests.endtoend.clients import bounded, codes, isPresence, nickOf
from tests.endtoend.serverprocess import TIMEOUT
from tests.server.accountserver import PASSWORD, AccountServerTestCase, conditionOf

NEW = "a rose by any other name"
REMOVE = f"<query xmlns='{ns.REGISTER}'><remove/></query>"


def change(name: str = "romeo", password: str = NEW) -> str:
    """A request to change a password."""
    return f"<query xmlns='{ns.REGISTER}'><username>{name}</username><password>{password}</password></query>"


def form(*fields: tuple[str, str], more: str = "") -> str:
    """A request with a form."""
    rendered = "".join(f"<field var='{name}'><value>{value}</value></field>" for name, value in fields)
    return f"<query xmlns='{ns.REGISTER}'>{more}<x xmlns='jabber:x:data' type='submit'>{rendered}</x></query>"


class PasswordTests(AccountServerTestCase):
    """XEP-0077 §3.3."""

    async def test_change(self) -> None:
        """A user changes their password by any address of the three; the session goes on."""
        romeo = await self.logIn("romeo")
        password = PASSWORD
        for number, to in enumerate(("localhost", "romeo@localhost", "")):
            password = f"{NEW} {number}"
            address = f" to='{to}'" if to else ""
            romeo.send(f"<iq type='set'{address} id='c{number}'>{change(password=password)}</iq>")
            answer = await bounded(romeo.until(lambda e, id=f"c{number}": e.get("id") == id))
            self.assertEqual((conditionOf(answer), len(answer)), ("result", 0))
        for form_ in (form(("username", "romeo@localhost"), ("password", NEW)), change("Romeo", NEW)):
            self.assertEqual(await self.outcome(romeo, "set", form_), "result")
        await self.assertCannotLogIn("romeo", password)
        await self.logIn("romeo", NEW, "other")
        self.assertEqual(await self.outcome(romeo, "get", f"<ping xmlns='{ns.PING}'/>"), "result")
        self.assertNothingWrong()
        lines = self.logged.lines(LogLevel.info)
        self.assertIn("password-changed by romeo@localhost: romeo@localhost", lines)
        self.assertNotIn(NEW, "\n".join(lines))

    async def test_errors(self) -> None:
        """What is refused changes nothing, and the error does not contain the request."""
        romeo = await self.logIn("romeo")
        x = form(("username", "romeo"), ("password", NEW), more="<username>romeo</username>")
        for payload, condition in (
            (f"<query xmlns='{ns.REGISTER}'><password>{NEW}</password></query>", "bad-request"),
            (f"<query xmlns='{ns.REGISTER}'><username>romeo</username></query>", "bad-request"),
            (f"<query xmlns='{ns.REGISTER}'/>", "bad-request"),
            (x, "bad-request"),
            (form(("username", "romeo")), "not-acceptable"),
            (change(password=""), "not-acceptable"),
            (change(password="short"), "not-acceptable"),
            (change(password="y" * 2000), "not-acceptable"),
            (change(password="\u0627 and latin letters"), "not-acceptable"),
            (change("juliet"), "not-allowed"),
            (change("romeo@other.example"), "not-allowed"),
            (change("@"), "not-allowed"),
        ):
            answer = await self.ask(romeo, "set", payload)
            self.assertEqual((conditionOf(answer), len(answer)), (condition, 1), payload)
        await self.logIn("romeo")

    async def test_passwordLikeTheName(self) -> None:
        """The name of the account is no password."""
        await self.backend.create("capulet-lady@localhost", PASSWORD)
        lady = await self.logIn("capulet-lady")
        self.assertEqual(await self.outcome(lady, "set", change("capulet-lady", "Capulet-Lady")), "not-acceptable")

    async def test_others(self) -> None:
        """Nobody changes or removes an account of somebody else, nor learns whether there is one."""
        paris = await self.logIn("paris@other.example")
        for to in ("romeo@localhost", "nobody@localhost"):
            for type, payload in (("get", f"<query xmlns='{ns.REGISTER}'/>"), ("set", change()), ("set", REMOVE)):
                self.assertEqual(await self.outcome(paris, type, payload, to), "service-unavailable")
        for type, payload, condition in (
            ("get", f"<query xmlns='{ns.REGISTER}'/>", "service-unavailable"),
            ("set", change("paris"), "not-allowed"),
            ("set", REMOVE, "registration-required"),
        ):
            self.assertEqual(await self.outcome(paris, type, payload), condition)
        await self.logIn("romeo")

    async def test_registered(self) -> None:
        """Who asks is told their name, and that they are registered (§3.1); disco says that it is supported (§8)."""
        romeo = await self.logIn("romeo")
        query = (await self.ask(romeo, "get", f"<query xmlns='{ns.REGISTER}'/>"))[0]
        found = {child.tag.partition("}")[2]: child.text for child in query}
        self.assertLessEqual({"registered", "username", "password", "instructions"}, found.keys())
        self.assertEqual((found["username"], found["password"]), ("romeo", None))
        info = (await self.ask(romeo, "get", f"<query xmlns='{ns.DISCO_INFO}'/>"))[0]
        self.assertIn(ns.REGISTER, [feature.get("var") for feature in info])


class UnencryptedTests(AccountServerTestCase):
    """A server where encryption is optional."""

    sections: ClassVar = {"c2s": {"tls": "optional"}}

    async def test_password(self) -> None:
        """Over a connection that is not encrypted, no password is taken (§3.3); the account can be removed."""
        romeo = await self.logIn("romeo")
        answer = await self.ask(romeo, "set", change())
        self.assertEqual(conditionOf(answer), "not-authorized")
        await self.logIn("romeo", resource="other")
        self.assertEqual(await self.outcome(romeo, "set", REMOVE), "result")


class RemovalTests(AccountServerTestCase):
    """XEP-0077 §3.2, and what is behind it."""

    async def befriend(self) -> None:
        """Let Romeo and Juliet, and Romeo and Paris, subscribe to each other; the nurse has asked Romeo."""
        self.romeo, self.juliet = await self.logIn("romeo"), await self.logIn("juliet")
        self.paris, self.nurse = await self.logIn("paris@other.example"), await self.logIn("nurse")
        for client in (self.romeo, self.juliet, self.paris, self.nurse):
            await self.ask(client, "get", f"<query xmlns='{ns.ROSTER}'/>", client.full.partition("/")[0])
            client.send("<presence/>")
        for other, address in ((self.juliet, "juliet@localhost"), (self.paris, "paris@other.example")):
            self.romeo.send(f"<presence type='subscribe' to='{address}'/>")
            await bounded(other.until(lambda e: e.get("type") == "subscribe"))
            for type in ("subscribed", "subscribe"):
                other.send(f"<presence type='{type}' to='romeo@localhost'/>")
            await bounded(self.romeo.until(lambda e: e.get("type") == "subscribe"))
            self.romeo.send(f"<presence type='subscribed' to='{address}'/>")
            await bounded(other.until(lambda e: e.get("type") == "subscribed"))
        self.nurse.send("<presence type='subscribe' to='romeo@localhost'/>")
        await bounded(self.romeo.until(lambda e: e.get("type") == "subscribe"))

    async def subscriptions(self, user: str) -> dict[str, str]:
        """The roster of a user: subscriptions by contact."""
        rows = (await self.components.stores.rosters.load(user)).rows
        return {contact: item.subscription + ("?" if item.ask else "") for contact, (_, item) in rows.items() if item}

    async def test_remove(self) -> None:
        """The user gets the result and then the end of all streams; contacts are told, and nothing of them is kept."""
        await self.befriend()
        other = await self.logIn("romeo", resource="other")
        for payload in (
            f"<query xmlns='{ns.PRIVATE}'><storage xmlns='storage:bookmarks'><conference jid='a@b'/></storage></query>",
            f"<block xmlns='{ns.BLOCKING}'><item jid='tybalt@localhost'/></block>",
            f"<vCard xmlns='{ns.VCARD_TEMP}'><FN>Romeo</FN></vCard>",
        ):
            self.assertEqual(await self.outcome(other, "set", payload, "romeo@localhost"), "result")
        self.assertEqual(await self.outcome(other, "set", REMOVE), "result")
        for client in (self.romeo, other):
            await self.assertEnded(client)
        for contact in (self.juliet, self.paris):
            seen: list[str] = []
            while "unsubscribed" not in seen:
                element = await bounded(contact.until(isPresence))
                seen.append(f"{element.get('type')}")
            self.assertEqual(seen[-2:], ["unsubscribe", "unsubscribed"])
            self.assertIn("unavailable", seen[:-2])
        await bounded(self.nurse.until(lambda e: e.get("type") == "unsubscribed"))
        await self.removed("romeo")
        self.assertEqual(await self.subscriptions("romeo@localhost"), {})
        self.assertEqual(await self.subscriptions("juliet@localhost"), {"romeo@localhost": "none"})
        self.assertEqual(await self.subscriptions("paris@other.example"), {"romeo@localhost": "none"})
        self.assertEqual(await self.subscriptions("nurse@localhost"), {"romeo@localhost": "none"})
        store = self.components.stores.userDataOf(self.service.settings.hosts[0])
        assert store is not None
        for kind in ("private", "blocked", "vcard", "last-activity", "offline"):
            self.assertEqual(await store.keys("romeo@localhost", kind), [], kind)
        await self.assertCannotLogIn("romeo")
        self.assertNothingWrong()

    async def removed(self, local: str) -> None:
        """Wait until a removal is finished."""
        line = f"account-removed by {local}@localhost: {local}@localhost"
        while line not in self.logged.lines(LogLevel.info):
            await self.pause()

    async def pause(self) -> None:
        """Let the server have a turn."""
        await self.accounts._pause()

    async def test_badRequest(self) -> None:
        """C{<remove/>} must be alone."""
        romeo = await self.logIn("romeo")
        payload = f"<query xmlns='{ns.REGISTER}'><remove/><username>romeo</username></query>"
        self.assertEqual(await self.outcome(romeo, "set", payload), "bad-request")
        await self.logIn("romeo")

    async def test_rooms(self) -> None:
        """Affiliations in rooms go, also in those that are not loaded; occupants see it. A ban stays."""
        romeo, juliet = await self.logIn("romeo"), await self.logIn("juliet")
        for number in range(3):
            room = f"room{number}@conference.localhost"
            await bounded(juliet.enter("Juliet", room))
            await bounded(juliet.configure(room, persistentroom="1"))
            item = f"<item affiliation='{('member', 'owner', 'outcast')[number]}' jid='romeo@localhost'/>"
            payload = f"<query xmlns='{ns.MUC_ADMIN}'>{item}</query>"
            self.assertEqual(await self.outcome(juliet, "set", payload, room), "result")
            if number:
                juliet.send(f"<presence type='unavailable' to='{room}/Juliet'/>")
        await bounded(romeo.enter("Romeo", "room0@conference.localhost"))
        romeo.send(f"<iq type='set' id='r'>{REMOVE}</iq>")
        gone = await bounded(juliet.until(lambda e: e.get("type") == "unavailable" and nickOf(e) == "Romeo"))
        self.assertEqual(codes(gone), set())
        await self.removed("romeo")
        for number, affiliations in enumerate((["member"], ["owner"], ["outcast"])):
            room = f"room{number}@conference.localhost"
            listed = [each for each in affiliations if "romeo@localhost" in await juliet.affiliates(each, room)]
            self.assertEqual(listed, affiliations if number == 2 else [], room)
        self.assertNothingWrong()

    async def test_sessionsThatWait(self) -> None:
        """A session that waits to be resumed ends as well: rooms are told at once."""
        romeo, juliet = await self.logIn("romeo"), await self.logIn("juliet")
        await bounded(juliet.enter("Juliet"))
        await bounded(juliet.configure())
        await bounded(romeo.enter("Romeo"))
        romeo.send("<enable xmlns='urn:xmpp:sm:3' resume='true'/>")
        await bounded(romeo.until(lambda e: e.tag.endswith("}enabled")))
        romeo.transport.abortConnection()  # type: ignore[union-attr]
        session = next(iter(self.components.sessions.forAccount("romeo@localhost").values()))
        while session.stream is not None:
            await self.pause()
        await self.accounts.remove(self.address("romeo@localhost"), "test")
        await bounded(juliet.until(lambda e: e.get("type") == "unavailable" and nickOf(e) == "Romeo"))
        self.assertEqual(len(self.components.sessions.resumptions), 0)

    async def test_logInMeanwhile(self) -> None:
        """Who has logged in, but bound no resource, is too late."""
        client = await self.logIn("nurse")
        self.assertTrue(client.full)
        access = self.components.access
        before = access.count
        await self.accounts.remove(self.address("romeo@localhost"), "test")
        self.assertEqual(access.refusal("romeo@localhost", before), "not-authorized")
        self.assertIsNone(access.refusal("romeo@localhost", access.count))

    async def test_tombstone(self) -> None:
        """The name is not given to others for a time; the operator may, and the new account has nothing of the old."""
        romeo = self.address("romeo@localhost")
        await self.accounts.remove(romeo, "test")
        with self.assertRaises(NoSuchUser):
            await self.accounts.remove(romeo, "test")
        with self.assertRaises(NameReserved):
            await self.accounts.create(romeo, PASSWORD, "test")
        await self.accounts.create(romeo, PASSWORD, "test", override=True)
        await self.logIn("romeo")

    async def test_unfinished(self) -> None:
        """What was not finished when the server ended is finished at the next start, before anybody logs in."""
        await self.befriend()
        failing = True

        def fail(account: object) -> None:
            if failing:
                raise StoreUnavailable("test: it ends here")

        self.accounts.removers = {"broken": fail, **self.accounts.removers}
        romeo = self.address("romeo@localhost")
        self.assertFalse(await self.accounts.remove(romeo, "test"))
        # The account cannot be used, and its name not be taken.
        await self.assertCannotLogIn("romeo")
        with self.assertRaises(AccountBusy):
            await self.accounts.create(romeo, PASSWORD, "test", override=True)
        self.assertEqual(len(await self.subscriptions("romeo@localhost")), 3)
        await self.stopServer()
        await self.startServer()
        self.assertEqual(await self.subscriptions("romeo@localhost"), {})
        self.assertEqual(await self.subscriptions("juliet@localhost"), {"romeo@localhost": "none"})
        self.assertEqual(await self.accounts.records.removals(), [])
        self.assertIn("account-removed by localhost: romeo@localhost", self.logged.lines(LogLevel.info))

    async def test_unacknowledged(self) -> None:
        """What a client had not acknowledged is gone with the account, before there can be a new one."""
        await self.logIn("romeo")
        address = self.address("romeo@localhost")
        sessions = self.accounts.parent.sessions
        [session] = sessions.forAccount(address.bare).values()
        session.enableManagement(False, None)  # type: ignore[attr-defined]
        message = parseStanza(f"<message from='juliet@localhost/r' to='{address.bare}'><body>x</body></message>")
        rendered = Rendered.of(message)
        for _ in range(900):
            session.deliver(rendered, toAttribute(address.bare))
        await self.accounts.remove(address, "test")
        await self.accounts.create(address, PASSWORD, "test", override=True)
        userData = self.handlers.userData
        assert userData is not None
        await userData.finished(sessions.redelivery.flush)  # type: ignore[attr-defined]
        store = userData._store
        self.assertEqual(await store.keys(address.bare, "offline"), [])

    async def test_again(self) -> None:
        """A removal that has failed can be requested again."""
        self.accounts.removers["broken"] = lambda account: (_ for _ in ()).throw(StoreUnavailable("test"))
        romeo = self.address("romeo@localhost")
        self.assertFalse(await self.accounts.remove(romeo, "test"))
        del self.accounts.removers["broken"]
        self.assertTrue(await self.accounts.remove(romeo, "test"))
        self.assertEqual(await self.accounts.records.removals(), [])


class ArchiveTests(AccountServerTestCase):
    """Accounts with archives."""

    sections: ClassVar[dict[str, dict[str, str]]] = {
        "storage": {"affiliations": "sqlite:muccore.db", "archive": "sqlite:archive.db"}
    }

    async def test_preferences(self) -> None:
        """Preferences that are being stored when the account is removed are not those of a new one."""
        romeo = await self.logIn("romeo")
        userData = self.handlers.userData
        assert userData is not None
        store: Any = userData._store
        change, held, storing = store.change, Deferred[None](), Deferred[None]()

        def slow(account: str, changes: Any, *limits: Any) -> Deferred[None]:
            if "archive" not in {kind for kind, _ in changes}:
                return change(account, changes, *limits)  # type: ignore[no-any-return]
            storing.callback(None)
            return held.addCallback(lambda _: change(account, changes, *limits))

        self.patch(store, "change", slow)
        romeo.send(f"<iq type='set' id='p'><prefs xmlns='{ns.MAM}' default='never'/></iq>")
        await storing.addTimeout(TIMEOUT, reactor)  # type: ignore[arg-type]
        address = self.address("romeo@localhost")
        removing = Deferred.fromCoroutine(self.accounts.remove(address, "test"))
        await self.assertEnded(romeo)
        await deferLater(reactor, 0.5)  # type: ignore[arg-type]
        held.callback(None)
        await removing.addTimeout(TIMEOUT, reactor)  # type: ignore[arg-type]
        self.assertEqual(await store.keys(address.bare, "archive"), [])


class DisabledTests(AccountServerTestCase):
    """Accounts that are disabled."""

    async def test_disabled(self) -> None:
        """Sessions end; the right password is refused with C{account-disabled}, a wrong one as ever; over a restart."""
        romeo = await self.logIn("romeo")
        await self.accounts.setDisabled(self.address("romeo@localhost"), True, "test")
        await self.assertEnded(romeo)
        for restart in (False, True):
            if restart:
                await self.stopServer()
                await self.startServer()
            await self.assertCannotLogIn("romeo", condition="account-disabled")
            await self.assertCannotLogIn("romeo", "wrong password")
            await self.logIn("juliet")
        await self.accounts.setDisabled(self.address("romeo@localhost"), False, "test")
        await self.logIn("romeo")
        with self.assertRaises(NoSuchUser):
            await self.accounts.setDisabled(self.address("nobody@localhost"), True, "test")

    async def test_sessionSaved(self) -> None:
        """A session that was saved is not restored for an account that was disabled meanwhile."""
        romeo = await self.logIn("romeo")
        romeo.send(f"<enable xmlns='{ns.STREAM_MANAGEMENT}' resume='true'/>")
        await bounded(romeo.until(lambda element: str(element.tag).endswith("}enabled")))
        romeo.transport.abortConnection()  # type: ignore[union-attr]
        sessions = self.components.sessions
        while any(each.stream is not None for each in sessions.forAccount("romeo@localhost").values()):
            await deferLater(reactor, 0.01)  # type: ignore[arg-type]
        await self.stopServer()
        await self.startServer()
        self.assertTrue(self.components.sessions.isInUse("romeo@localhost"))
        await self.accounts.records.setDisabled("romeo", True)
        await self.stopServer()
        await self.startServer()
        self.assertFalse(self.components.sessions.isInUse("romeo@localhost"))

    async def test_newWhileRemoved(self) -> None:
        """A new account stays disabled when the removal of the old one of its name is finished at the next start."""
        romeo, records = self.address("romeo@localhost"), self.accounts.records
        # As muccorectl does while no server runs: deluser, adduser and disableuser.
        await records.beginRemoval("romeo", 0.0)
        await records.credentialsRemoved("romeo")
        await records.setDisabled("romeo", True)
        await self.stopServer()
        await self.startServer()
        self.assertTrue(await self.accounts.has(romeo))
        self.assertEqual(await self.accounts.records.removals(), [])
        await self.assertCannotLogIn("romeo", condition="account-disabled")

    async def test_removed(self) -> None:
        """A new account of the name of one that was disabled is not."""
        romeo = self.address("romeo@localhost")
        await self.accounts.setDisabled(romeo, True, "test")
        await self.accounts.remove(romeo, "test")
        await self.accounts.create(romeo, PASSWORD, "test", override=True)
        await self.logIn("romeo")

# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of the commands for admins (XEP-0133), and of those that make invitations (XEP-0401), on a whole server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from lxml import etree
from twisted.logger import LogLevel

from muccore.xmpp import ns
from muccore.xmpp.guestnames import newGuestName
from tests.endtoend.clients import RoomClient, bodyOf, bounded
from tests.server.accountserver import PASSWORD, AccountServerTestCase, conditionOf

COMMAND = f"{{{ns.COMMANDS}}}command"
NEW = "a rose by any other name"
USERS = ["juliet@localhost", "nurse@localhost", "romeo@localhost"]


class AdministrationTestCase(AccountServerTestCase):
    """Juliet is an admin; the nurse is not."""

    sections: ClassVar = {"server": {"admins": "juliet@localhost"}, "registration": {"mode": "invited"}}

    async def setUp(self) -> None:
        """Log them in."""
        await super().setUp()
        self.juliet, self.nurse = await self.logIn("juliet"), await self.logIn("nurse")
        self.components.administration.stopProcess = lambda restart: None
        self.components.administration.canRestart = True

    async def command(self, client: RoomClient, node: str, inside: str = "", to: str = "localhost") -> etree._Element:
        """Send a request about a command; return the answer."""
        node = node if ":" in node else f"{ns.ADMIN}#{node}"
        return await self.ask(client, "set", f"<command xmlns='{ns.COMMANDS}' node='{node}'{inside}</command>", to)

    async def run_(
        self, node: str, client: RoomClient | None = None, to: str = "localhost", **values: str | Sequence[str]
    ) -> etree._Element:
        """Execute a command of Juliet, with a form if there are values; C{_} stands for C{-}. Return the answer."""
        client = client or self.juliet
        answer = await self.command(client, node, ">", to)
        if not values or conditionOf(answer) != "result":
            return answer
        command = answer[0]
        self.assertEqual(command.get("status"), "executing")
        form = command.find(f"{{{ns.DATA}}}x")
        assert form is not None
        offered = {str(field.get("var")) for field in form.iter(f"{{{ns.DATA}}}field")}
        rendered = ""
        for name, value in values.items():
            self.assertIn(name, offered)
            lines = [value] if isinstance(value, str) else value
            rendered += f"<field var='{name}'>{''.join(f'<value>{line}</value>' for line in lines)}</field>"
        x = f"<x xmlns='jabber:x:data' type='submit'>{rendered}</x>"
        return await self.command(client, node, f" sessionid='{command.get('sessionid')}'>{x}", to)

    async def done(self, node: str, to: str = "localhost", **values: str | Sequence[str]) -> dict[str, list[str]]:
        """Execute a command that is completed; return the fields of its result, and its note."""
        answer = await self.run_(node, to=to, **values)
        self.assertEqual(conditionOf(answer), "result", etree.tostring(answer))
        command = answer[0]
        self.assertEqual((command.tag, command.get("status")), (COMMAND, "completed"))
        found: dict[str, list[str]] = {}
        for field in command.iter(f"{{{ns.DATA}}}field"):
            values_ = [str(value.text) for value in field.iter(f"{{{ns.DATA}}}value")]
            found.setdefault(str(field.get("var")), []).extend(values_)
        for note in command.iter(f"{{{ns.COMMANDS}}}note"):
            found[str(note.get("type"))] = [str(note.text)]
        return found

    async def refused(self, node: str, **values: str | Sequence[str]) -> str:
        """Execute a command that is refused; return the condition."""
        return conditionOf(await self.run_(node, **values))


class DiscoveryTests(AdministrationTestCase):
    """Who finds the commands."""

    async def items(self, client: RoomClient) -> set[str]:
        """The nodes that are listed."""
        answer = await self.ask(client, "get", f"<query xmlns='{ns.DISCO_ITEMS}' node='{ns.COMMANDS}'/>")
        return {str(item.get("node")) for item in answer.iter(f"{{{ns.DISCO_ITEMS}}}item")}

    async def test_items(self) -> None:
        """An admin finds all that the server has of XEP-0133 and XEP-0401; others nothing."""
        names = (
            "add-user delete-user disable-user reenable-user end-user-session change-user-password get-user-roster "
            "get-user-lastlogin user-stats get-registered-users-num get-disabled-users-num get-online-users-num "
            "get-active-users-num get-idle-users-num get-registered-users-list get-disabled-users-list "
            "get-online-users-list get-active-users get-idle-users announce set-motd edit-motd delete-motd set-welcome "
            "delete-welcome edit-admin restart shutdown"
        )
        expected = {f"{ns.ADMIN}#{name}" for name in names.split()}
        expected |= {f"{ns.INVITE}#invite", f"{ns.INVITE}#create-account"}
        self.assertEqual(await self.items(self.juliet), expected)
        self.assertEqual(await self.items(self.nurse), set())
        self.components.administration.stopProcess, self.components.administration.canRestart = None, False
        left = expected - await self.items(self.juliet)
        self.assertEqual(left, {f"{ns.ADMIN}#restart", f"{ns.ADMIN}#shutdown"})

    async def test_info(self) -> None:
        """To others, a command is like one that does not exist; who executes it is C{forbidden}."""
        query = f"<query xmlns='{ns.DISCO_INFO}' node='{ns.ADMIN}#add-user'/>"
        answer = await self.ask(self.juliet, "get", query)
        self.assertEqual(answer[0][0].get("type"), "command-node")
        self.assertEqual(await self.outcome(self.nurse, "get", query), "item-not-found")
        self.assertEqual(conditionOf(await self.command(self.nurse, "add-user", ">")), "forbidden")
        self.assertEqual(conditionOf(await self.command(self.nurse, "nothing", ">")), "item-not-found")
        self.assertEqual(await self.backend.users("localhost"), USERS)

    async def test_laterStage(self) -> None:
        """Who is no admin any more cannot go on."""
        answer = await self.command(self.juliet, "delete-user", ">")
        self.components.administration.configured = frozenset()
        id = answer[0].get("sessionid")
        field = "<field var='accountjids'><value>nurse@localhost</value></field>"
        inside = f" sessionid='{id}'><x xmlns='jabber:x:data' type='submit'>{field}</x>"
        self.assertEqual(conditionOf(await self.command(self.juliet, "delete-user", inside)), "forbidden")
        self.assertEqual(await self.backend.users("localhost"), USERS)


class UserTests(AdministrationTestCase):
    """XEP-0133 §4.1 to §4.10."""

    async def test_addUser(self) -> None:
        """An account is added, at any host of the server; errors are those of §5, after which one may go on."""
        for account in ("tybalt@localhost", "tybalt@other.example"):
            await self.done("add-user", accountjid=account, password=NEW, **{"password-verify": NEW})
            await self.logIn(account, NEW)
        for values, condition in (
            ({"accountjid": "romeo@localhost", "password": NEW}, "conflict"),
            ({"accountjid": "romeo@example.com", "password": NEW}, "item-not-found"),
            ({"accountjid": "localhost", "password": NEW}, "item-not-found"),
            ({"accountjid": "new@localhost", "password": NEW, "password-verify": "x"}, "not-acceptable"),
            ({"accountjid": "new@localhost", "password": "\u0627x"}, "not-acceptable"),
            ({"accountjid": "new@localhost"}, "bad-request"),
            ({"accountjid": "@", "password": NEW}, "bad-request"),
        ):
            self.assertEqual(await self.refused("add-user", **values), condition, values)
        lines = self.logged.lines(LogLevel.info)
        self.assertIn("account-created by juliet@localhost: tybalt@localhost", lines)
        self.assertIn("administration by juliet@localhost: add-user, tybalt@localhost", lines)
        self.assertNotIn(NEW, "\n".join(lines))
        self.assertNothingWrong()

    async def test_deleteUser(self) -> None:
        """Accounts are deleted, and their sessions end; some that cannot be are named in a note."""
        romeo = await self.logIn("romeo")
        found = await self.done("delete-user", accountjids=["romeo@localhost", "nobody@localhost", "juliet@localhost"])
        await self.assertEnded(romeo)
        self.assertEqual(await self.backend.users("localhost"), ["juliet@localhost", "nurse@localhost"])
        self.assertIn("nobody@localhost", found["warn"][0])
        self.assertEqual(await self.refused("delete-user", accountjids="romeo@localhost"), "item-not-found")
        self.assertEqual(await self.refused("delete-user", accountjids="juliet@localhost"), "not-allowed")
        await self.done("add-user", accountjid="romeo@localhost", password=NEW)

    async def test_disableUser(self) -> None:
        """Disabled users are counted and listed; they can log in again when they are enabled."""
        await self.done("disable-user", accountjids=["nurse@localhost", "romeo@localhost"])
        await self.assertEnded(self.nurse)
        await self.assertCannotLogIn("nurse", condition="account-disabled")
        self.assertEqual((await self.done("get-disabled-users-num"))["disabledusersnum"], ["2"])
        found = await self.done("get-disabled-users-list", max_items="25")
        self.assertEqual(found["disableduserjids"], ["nurse@localhost", "romeo@localhost"])
        await self.done("reenable-user", accountjids="nurse@localhost")
        await self.logIn("nurse")
        self.assertEqual(await self.refused("disable-user", accountjids="juliet@localhost"), "not-allowed")
        self.assertEqual(await self.refused("reenable-user", accountjids="x@localhost"), "item-not-found")

    async def test_endUserSession(self) -> None:
        """One session ends, or all; others may log in again."""
        one, two, three = [await self.logIn("romeo", resource=resource) for resource in ("1", "2", "3")]
        await self.done("end-user-session", accountjids="romeo@localhost/2")
        await self.assertEnded(two, "policy-violation")
        self.assertEqual(len(self.components.sessions.forAccount("romeo@localhost")), 2)
        await self.done("end-user-session", accountjids="romeo@localhost")
        for client in (one, three):
            await self.assertEnded(client, "policy-violation")
        self.assertEqual(await self.refused("end-user-session", accountjids="romeo@localhost"), "item-not-found")
        await self.logIn("romeo")

    async def test_changePassword(self) -> None:
        """A password is changed."""
        await self.done("change-user-password", accountjid="romeo@localhost", password=NEW)
        await self.logIn("romeo", NEW)
        for account, password, condition in (
            ("nobody@localhost", NEW, "item-not-found"), ("romeo@localhost", "\u0627x", "not-acceptable"),
        ):  # fmt: skip
            outcome = await self.refused("change-user-password", accountjid=account, password=password)
            self.assertEqual(outcome, condition)

    async def test_lookUps(self) -> None:
        """Rosters, last log-ins and statistics; a form for each account."""
        item = "<item jid='romeo@localhost' name='R'><group>Friends</group></item>"
        await self.ask(self.nurse, "set", f"<query xmlns='{ns.ROSTER}'>{item}</query>", "nurse@localhost")
        answer = await self.run_("get-user-roster", accountjids=["nurse@localhost", "romeo@localhost"])
        one, two = answer.iter(f"{{{ns.ROSTER}}}query")
        self.assertEqual([(e.get("jid"), e.get("name"), e[0].text) for e in one], [("romeo@localhost", "R", "Friends")])
        self.assertEqual(len(two), 0)
        self.assertEqual((await self.done("get-user-lastlogin", accountjids="romeo@localhost"))["lastlogin"], [])
        self.nurse.send("<presence/>")
        await bounded(self.nurse.until(lambda e: e.tag == f"{{{ns.CLIENT}}}presence"))
        [time] = (await self.done("get-user-lastlogin", accountjids="nurse@localhost"))["lastlogin"]
        self.assertRegex(time, r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$")
        self.nurse.send("<presence type='unavailable'/>")
        await bounded(self.nurse.until(lambda e: e.get("type") == "unavailable"))
        [again] = (await self.done("get-user-lastlogin", accountjids="nurse@localhost"))["lastlogin"]
        self.assertEqual(again[:19], time[:19])
        found = await self.done("user-stats", accountjid="nurse@localhost")
        self.assertEqual((found["rostersize"], found["onlineresources"]), (["1"], ["r"]))
        self.assertEqual(found["ipaddresses"], ["127.0.0.1"])
        for node, field in (("get-user-roster", "accountjids"), ("get-user-lastlogin", "accountjids"),
                            ("user-stats", "accountjid")):  # fmt: skip
            self.assertEqual(await self.refused(node, **{field: "nobody@localhost"}), "item-not-found")


class ListTests(AdministrationTestCase):
    """XEP-0133 §4.13 to §4.22."""

    async def test_lists(self) -> None:
        """Users of the host that is addressed are counted and listed."""
        self.nurse.send("<inactive xmlns='urn:xmpp:csi:0'/>")
        await self.ask(self.nurse, "get", f"<ping xmlns='{ns.PING}'/>")
        for node, field, count in (
            ("get-registered-users-num", "registeredusersnum", "3"),
            ("get-online-users-num", "onlineusersnum", "2"),
            ("get-active-users-num", "activeusersnum", "1"),
            ("get-idle-users-num", "idleusersnum", "1"),
        ):
            self.assertEqual((await self.done(node))[field], [count], node)
        for node, field, users in (
            ("get-registered-users-list", "registereduserjids", USERS),
            ("get-online-users-list", "onlineuserjids", USERS[:2]),
            ("get-active-users", "activeuserjids", USERS[:1]),
            ("get-idle-users", "activeuserjids", USERS[1:2]),
        ):
            self.assertEqual((await self.done(node, max_items="none"))[field], users, node)
        found = await self.done("get-registered-users-list", "other.example", max_items="100")
        self.assertEqual(found["registereduserjids"], ["paris@other.example"])
        self.assertEqual(await self.refused("get-registered-users-list", max_items="7"), "bad-request")

    async def test_truncated(self) -> None:
        """A long list says how much of it is shown."""
        for number in range(30):
            await self.backend.create(f"user{number:02}@localhost", "x")
        found = await self.done("get-registered-users-list", max_items="25")
        self.assertEqual(len(found["registereduserjids"]), 25)
        self.assertEqual(found["info"], ["The first 25 of 33 are shown."])


class MessageTests(AdministrationTestCase):
    """XEP-0133 §4.23 to §4.28."""

    async def available(self, user: str, password: str = PASSWORD, resource: str = "r") -> RoomClient:
        """Log a user in who becomes available."""
        client = await self.logIn(user, password, resource)
        client.send("<presence/>")
        await bounded(client.until(lambda e: e.tag == f"{{{ns.CLIENT}}}presence"))
        return client

    async def nextText(self, client: RoomClient) -> str:
        """The next announcement."""
        element = await bounded(client.until(lambda e: bodyOf(e) is not None))
        self.assertEqual((element.get("from"), element.get("type")), ("localhost", "headline"))
        return str(bodyOf(element))

    async def nothing(self, client: RoomClient) -> None:
        """Check that a client gets no announcement: the next one is a marker."""
        client.send(f"<message to='{client.full}'><body>marker</body></message>")
        element = await bounded(client.until(lambda e: bodyOf(e) is not None))
        self.assertEqual(bodyOf(element), "marker")

    async def test_announce(self) -> None:
        """All who are available on this host are told now; nobody later."""
        romeo, paris = await self.available("romeo"), await self.available("paris@other.example")
        await self.done("announce", announcement=["The service will go down.", "Sorry!"])
        self.assertEqual(await self.nextText(romeo), "The service will go down.\nSorry!")
        await self.nothing(paris)
        await self.nothing(await self.available("nurse", resource="other"))
        self.assertEqual(await self.refused("announce", announcement=[" ", ""]), "not-acceptable")
        self.assertEqual(await self.refused("announce", announcement="x" * 10_001), "not-acceptable")

    async def test_messageOfTheDay(self) -> None:
        """Everybody is told once: now, or when they are available next, over a restart; until it is deleted."""
        romeo = await self.available("romeo")
        await self.done("set-motd", motd="Globe Staff")
        self.assertEqual(await self.nextText(romeo), "Globe Staff")
        await self.nothing(await self.available("romeo", resource="other"))
        await self.stopServer()
        await self.startServer()
        self.juliet = await self.available("juliet")
        self.assertEqual(await self.nextText(self.juliet), "Globe Staff")
        form = (await self.command(self.juliet, "edit-motd", ">"))[0].find(f".//{{{ns.DATA}}}field[@var='motd']")
        assert form is not None
        self.assertEqual(form.findtext(f"{{{ns.DATA}}}value"), "Globe Staff")
        await self.done("edit-motd", motd="Globe Stuff")
        romeo = await self.available("romeo")
        await self.nothing(romeo)
        nurse = await self.available("nurse")
        self.assertEqual(await self.nextText(nurse), "Globe Stuff")
        await self.done("set-motd", motd="News")
        for client in (romeo, nurse):
            self.assertEqual(await self.nextText(client), "News")
        await self.done("delete-motd")
        await self.nothing(await self.available("romeo", resource="third"))
        self.assertNothingWrong()

    async def test_welcome(self) -> None:
        """New users are welcomed, once; others are not."""
        await self.done("set-welcome", welcome="Welcome to Verona")
        await self.done("add-user", accountjid="tybalt@localhost", password=NEW)
        self.assertEqual(await self.nextText(await self.available("tybalt", NEW)), "Welcome to Verona")
        await self.nothing(await self.available("tybalt", NEW, "other"))
        await self.nothing(await self.available("romeo"))
        await self.done("delete-welcome")
        await self.done("add-user", accountjid="benvolio@localhost", password=NEW)
        await self.nothing(await self.available("benvolio", NEW))


class ServerTests(AdministrationTestCase):
    """XEP-0133 §4.29 to §4.31."""

    async def test_editAdmin(self) -> None:
        """Admins name others; those of the configuration stay. It lasts, but not longer than the account."""
        found = await self.done("edit-admin", adminjids=["nurse@localhost"])
        self.assertIn("juliet@localhost", found["warn"][0])
        self.assertEqual(conditionOf(await self.run_("get-online-users-num", self.nurse)), "result")
        self.assertEqual(await self.refused("edit-admin", adminjids="x@example.com"), "item-not-found")
        await self.stopServer()
        await self.startServer()
        self.assertEqual(self.components.administration.admins(), ["juliet@localhost", "nurse@localhost"])
        self.juliet = await self.logIn("juliet")
        await self.done("delete-user", accountjids="nurse@localhost")
        self.assertEqual(self.components.administration.admins(), ["juliet@localhost"])

    async def test_removedMeanwhile(self) -> None:
        """An admin whose removal is finished at the next start is none afterwards: others may get the name."""
        await self.done("edit-admin", adminjids=["nurse@localhost"])
        await self.accounts.records.beginRemoval("nurse", 0.0)
        await self.stopServer()
        await self.startServer()
        self.assertFalse(await self.accounts.has(self.address("nurse@localhost")))
        self.assertEqual(self.components.administration.admins(), ["juliet@localhost"])

    async def test_nobody(self) -> None:
        """Only accounts that exist become admins, since others could register the name. Nothing is changed then."""
        outcome = await self.refused("edit-admin", adminjids=["nurse@localhost", "tybalt@localhost"])
        self.assertEqual(outcome, "item-not-found")
        self.assertEqual(self.components.administration.admins(), ["juliet@localhost"])
        # One of the configuration may have none yet.
        self.components.administration.configured |= {"friar@localhost"}
        await self.done("edit-admin", adminjids=["friar@localhost", "juliet@localhost", "nurse@localhost"])

    async def test_stop(self) -> None:
        """The server ends after the delay; the last request counts. Users of all hosts are told."""
        paris = await self.logIn("paris@other.example")
        paris.send("<presence/>")
        await bounded(paris.until(lambda e: e.tag == f"{{{ns.CLIENT}}}presence"))
        calls: list[tuple[float, Any]] = []
        clock: Any = self.components.administration._clock
        self.patch(clock, "callLater", lambda delay, f, *args: calls.append((delay, args)) or _Call())
        await self.done("restart", delay="300", announcement="Soon")
        await self.done("shutdown", delay="30")
        self.assertEqual([each for each in calls if each[0] in (30, 300)], [(300, (True,)), (30, (False,))])
        self.assertEqual(await self.refused("shutdown", delay="1"), "bad-request")


class _Call:
    """A delayed call that never comes."""

    def active(self) -> bool:
        """It does not wait."""
        return False


class InvitationTests(AdministrationTestCase):
    """XEP-0401."""

    async def test_invite(self) -> None:
        """Who may invite gets a URI at once, with the time when it expires."""
        found = await self.done(f"{ns.INVITE}#invite")
        self.assertRegex(found["uri"][0], r"^xmpp:juliet@localhost\?roster;preauth=[A-Za-z0-9]+;ibr=y$")
        self.assertRegex(found["expire"][0], r"^\d{4}-\d\d-\d\dT")
        self.assertEqual(found["FORM_TYPE"], [f"{ns.INVITE}#invitation"])
        node = f"{ns.INVITE}#invite"
        self.assertEqual(conditionOf(await self.run_(node, self.nurse)), "forbidden")
        self.file.configure(registration={"user_invitations": "yes"})
        await self.service.reload()
        self.assertEqual(conditionOf(await self.run_(node, self.nurse)), "result")
        paris = await self.logIn("paris@other.example")
        self.assertEqual(conditionOf(await self.run_(node, paris)), "forbidden")

    async def test_createAccount(self) -> None:
        """An admin invites to an account, of a name or any."""
        node = f"{ns.INVITE}#create-account"
        found = await self.done(node, username="Tybalt", **{"roster-subscription": "1"})
        self.assertRegex(found["uri"][0], r"^xmpp:tybalt@localhost\?register;preauth=[A-Za-z0-9]+$")
        found = await self.done(node, username="")
        self.assertRegex(found["uri"][0], r"^xmpp:localhost\?register;preauth=[A-Za-z0-9]+$")
        for name, condition in (("tybalt", "conflict"), ("romeo", "conflict"), ("a@b", "bad-request")):
            self.assertEqual(await self.refused(node, username=name), condition)
        self.assertEqual(conditionOf(await self.run_(node, self.nurse)), "forbidden")


class GuestTests(AdministrationTestCase):
    """A host with guests, where every user may invite."""

    sections: ClassVar = {
        **AdministrationTestCase.sections,
        "auth": {"anonymous": "yes"},
        "registration": {"mode": "invited", "user_invitations": "yes"},
    }

    async def test_invite(self) -> None:
        """Guests invite nobody, and do not find the command: they could register without an invitation."""
        name = newGuestName()
        await self.backend.create(f"{name}@localhost", PASSWORD)
        guest = await self.logIn(name)
        node = f"{ns.INVITE}#invite"
        self.assertEqual(conditionOf(await self.run_(node, self.nurse)), "result")
        self.assertEqual(conditionOf(await self.run_(node, guest)), "forbidden")
        query = f"<query xmlns='{ns.DISCO_ITEMS}' node='{ns.COMMANDS}'/>"
        self.assertEqual(len((await self.ask(self.nurse, "get", query))[0]), 1)
        self.assertEqual(len((await self.ask(guest, "get", query))[0]), 0)

    async def test_messageOfTheDay(self) -> None:
        """Guests are told it, but not that it is stored: nobody would remove that."""
        await self.done("set-motd", motd="It is the nightingale")
        name = newGuestName()
        await self.backend.create(f"{name}@localhost", PASSWORD)
        guest = await self.logIn(name)
        guest.send("<presence/>")
        self.assertEqual(bodyOf(await bounded(guest.until(bodyOf))), "It is the nightingale")
        store: Any = self.components.stores.userDataOf(self.components._settings.hosts[0])
        self.assertEqual(await store.keys(f"{name}@localhost", "announcement"), [])

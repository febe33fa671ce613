# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of the registration of accounts before the log-in, on a whole server under TLS."""

from __future__ import annotations

import re
from functools import partial
from typing import Any, ClassVar, cast
from unittest import mock

from lxml import etree
from twisted.internet import reactor
from twisted.internet.defer import Deferred, DeferredList, fail
from twisted.logger import LogLevel

from muccore.im.invitations import INVITATION, hashOf
from muccore.interfaces import StoreUnavailable
from muccore.xmpp import ns
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.guestnames import newGuestName
from tests.endtoend.clients import HEADER, RoomClient, bounded, openConnection
from tests.endtoend.serverprocess import TIMEOUT
from tests.server.accountserver import PASSWORD, AccountServerTestCase, conditionOf

GET = f"<query xmlns='{ns.REGISTER}'/>"


def request(name: str | None = "tybalt", password: str | None = PASSWORD) -> str:
    """A request to register."""
    fields = "".join(
        f"<{tag}>{text}</{tag}>" for tag, text in (("username", name), ("password", password)) if text is not None
    )
    return f"<query xmlns='{ns.REGISTER}'>{fields}</query>"


def preauth(token: str) -> str:
    """A request with a token."""
    return f"<preauth xmlns='{ns.PARS}' token='{token}'/>"


class RegistrationTestCase(AccountServerTestCase):
    """Clients that are not logged in."""

    async def connect(self, direct: bool = True) -> tuple[RoomClient, list[str]]:
        """Open a stream with direct TLS; return the client, and the namespaces of the features for registration."""
        port = self.running.portOf("direct_tls_listen" if direct else "listen")
        client = await openConnection(self, port, direct)
        client.send(HEADER)
        features = await bounded(client.next())
        return client, [etree.QName(child).namespace or "" for child in features if child.tag.endswith("}register")]

    async def send(self, client: RoomClient, type: str, payload: str) -> etree._Element:
        """Send an IQ without addresses; return the answer."""
        client.send(f"<iq type='{type}' id='q'>{payload}</iq>")
        answer = await bounded(client.next())
        self.assertEqual((answer.get("id"), answer.get("from"), answer.get("to")), ("q", "localhost", None))
        return answer

    async def result(self, client: RoomClient, type: str, payload: str) -> str:
        """Send an IQ; return C{result} or the condition. An error has nothing of the request."""
        answer = await self.send(client, type, payload)
        if answer.get("type") == "error":
            self.assertEqual(len(answer), 1)
        return conditionOf(answer)

    async def invite(self, local: str = "", subscribe: bool = False, inviter: str = "romeo@localhost") -> str:
        """Make an invitation; return its token."""
        registrar = self.handlers.registrar
        assert registrar is not None
        issued = await registrar.inviteAccount(self.address(inviter), local, subscribe)
        address = f"{local}@localhost" if local else "localhost"
        found = re.fullmatch(rf"xmpp:{address}\?register;preauth=([A-Za-z0-9]+)", issued.uri)
        assert found is not None, issued.uri
        return found[1]


class ClosedTests(RegistrationTestCase):
    """A server as it is by default."""

    async def test_closed(self) -> None:
        """Nothing is offered; who tries all the same has no stream any more (RFC 6120 §4.9.3.12)."""
        client, offered = await self.connect()
        self.assertEqual(offered, [])
        client.send(f"<iq type='get' id='q'>{GET}</iq>")
        await client.closed().addTimeout(TIMEOUT, reactor)
        self.assertEqual(client.lost, "stream error not-authorized")


class RedirectingTests(RegistrationTestCase):
    """A server with a web page."""

    sections: ClassVar = {"registration": {"redirect_url": "https://example.org/join"}}

    async def test_redirection(self) -> None:
        """Who asks is told of it (§6); nobody can register."""
        client, offered = await self.connect()
        self.assertEqual(offered, [ns.REGISTER_FEATURE])
        query = (await self.send(client, "get", GET))[0]
        self.assertEqual([etree.QName(child).localname for child in query], ["instructions", "x"])
        self.assertEqual(query.findtext(f"{{{ns.OOB}}}x/{{{ns.OOB}}}url"), "https://example.org/join")
        self.assertEqual(await self.result(client, "set", request()), "not-allowed")
        self.assertEqual(await self.result(client, "set", preauth("x")), "service-unavailable")


class OpenTests(RegistrationTestCase):
    """A server where everybody may register."""

    sections: ClassVar = {"registration": {"mode": "open"}, "host other.example": {"registration": "closed"}}

    async def test_register(self) -> None:
        """A client gets the form, registers, and logs in on the same stream; it registers nothing else."""
        client, offered = await self.connect()
        self.assertEqual(offered, [ns.REGISTER_TOKEN, ns.REGISTER_FEATURE])
        query = (await self.send(client, "get", GET))[0]
        names = [etree.QName(child).localname for child in query]
        self.assertEqual(names, ["instructions", "username", "password", "x"])
        fields = {str(f.get("var")): f for f in query[3].iter(f"{{{ns.DATA}}}field")}
        self.assertEqual(list(fields), ["FORM_TYPE", "username", "password"])
        self.assertEqual(fields["FORM_TYPE"][0].text, ns.REGISTER)
        self.assertEqual(await self.result(client, "set", request("Tybalt")), "result")
        self.assertEqual(await self.result(client, "set", request("other")), "not-acceptable")
        await self.logIn("tybalt")
        lines = self.logged.lines(LogLevel.info)
        self.assertIn("account-created by 127.0.0.1: tybalt@localhost", lines)
        self.assertNotIn(PASSWORD, "\n".join(lines))
        self.assertNothingWrong()

    async def test_form(self) -> None:
        """The form can be submitted instead of the fields, but not with them."""
        values = {"FORM_TYPE": ns.REGISTER, "username": "tybalt", "password": PASSWORD}
        fields = "".join(f"<field var='{name}'><value>{value}</value></field>" for name, value in values.items())
        x = f"<x xmlns='{ns.DATA}' type='submit'>{fields}</x>"
        client, _ = await self.connect()
        both = f"<query xmlns='{ns.REGISTER}'><username>tybalt</username>{x}</query>"
        self.assertEqual(await self.result(client, "set", both), "bad-request")
        self.assertEqual(await self.result(client, "set", f"<query xmlns='{ns.REGISTER}'>{x}</query>"), "result")
        await self.logIn("tybalt")

    async def test_refused(self) -> None:
        """The errors of §3.1; and nothing is registered."""
        await self.accounts.remove(self.address("nurse@localhost"), "test")
        for payload, condition in (
            (request("romeo"), "conflict"),
            (request("nurse"), "conflict"),
            (request(None), "not-acceptable"),
            (request(password=None), "not-acceptable"),
            (request(password=""), "not-acceptable"),
            (request(password="short"), "not-acceptable"),
            (request("a@b"), "not-acceptable"),
            (request("x" * 65), "not-acceptable"),
            (request("Postmaster"), "not-acceptable"),
            (f"<query xmlns='{ns.REGISTER}'><remove/></query>", "unexpected-request"),
        ):
            # A stream has so many tries only.
            client, _ = await self.connect()
            self.running.server.components.hosts[0].handlers._rate.configure(10, 1000)  # type: ignore[union-attr]
            self.assertEqual(await self.result(client, "set", payload), condition, payload)
        self.assertEqual(
            await self.backend.users("localhost"), ["juliet@localhost", "romeo@localhost"]
        )

    async def test_unencrypted(self) -> None:
        """Without TLS nothing is offered, and a request ends the stream."""
        client, offered = await self.connect(direct=False)
        self.assertEqual(offered, [])
        client.send(f"<iq type='set' id='q'>{request()}</iq>")
        await client.closed().addTimeout(TIMEOUT, reactor)
        self.assertEqual(client.lost, "stream error not-authorized")

    async def test_other(self) -> None:
        """Other stanzas before the log-in end the stream, as ever."""
        for stanza in (
            "<message to='romeo@localhost'><body>Hi</body></message>",
            f"<iq type='get' id='q'><query xmlns='{ns.DISCO_INFO}'/></iq>",
            f"<iq type='get' id='q' to='romeo@localhost'>{GET}</iq>",
            f"<iq type='get'>{GET}</iq>",
            "<iq type='result' id='q'/>",
        ):
            client, _ = await self.connect()
            client.send(stanza)
            await client.closed().addTimeout(TIMEOUT, reactor)
            self.assertEqual(client.lost, "stream error not-authorized", stanza)

    async def test_severalChildren(self) -> None:
        """A request has one child element (RFC 6120 §8.2.3), wherever others stand; the stream goes on."""
        client, _ = await self.connect()
        for payload in (f"{request()}<x xmlns='test'/>", f"<x xmlns='test'/>{request()}"):
            self.assertEqual(await self.result(client, "set", payload), "bad-request")
        self.assertEqual(await self.result(client, "set", request()), "result")

    async def test_host(self) -> None:
        """Another host decides for itself."""
        client = await openConnection(self, self.running.portOf("direct_tls_listen"), True)
        client.send(HEADER.replace("localhost", "other.example"))
        features = await bounded(client.next())
        self.assertEqual([child for child in features if child.tag.endswith("}register")], [])

    async def test_rate(self) -> None:
        """Attempts are limited by address, and by stream."""
        conditions: list[str] = []
        while "resource-constraint" not in conditions:
            client, _ = await self.connect()
            conditions += [await self.result(client, "set", request("romeo")) for _ in range(2)]
        self.assertEqual(conditions.count("conflict"), 10)
        client, _ = await self.connect()
        for _ in range(5):
            client.send(f"<iq type='set' id='q'>{request('romeo')}</iq>")
        await client.closed().addTimeout(TIMEOUT, reactor)
        self.assertEqual(client.lost, "stream error policy-violation")


class GuestTests(RegistrationTestCase):
    """A server where everybody may register, or be a guest."""

    sections: ClassVar = {"registration": {"mode": "open"}, "auth": {"anonymous": "yes"}}

    async def test_name(self) -> None:
        """Nobody registers a name of a guest, of one who is there perhaps: they would have their address."""
        client, _ = await self.connect()
        name = newGuestName()
        self.assertEqual(await self.result(client, "set", request(name)), "not-acceptable")
        self.assertFalse(await self.accounts.has(self.address(f"{name}@localhost")))
        self.assertEqual(await self.result(client, "set", request()), "result")


class InvitedTests(RegistrationTestCase):
    """A server where registration needs an invitation."""

    sections: ClassVar = {"registration": {"mode": "invited", "invitation_time": "1 min"}}

    async def test_token(self) -> None:
        """A token lets one client register, once."""
        token = await self.invite()
        client, offered = await self.connect()
        self.assertEqual(offered, [ns.REGISTER_TOKEN, ns.REGISTER_FEATURE])
        self.assertEqual(await self.result(client, "get", GET), "not-allowed")
        self.assertEqual(await self.result(client, "set", request()), "not-allowed")
        self.assertEqual(await self.result(client, "set", preauth(token + "x")), "item-not-found")
        client, _ = await self.connect()
        late, _ = await self.connect()
        for each in (client, late):
            self.assertEqual(await self.result(each, "set", preauth(token)), "result")
        self.assertEqual(await self.result(client, "get", GET), "result")
        # Not used before it has succeeded.
        self.assertEqual(await self.result(client, "set", request("romeo")), "conflict")
        self.assertEqual(await self.result(client, "set", request()), "result")
        self.assertEqual(await self.result(late, "set", request("other")), "not-allowed")
        again, _ = await self.connect()
        self.assertEqual(await self.result(again, "set", preauth(token)), "item-not-found")
        await self.logIn("tybalt")
        self.assertNothingWrong()

    async def test_atOnce(self) -> None:
        """Of several clients that use a token at the same time, one registers."""
        token = await self.invite()
        clients = [(await self.connect())[0] for _ in range(4)]
        for client in clients:
            self.assertEqual(await self.result(client, "set", preauth(token)), "result")
        for number, client in enumerate(clients):
            client.send(f"<iq type='set' id='q'>{request(f'tybalt{number}')}</iq>")
        outcomes = [conditionOf(await bounded(client.next())) for client in clients]
        self.assertEqual(sorted(outcomes), ["not-allowed"] * 3 + ["result"])

    async def test_redeemedAtOnce(self) -> None:
        """Of several contacts who use a token at the same time, one is approved; none after it was used to register."""
        registrar: Any = self.handlers.registrar
        uri = (await registrar.inviteContact(self.address("romeo@localhost"))).uri
        token = uri.partition("preauth=")[2].partition(";")[0]
        redeeming = [Deferred.fromCoroutine(registrar.redeem("romeo@localhost", token)) for _ in range(3)]
        self.assertEqual([await each for each in redeeming], [True, False, False])
        uri = (await registrar.inviteContact(self.address("romeo@localhost"))).uri
        token = uri.partition("preauth=")[2].partition(";")[0]
        key = hashOf(token)
        await registrar.records.claim(key, await registrar.records.find(key), "juliet")
        await self.stopServer()
        await self.startServer()
        registrar = self.handlers.registrar
        self.assertFalse(await registrar.redeem("romeo@localhost", token))

    async def test_name(self) -> None:
        """An invitation for a name fills it in, allows no other, and keeps it from others."""
        token, other = await self.invite("tybalt"), await self.invite()
        with self.assertRaises(StanzaError) as caught:
            await self.invite("tybalt")
        self.assertEqual(caught.exception.condition, "conflict")
        client, _ = await self.connect()
        await self.result(client, "set", preauth(other))
        self.assertEqual(await self.result(client, "set", request("tybalt")), "conflict")
        client, _ = await self.connect()
        await self.result(client, "set", preauth(token))
        query = (await self.send(client, "get", GET))[0]
        self.assertEqual(query.findtext(f"{{{ns.REGISTER}}}username"), "tybalt")
        self.assertEqual(await self.result(client, "set", request("other")), "not-acceptable")
        self.assertEqual(await self.result(client, "set", request("tybalt")), "result")

    async def test_contact(self) -> None:
        """Who was invited by a user becomes a contact; the inviter's clients are told at once."""
        romeo = await self.logIn("romeo")
        await self.ask(romeo, "get", f"<query xmlns='{ns.ROSTER}'/>", "romeo@localhost")
        token = await self.invite(subscribe=True)
        client, _ = await self.connect()
        await self.result(client, "set", preauth(token))
        self.assertEqual(await self.result(client, "set", request()), "result")
        push = await bounded(romeo.until(lambda e: e.get("type") == "set"))
        item = push[0][0]
        self.assertEqual((item.get("jid"), item.get("subscription")), ("tybalt@localhost", "both"))
        tybalt = await self.logIn("tybalt")
        roster = (await self.ask(tybalt, "get", f"<query xmlns='{ns.ROSTER}'/>", "tybalt@localhost"))[0]
        self.assertEqual([each.get("jid") for each in roster], ["romeo@localhost"])

    async def test_inviterRemoved(self) -> None:
        """Who has shown the invitation of a user that was removed meanwhile registers, but has no such contact."""
        token = await self.invite(subscribe=True)
        client, _ = await self.connect()
        await self.result(client, "set", preauth(token))
        await self.accounts.remove(self.address("romeo@localhost"), "test")
        self.assertEqual(await self.result(client, "set", request()), "result")
        for account in ("romeo@localhost", "tybalt@localhost"):
            self.assertEqual((await self.components.stores.rosters.load(account)).rows, {})

    async def test_contactWithAccount(self) -> None:
        """Who has an account already becomes a contact of the inviter with the token, once (XEP-0401 §6.3.1)."""
        registrar: Any = self.handlers.registrar
        token = (await registrar.inviteContact(self.address("romeo@localhost"))).uri.partition("preauth=")[2][:24]
        romeo, juliet, nurse = [await self.logIn(name) for name in ("romeo", "juliet", "nurse")]
        for client in (romeo, juliet, nurse):
            await self.ask(client, "get", f"<query xmlns='{ns.ROSTER}'/>", client.full.partition("/")[0])
            client.send("<presence/>")
        inside = f"<preauth xmlns='{ns.PARS}' token='{token}'/>"
        juliet.send(f"<presence type='subscribe' to='romeo@localhost'>{inside}</presence>")
        await bounded(juliet.until(lambda e: e.get("type") == "subscribed"))
        await bounded(juliet.until(lambda e: e.get("type") == "subscribe"))
        juliet.send("<presence type='subscribed' to='romeo@localhost'/>")
        await bounded(romeo.until(lambda e: e.get("type") == "subscribed"))
        rows = (await self.components.stores.rosters.load("romeo@localhost")).rows
        self.assertEqual(rows["juliet@localhost"][1].subscription, "both")  # type: ignore[union-attr]
        nurse.send(f"<presence type='subscribe' to='romeo@localhost'>{inside}</presence>")
        asked = await bounded(romeo.until(lambda e: e.get("type") == "subscribe"))
        self.assertEqual(asked.get("from"), "nurse@localhost")
        # One for an account is none to become a contact.
        token = await self.invite("tybalt", subscribe=True)
        self.assertFalse(await registrar.redeem("romeo@localhost", token))
        self.assertFalse(await registrar.redeem("romeo@localhost", ""))

    async def test_storeFails(self) -> None:
        """While a store fails, the client gets an error, and may try again on the same stream."""
        registrar: Any = self.handlers.registrar
        token = await self.invite()
        client, _ = await self.connect()
        with mock.patch.object(registrar.records._store, "get", lambda *key: fail(StoreUnavailable("test"))):
            self.assertEqual(await self.result(client, "set", preauth(token)), "internal-server-error")
        self.assertEqual(await self.result(client, "set", preauth(token)), "result")
        with mock.patch.object(registrar.records._store, "get", lambda *key: fail(StoreUnavailable("test"))):
            self.assertEqual(await self.result(client, "set", request()), "internal-server-error")
        self.assertEqual(await self.result(client, "set", request()), "result")
        self.assertEqual(len(self.logged.lines(LogLevel.error)), 2)

    async def test_failsAfterwards(self) -> None:
        """Whoever has an account is told so, and the invitation is used, even if a store fails after that."""
        accounts, registrar = cast(Any, self.handlers.accounts), cast(Any, self.handlers.registrar)
        for name, place, request_ in (
            ("tybalt", accounts.records, "clearTombstone"), ("mercutio", registrar.records, "remove"),
        ):  # fmt: skip
            token = await self.invite()
            client, _ = await self.connect()
            self.assertEqual(await self.result(client, "set", preauth(token)), "result")
            with mock.patch.object(place, request_, lambda *arguments: fail(StoreUnavailable("test"))):
                self.assertEqual(await self.result(client, "set", request(name)), "result")
            self.assertEqual(await self.result(client, "set", request("paris")), "not-acceptable")
            client, _ = await self.connect()
            self.assertEqual(await self.result(client, "set", preauth(token)), "item-not-found")
            await self.logIn(name)

    async def test_expired(self) -> None:
        """An expired token is refused; one that was accepted in time may be used after that (XEP-0445 §5)."""
        registrar: Any = self.handlers.registrar
        tokens = [await self.invite() for _ in range(2)]
        client, _ = await self.connect()
        await self.result(client, "set", preauth(tokens[0]))
        registrar.records._now = lambda: self.accounts.parent.now() + 61
        late, _ = await self.connect()
        for token in tokens:
            self.assertEqual(await self.result(late, "set", preauth(token)), "item-not-found")
        self.assertEqual(await self.result(client, "set", request()), "result")

    async def test_stored(self) -> None:
        """Invitations outlive the server, which stores hashes only; with their inviter they become void."""
        token, other = await self.invite(), await self.invite(inviter="juliet@localhost")
        await self.stopServer()
        with open(self.file.file("muccore.db"), "rb") as file:
            self.assertNotIn(token.encode(), file.read())
        await self.startServer()
        await self.accounts.remove(self.address("juliet@localhost"), "test")
        client, _ = await self.connect()
        self.assertEqual(await self.result(client, "set", preauth(other)), "item-not-found")
        self.assertEqual(await self.result(client, "set", preauth(token)), "result")

    async def test_interrupted(self) -> None:
        """If the server has ended after the account was created, the invitation has been used."""
        registrar: Any = self.handlers.registrar
        token = await self.invite()
        [key] = await registrar.records._store.keys("localhost", INVITATION)
        await registrar.records.claim(key, await registrar.records._load(key), "juliet")
        await self.stopServer()
        await self.startServer()
        client, _ = await self.connect()
        self.assertEqual(await self.result(client, "set", preauth(token)), "item-not-found")

    async def test_tooMany(self) -> None:
        """One user has so many invitations that can be used."""
        for _ in range(20):
            await self.invite()
        with self.assertRaises(StanzaError) as caught:
            await self.invite()
        self.assertEqual(caught.exception.condition, "resource-constraint")
        await self.invite(inviter="juliet@localhost")

    async def test_tooManyAtOnce(self) -> None:
        """Whoever asks for many at the same time gets no more; one name is kept for one of them."""
        for make, allowed in ((self.invite, 20), (partial(self.invite, "tybalt", inviter="juliet@localhost"), 1)):
            asking = [Deferred.fromCoroutine(make()) for _ in range(25)]
            outcomes = await DeferredList(asking, consumeErrors=True)
            self.assertEqual(sum(succeeded for succeeded, _ in outcomes), allowed)


class SeparateStoresTests(RegistrationTestCase):
    """Two hosts, each with a store of its own."""

    sections: ClassVar = {
        "registration": {"mode": "invited"}, "host other.example": {"accounts": "sqlite:other.db"},
    }  # fmt: skip

    async def test_inviterRemoved(self) -> None:
        """Invitations to another host are void when the account of the inviter is removed there."""
        other = self.components.hosts[1].handlers.accounts
        assert other is not None
        paris = self.address("paris@other.example")
        await other.create(paris, PASSWORD, "test")
        token, kept = await self.invite(inviter="paris@other.example"), await self.invite()
        await other.remove(paris, "test")
        client, _ = await self.connect()
        self.assertEqual(await self.result(client, "set", preauth(token)), "item-not-found")
        self.assertEqual(await self.result(client, "set", preauth(kept)), "result")

# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.stream.sasl2.fast}."""

from __future__ import annotations

import hmac
from base64 import b64decode
from typing import Any

from lxml import etree
from twisted.internet.defer import fail, succeed

from muccore.interfaces import StoreUnavailable
from muccore.storage.memoryuserdata import MemoryUserData
from muccore.stream.features import StreamFeatures
from muccore.stream.negotiation import Negotiation
from muccore.stream.sasl.anonymous import anonymous
from muccore.stream.sasl.mechanisms import MECHANISMS, SASL
from muccore.stream.sasl.tokens import LIFETIME, ROTATION, Tokens
from muccore.stream.starttls import OFF
from muccore.xmpp import ns
from muccore.xmpp.datetimes import parseStamp
from muccore.xmpp.guestnames import isGuestName
from muccore.xmpp.jid import parse
from muccore.xmpp.scramkeys import ScramKeys
from tests.stream.clients import ScramClient
from tests.stream.doubles import DOMAIN, TLS
from tests.stream.sasl2.helpers import AGENT, AGENT_ID, BIND2, SASL2Case, authenticate, element, encoded, failure

NONE, EXPR, ENDP = "HT-SHA-256-NONE", "HT-SHA-256-EXPR", "HT-SHA-256-ENDP"
BINDINGS = {NONE: b"", EXPR: b"x", ENDP: b"y"}
FAST = "<fast xmlns='urn:xmpp:fast:0'/>"


def request(mechanism: str = EXPR) -> str:
    """Ask for a token."""
    return f"<request-token xmlns='urn:xmpp:fast:0' mechanism='{mechanism}'/>"


def hashed(secret: str, mechanism: str = EXPR, role: bytes = b"Initiator") -> bytes:
    """The hash that the client or the server sends (draft-schmaus-kitten-sasl-ht §3)."""
    return hmac.digest(secret.encode(), role + BINDINGS[mechanism], "sha256")


class FastCase(SASL2Case):
    """A negotiation with tokens."""

    def setUp(self) -> None:
        """Make the tokens, once for all negotiations of a test."""
        super().setUp()
        if not hasattr(self, "tokens"):
            self.now = 1_000_000.0
            self.store = MemoryUserData()
            self.store.open()
            self.tokenAccounts = self.accounts
            self.tokens = Tokens(self.store, self.accounts, lambda: self.now)
            self.keys = self.accounts.keys
        self.accounts.keys = self.keys
        self.sasl = SASL(self.accounts, DOMAIN, False, b"s", tokens=self.tokens)
        self.features = StreamFeatures(DOMAIN, self.sasl, self.binder, TLS(), OFF, 3)  # type: ignore[arg-type]
        self.negotiation = Negotiation(self.host, self.features, True)

    def success(self, data: bytes) -> etree._Element:
        """Log in; return the success."""
        [success] = [each for each in self.logIn(data) if isinstance(each, bytes) and each.startswith(b"<success")]
        return etree.fromstring(success)

    def token(self, data: bytes) -> str | None:
        """Log in; return the token in the success, if there is one."""
        token = self.success(data).find(f"{{{ns.FAST}}}token")
        if token is None:
            return None
        self.assertEqual(parseStamp(token.get("expiry") or ""), self.now + self.tokens.lifetime)
        return token.get("token")

    def obtain(self, mechanism: str = EXPR) -> str:
        """Log in with the password, for a token."""
        token = self.token(authenticate(AGENT + request(mechanism)))
        assert token is not None
        return token

    def fast(
        self, secret: str, more: str = AGENT + FAST, mechanism: str = EXPR, user: str = "romeo", used: str = ""
    ) -> bytes:
        """Render a log-in by a token."""
        initial = user.encode() + b"\0" + hashed(secret, used or mechanism)
        return authenticate(more, mechanism=mechanism, initial=initial)


class RequestTests(FastCase):
    """XEP-0484 §3.1 to §3.3"""

    def test_offered(self) -> None:
        """The mechanisms whose channel binding there is, inside SASL2."""
        for bindings, names in ((TLS().made, [EXPR, ENDP, NONE]), (None, [NONE])):
            offered = self.features.offer(self.stage, True, bindings)  # type: ignore[arg-type]
            inside = "".join(f"<mechanism>{name}</mechanism>" for name in names)
            self.assertIn(f"<fast xmlns='urn:xmpp:fast:0'>{inside}</fast></inline>".encode(), offered)

    @property
    def stage(self) -> Any:
        """The stage of log-ins."""
        return next(each.stage for each in self.features._features if each.order == 210)

    def test_token(self) -> None:
        """A client with an id gets a token with its success, and logs in with it, for each mechanism."""
        for mechanism in (NONE, EXPR, ENDP):
            token = self.obtain(mechanism)
            success = self.success(self.fast(token, AGENT + FAST + BIND2, mechanism))
            data = success.findtext(f"{{{ns.SASL2}}}additional-data")
            self.assertEqual(b64decode(data or ""), hashed(token, mechanism, b"Responder"))
            self.assertIsNone(success.find(f"{{{ns.FAST}}}token"))
            self.assertEqual(self.negotiation.login.mechanism, mechanism)
            self.assertEqual(len(self.binder.sessions), 1)

    def test_none(self) -> None:
        """Without an id, or for a mechanism that is not offered, there is no token, but a log-in."""
        for more in (
            request(),
            "<user-agent><software>x</software></user-agent>" + request(),
            AGENT + request("HT-SHA-256-UNIQ"),
            AGENT + request("PLAIN"),
            AGENT + "<request-token xmlns='urn:xmpp:fast:0'/>",
            AGENT,
        ):
            self.assertIsNone(self.token(authenticate(more)))
        self.assertFailed("not-authorized", authenticate(AGENT + request(), password="wrong"))
        self.assertEqual(self.successResultOf(self.store.keys("romeo@example.org", "fast")), [])

    def test_unavailable(self) -> None:
        """If the token cannot be stored, the client has logged in all the same."""
        self.patch(self.store, "change", lambda *ignored: fail(StoreUnavailable("no disk")))
        self.assertIsNone(self.token(authenticate(AGENT + request())))

    def test_scram(self) -> None:
        """A token can be had with any mechanism."""
        client = ScramClient("sha1", "romeo", "secret")
        [challenge] = self.logIn(authenticate(AGENT + request(), mechanism="SCRAM-SHA-1", initial=client.first()))
        data = b64decode(etree.fromstring(challenge).text or "")
        log = self.send(element("response", encoded(client.final(data))))
        self.assertIn(b"<token xmlns='urn:xmpp:fast:0' ", b"".join(each for each in log if isinstance(each, bytes)))

    def test_passwordChanged(self) -> None:
        """
        Who has begun a log-in with the old password, and ends it after that was changed, gets no token: it would be
        valid with the new one.
        """
        client = ScramClient("sha1", "romeo", "secret")
        [challenge] = self.logIn(authenticate(AGENT + request(), mechanism="SCRAM-SHA-1", initial=client.first()))
        data = b64decode(etree.fromstring(challenge).text or "")
        self.tokenAccounts.keys = ScramKeys.derive("SHA-1", "another", iterations=2)
        log = self.send(element("response", encoded(client.final(data))))
        self.assertNotIn(b"<token", b"".join(each for each in log if isinstance(each, bytes)))
        self.assertEqual(self.successResultOf(self.store.keys("romeo@example.org", "fast")), [])

    def test_passwordChangedMeanwhile(self) -> None:
        """A token is not replaced if the password is changed while its client logs in."""
        token = self.obtain()
        self.now += ROTATION
        change = self.store.change

        def changed(*arguments: Any) -> Any:
            self.tokenAccounts.keys = ScramKeys.derive("SHA-1", "another", iterations=2)
            return change(*arguments)

        self.patch(self.store, "change", changed)
        self.assertIsNone(self.token(self.fast(token)))
        self.assertFailed("credentials-expired", self.fast(token))


class LogInTests(FastCase):
    """XEP-0484 §3.4 to §3.6"""

    def test_refused(self) -> None:
        """What is not the token of this client and mechanism is refused, and what is malformed."""
        token = self.obtain()
        other = AGENT.replace(AGENT_ID, AGENT_ID[:-1] + "1") + FAST
        for condition, data in (
            ("not-authorized", self.fast("guess")),
            ("not-authorized", self.fast(token, user="juliet")),
            ("not-authorized", self.fast(token, user="a b")),
            ("not-authorized", self.fast(token, other)),
            ("not-authorized", self.fast(token, mechanism=ENDP)),
            ("not-authorized", self.fast(token, used=ENDP)),
            ("not-authorized", self.fast(token, mechanism=NONE, used=NONE)),
            ("invalid-mechanism", self.fast(token, AGENT)),
            ("invalid-mechanism", authenticate(AGENT + FAST)),
            ("invalid-mechanism", self.fast(token, mechanism="HT-SHA-256-UNIQ", used=EXPR)),
            ("malformed-request", self.fast(token, FAST)),
            ("malformed-request", self.fast(token, AGENT + FAST.replace("/>", " count='0'/>"))),
            ("malformed-request", self.fast(token, AGENT + FAST.replace("/>", " count='-1'/>"))),
            ("malformed-request", self.fast(token, AGENT + FAST.replace("/>", " count='x'/>"))),
            ("malformed-request", self.fast(token, AGENT + FAST.replace("/>", " invalidate='yes'/>"))),
            ("malformed-request", authenticate(AGENT + FAST, mechanism=EXPR, initial=b"romeo")),
            ("malformed-request", authenticate(AGENT + FAST, mechanism=EXPR, initial=b"romeo\0")),
            ("malformed-request", authenticate(AGENT + FAST, mechanism=EXPR, initial=b"\0" + hashed(token))),
            ("malformed-request", authenticate(AGENT + FAST, mechanism=EXPR, initial=b"\xff\0" + hashed(token))),
        ):
            self.assertFailed(condition, data)
        self.assertEqual(self.negotiation.login.claimed, None)
        self.success(self.fast(token))

    def test_claimed(self) -> None:
        """The user name of a failed log-in is known for the log."""
        self.assertFailed("not-authorized", self.fast("guess", user="Juliet"))
        self.assertEqual(self.negotiation.login.claimed, "Juliet")

    def test_rotation(self) -> None:
        """An old token is replaced without being asked for; a client that does not get it keeps the old one."""
        token = self.obtain()
        self.assertIsNone(self.token(self.fast(token)))
        self.now += ROTATION
        lost = self.token(self.fast(token))
        self.assertIsNotNone(lost)
        new = self.token(self.fast(token))
        assert new is not None
        self.assertNotIn(new, (lost, token))
        self.assertIsNone(self.token(self.fast(new)))
        self.assertFailed("not-authorized", self.fast(token))

    def test_requestedAgain(self) -> None:
        """A client may ask for a token of another mechanism, by the one that it has."""
        token = self.obtain(NONE)
        new = self.token(self.fast(token, AGENT + FAST + request(EXPR), NONE))
        assert new is not None
        self.assertIsNone(self.token(self.fast(new, mechanism=EXPR)))

    def test_expired(self) -> None:
        """An expired token is not accepted, and the client may log in otherwise."""
        token = self.obtain()
        self.now += LIFETIME
        self.assertFailed("credentials-expired", self.fast(token))
        self.assertTrue(self.send(authenticate())[2].startswith(b"<success"))

    def test_count(self) -> None:
        """A counter must grow."""
        token = self.obtain()
        counted = [AGENT + FAST.replace("/>", f" count='{n}'/>") for n in (1, 2)]
        self.success(self.fast(token, counted[1]))
        for more in counted:
            self.assertFailed("not-authorized", self.fast(token, more))

    def test_invalidate(self) -> None:
        """A token that is given back is not replaced, unless another one is asked for."""
        for value in ("1", "true"):
            token = self.obtain()
            self.now += ROTATION
            end = FAST.replace("/>", f" invalidate='{value}'/>")
            self.assertIsNone(self.token(self.fast(token, AGENT + end)))
            self.assertFailed("not-authorized", self.fast(token))
            token = self.obtain()
            new = self.token(self.fast(token, AGENT + end + request()))
            self.assertFailed("not-authorized", self.fast(token))
            self.success(self.fast(new or ""))

    def test_disabled(self) -> None:
        """A disabled account gets no token: nothing is stored for it."""
        self.begin()
        self.features.access.disabled.add(f"romeo@{DOMAIN}")
        self.assertTrue(self.send(authenticate(AGENT + request()))[-1].startswith(failure("account-disabled")))
        self.assertEqual(self.successResultOf(self.store.keys(f"romeo@{DOMAIN}", "fast")), [])

    def test_off(self) -> None:
        """Without tokens nothing is offered, and a log-in by one is refused."""
        token = self.obtain()
        self.begin()
        self.features = StreamFeatures(
            DOMAIN, SASL(self.accounts, DOMAIN, False), self.binder, TLS(), OFF  # type: ignore[arg-type]
        )
        self.negotiation = Negotiation(self.host, self.features, True)
        self.assertNotIn(b"fast", self.open())
        self.assertTrue(self.send(self.fast(token))[1].startswith(failure("invalid-mechanism")))


class GuestTests(FastCase):
    """
    Guests (SASL ANONYMOUS) who log in by SASL2.

    @ivar room: whether there is room for another one.
    """

    room = True

    def setUp(self) -> None:
        """Let guests in."""
        super().setUp()
        # A backend that says of everybody that they exist.
        self.patch(self.accounts, "hashes", frozenset())
        self.patch(self.accounts, "hasAccount", lambda account: succeed(True))
        self.tokens.guests = True
        table = [*MECHANISMS, anonymous(lambda: self.room)]
        sasl = SASL(self.accounts, DOMAIN, False, b"s", table=table, tokens=self.tokens)
        self.features = StreamFeatures(DOMAIN, sasl, self.binder, TLS(), OFF, 3)  # type: ignore[arg-type]
        self.negotiation = Negotiation(self.host, self.features, True)

    def guest(self, more: str = AGENT + BIND2) -> bytes:
        """Render the log-in of a guest."""
        return authenticate(more, mechanism="ANONYMOUS", initial=b"")

    def test_session(self) -> None:
        """A guest gets a name and a session in one step, each a name of their own, and no token."""
        names = set()
        for _ in range(2):
            success = self.success(self.guest(AGENT + BIND2 + request()))
            full = parse(success.findtext(f"{{{ns.SASL2}}}authorization-identifier") or "")
            self.assertTrue(isGuestName(full.local))
            self.assertEqual((full.domain, bool(full.resource)), (DOMAIN, True))
            self.assertIsNotNone(success.find(f"{{{ns.BIND2}}}bound"))
            self.assertIsNone(success.find(f"{{{ns.FAST}}}token"))
            self.assertEqual(self.successResultOf(self.store.keys(full.bare, "fast")), [])
            names.add(full.local)
        self.assertEqual(len(names), 2)

    def test_offered(self) -> None:
        """The mechanism is offered, last."""
        self.assertIn(b"<mechanism>ANONYMOUS</mechanism><inline>", self.open())

    def test_full(self) -> None:
        """Too many guests are refused for the time being, and may try again."""
        self.room = False
        self.assertFailed("temporary-auth-failure", self.guest())

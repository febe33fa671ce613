# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.stream.sasl2.upgrade}."""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64decode
from typing import Any

from lxml import etree
from twisted.internet.defer import fail, succeed

from muccore.interfaces import StoreUnavailable
from muccore.storage.memory import MemoryAccounts
from muccore.storage.memoryuserdata import MemoryUserData
from muccore.stream.features import StreamFeatures
from muccore.stream.negotiation import Negotiation
from muccore.stream.sasl.mechanisms import SASL
from muccore.stream.sasl.tokens import Tokens
from muccore.stream.starttls import OFF
from muccore.stream.states import State
from muccore.testing.doubles import ThreadlessReactor
from muccore.xmpp import ns
from muccore.xmpp.errors import StanzaError, StreamError
from muccore.xmpp.scramkeys import ITERATIONS, ScramKeys
from tests.stream.clients import ScramClient
from tests.stream.doubles import DOMAIN, TLS
from tests.stream.sasl2.helpers import AGENT, BIND2, SASL2Case, authenticate, element, encoded, failure

ROMEO = "romeo@example.org"
UPGRADES = [f"UPGR-SCRAM-SHA-{size}" for size in (256, 512)]


def upgrade(*names: str) -> str:
    """Ask for tasks."""
    return "".join(f"<upgrade xmlns='urn:xmpp:sasl:upgrade:0'>{name}</upgrade>" for name in names)


def data(content: str) -> bytes:
    """Render the C{<hash/>} of a client."""
    return element("task-data", f"<hash xmlns='urn:xmpp:scram-upgrade:0'>{content}</hash>")


class UpgradeTests(SASL2Case):
    """An account with keys for SHA-1 only."""

    def setUp(self) -> None:
        """Create it."""
        super().setUp()
        self.stored: Any = MemoryAccounts(ThreadlessReactor())
        self.stored.open()
        self.stored.create(ROMEO, "secret")
        for hashName in ("SHA-256", "SHA-512"):
            del self.stored._keys[ROMEO][hashName]
        self.stored.missingHashes = frozenset(["SHA-256", "SHA-512"])
        self.userData = MemoryUserData()
        self.userData.open()
        self.configure()

    def configure(self) -> None:
        """Begin a negotiation with the accounts as they are now."""
        self.tokens = Tokens(self.userData, self.stored, lambda: 1000.0)
        login = SASL(self.stored, DOMAIN, False, b"s", tokens=self.tokens)
        self.features = StreamFeatures(DOMAIN, login, self.binder, TLS(), OFF, 3)  # type: ignore[arg-type]
        self.negotiation = Negotiation(self.host, self.features, True)

    def scram(self, more: str) -> list[Any]:
        """Log in with SCRAM; what was sent and called for the last message."""
        client = ScramClient("sha1", "romeo", "secret")
        log = self.send(authenticate(more, mechanism="SCRAM-SHA-1", initial=client.first()))
        challenge = b64decode(etree.fromstring(log[1]).text or "")
        log = self.send(element("response", encoded(client.final(challenge))))
        self.client = client
        return log[1:]

    def perform(self, name: str) -> list[Any]:
        """Perform a task; what was sent for the last message."""
        [answer] = self.send(element("next", task=name))[1:]
        self.assertIs(self.negotiation.state, State.PERFORMING)
        salt = etree.fromstring(answer).find(f"{{{ns.SCRAM_UPGRADE}}}salt")
        assert salt is not None
        self.assertEqual(salt.get("iterations"), str(ITERATIONS))
        algorithm = name.removeprefix("UPGR-SCRAM-").replace("-", "").lower()
        self.salt = b64decode(salt.text or "")
        salted = hashlib.pbkdf2_hmac(algorithm, b"secret", self.salt, ITERATIONS)
        return self.send(data(encoded(salted)))[1:]

    def keys(self, hashName: str) -> ScramKeys | None:
        """The keys of the account."""
        found: ScramKeys | None = self.successResultOf(self.stored.scramKeys(ROMEO, hashName))
        return found

    def test_offered(self) -> None:
        """Tasks for what some account has not are offered beside the mechanisms."""
        self.assertIn(f"</inline>{upgrade(*UPGRADES)}</authentication>".encode(), self.open())
        self.stored.missingHashes = frozenset()
        self.configure()
        self.assertNotIn(b"UPGR", self.open())

    def test_upgraded(self) -> None:
        """Two tasks, one after the other; then the session is bound, and the client gets its token."""
        self.open()
        token = "<request-token xmlns='urn:xmpp:fast:0' mechanism='HT-SHA-256-NONE'/>"
        [offer] = self.scram(AGENT + BIND2 + token + upgrade(*UPGRADES, UPGRADES[0], "UPGR-X"))
        found = etree.fromstring(offer)
        self.assertEqual(found.tag, f"{{{ns.SASL2}}}continue")
        self.client.verify(b64decode(found.findtext(f"{{{ns.SASL2}}}additional-data") or ""))
        self.assertEqual([each.text for each in found.iter(f"{{{ns.SASL2}}}task")], [UPGRADES[0]])
        self.assertEqual(self.binder.asked, [])
        [offer] = self.perform(UPGRADES[0])
        self.assertEqual(
            offer, f"<continue xmlns='{ns.SASL2}'><tasks><task>{UPGRADES[1]}</task></tasks></continue>".encode()
        )
        self.assertEqual(self.keys("SHA-256"), ScramKeys.derive("SHA-256", "secret", self.salt))
        log = self.perform(UPGRADES[1])
        self.assertEqual(self.keys("SHA-512"), ScramKeys.derive("SHA-512", "secret", self.salt))
        success = etree.fromstring(log[1])
        names = [etree.QName(each).localname for each in success]
        self.assertEqual(names, ["authorization-identifier", "bound", "token"])
        self.assertIs(self.negotiation.state, State.BOUND)
        self.assertEqual(self.stored.hashes, {"SHA-1", "SHA-256", "SHA-512"})

    def test_notNeeded(self) -> None:
        """What the account has, or nobody offers, is not made again."""
        self.stored._keys[ROMEO]["SHA-256"] = ScramKeys.derive("SHA-256", "secret")
        for wanted in ([UPGRADES[0]], ["UPGR-SCRAM-SHA-1"], [""], []):
            self.open()
            self.assertTrue(self.scram(upgrade(*wanted))[1].startswith(b"<success"))
            self.host.log = ["startTLS"]
            self.configure()

    def test_otherMechanisms(self) -> None:
        """With the password itself there is nothing to do; who has a token may not set a password."""
        self.open()
        log = self.send(authenticate(AGENT + upgrade(UPGRADES[1])))
        self.assertTrue(log[2].startswith(b"<success"))
        self.assertIsNotNone(self.keys("SHA-512"))
        self.setUp()
        self.open()
        more = "<request-token xmlns='urn:xmpp:fast:0' mechanism='HT-SHA-256-NONE'/>"
        success = etree.fromstring(self.scram(AGENT + more)[1])
        token = success[-1].get("token") or ""
        self.host.log = ["startTLS"]
        self.configure()
        self.open()
        proof = b"romeo\0" + hmac.digest(token.encode(), b"Initiator", "sha256")
        fast = AGENT + "<fast xmlns='urn:xmpp:fast:0'/>" + upgrade(UPGRADES[1])
        log = self.send(authenticate(fast, mechanism="HT-SHA-256-NONE", initial=proof))
        self.assertTrue(log[2].startswith(b"<success"), log)
        self.assertIsNone(self.keys("SHA-512"))

    def test_failed(self) -> None:
        """A task that fails ends the log-in, and no other one is possible on this stream (XEP-0388 §4.9)."""
        other = succeed(False)
        broken = fail(StoreUnavailable("no disk"))
        for condition, performed, result in (
            ("malformed-request", [element("next", task=UPGRADES[0])], None),
            ("malformed-request", [element("next")], None),
            ("aborted", [element("abort")], None),
            ("aborted", [element("next", task=UPGRADES[1]), element("abort")], None),
            ("malformed-request", [element("next", task=UPGRADES[1]), element("task-data")], None),
            ("malformed-request", [element("next", task=UPGRADES[1]), data("")], None),
            ("malformed-request", [element("next", task=UPGRADES[1]), data(encoded(bytes(32)))], None),
            ("incorrect-encoding", [element("next", task=UPGRADES[1]), data("?")], None),
            ("credentials-expired", [element("next", task=UPGRADES[1]), data(encoded(bytes(64)))], other),
            ("temporary-auth-failure", [element("next", task=UPGRADES[1]), data(encoded(bytes(64)))], broken),
        ):
            self.setUp()
            if result is not None:
                self.patch(self.stored, "addKeys", lambda *ignored, result=result: result)
            self.open()
            self.scram(BIND2 + upgrade(UPGRADES[1]))
            self.assertIs(self.negotiation.state, State.CONTINUING)
            answer = self.send(*performed)[-1]
            self.assertTrue(answer.startswith(failure(condition)), (condition, answer))
            self.assertEqual((self.host.failures, self.binder.asked), ([condition], []))
            self.assertIs(self.negotiation.state, State.REFUSED)
            with self.assertRaises(StreamError):
                self.send(authenticate())
        self.flushLoggedErrors()

    def test_noSession(self) -> None:
        """So does a session that cannot be bound after a task; the keys are there."""
        self.binder.raises = StanzaError("resource-constraint")
        self.open()
        self.scram(BIND2 + upgrade(UPGRADES[1]))
        [answer] = self.perform(UPGRADES[1])
        self.assertTrue(answer.startswith(failure("temporary-auth-failure")))
        self.assertIn(b"<resource-constraint ", answer)
        self.assertIs(self.negotiation.state, State.REFUSED)
        self.assertIsNotNone(self.keys("SHA-512"))

    def test_unexpected(self) -> None:
        """Anything else ends the stream, a second log-in in particular."""
        for begun in ([], [element("next", task=UPGRADES[1])]):
            for wrong in (authenticate(), element("response", "eA=="), b"<message/>", element("success")):
                self.setUp()
                self.open()
                self.scram(upgrade(UPGRADES[1]))
                self.send(*begun)
                self.assertStreamError("not-authorized", wrong)
            self.setUp()
            self.open()
            self.scram(upgrade(UPGRADES[1]))
            self.assertStreamError("not-authorized", *begun, *begun, data(""), data(""))

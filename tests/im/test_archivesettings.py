# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.im.archivesettings} (XEP-0441)."""

from __future__ import annotations

from muccore.im import archivesettings
from muccore.im.archivesettings import KIND
from muccore.interfaces import RosterChange, RosterItem
from muccore.testing.inmemory import Client, parseStanza
from muccore.xmpp import ns
from muccore.xmpp.jid import parse
from muccore.xmpp.rendering import render
from tests.im.archivehelpers import JULIET, ROMEO, AccountArchiveTestCase


def prefs(default: str, always: str = "", never: str = "") -> str:
    """What a client sends and gets."""

    def listed(name: str, addresses: str) -> str:
        inside = "".join(f"<jid>{address}</jid>" for address in addresses.split())
        return f"<{name}>{inside}</{name}>" if inside else f"<{name}/>"

    return f"<prefs xmlns='{ns.MAM}' default='{default}'>{listed('always', always)}{listed('never', never)}</prefs>"


class SettingTests(AccountArchiveTestCase):
    """Preferences of Romeo."""

    def set(self, *arguments: str, client: Client | None = None) -> str:
        """Set them; return the answer."""
        (client or self.romeo).received()
        answer = self.ask(client or self.romeo, "set", prefs(*arguments))
        return "".join(render(child, None).decode() for child in answer.childElements())

    def get(self, client: Client | None = None) -> str:
        """Get them."""
        (client or self.romeo).received()
        [payload] = self.ask(client or self.romeo, "get", f"<prefs xmlns='{ns.MAM}'/>").childElements()
        return render(payload, None).decode()

    def makeContact(self, account: str, contact: str) -> None:
        """Put somebody into a roster."""
        rows = {contact: RosterItem(subscription="none")}
        self.successResultOf(self.server.rosters._store.change(account, RosterChange("e", 1, 0, rows)))

    def test_default(self) -> None:
        """Who has said nothing gets the default of the server, and what happens."""
        self.assertEqual(self.get(), prefs("always"))
        self.archive.default = "never"
        self.assertEqual(self.get(), prefs("never"))
        self.say("a")
        self.assertEqual(self.bodies(ROMEO), [])

    def test_set(self) -> None:
        """What is set is answered and done, for what is sent and what is received, and for that account alone."""
        juliet = self.appear("juliet/balcony")
        self.romeo.sends("<presence/>")
        wanted = prefs("always", "", f"{JULIET}/balcony nurse@localhost")
        self.assertEqual(self.set("always", "nurse@localhost", f"{JULIET}/balcony nurse@localhost"), wanted)
        self.assertEqual(self.get(), wanted)
        self.assertEqual(self.get(juliet), prefs("always"))
        self.say("a")
        self.say("b", f"{JULIET}/balcony")
        self.say("c", "nurse@localhost")
        self.say("d", ROMEO, sender=juliet)
        self.assertEqual(self.bodies(ROMEO), ["a"])
        self.assertEqual(self.bodies(JULIET), ["a", "b", "d"])
        received = self.romeo.received()
        self.assertNotIn(b"stanza-id", b"".join(map(render, received)))

    def test_never(self) -> None:
        """Nothing is archived but for what is listed."""
        self.set("never", "nurse@localhost")
        self.say("a")
        self.say("b", "nurse@localhost")
        self.assertEqual(self.bodies(ROMEO), ["b"])

    def test_notLoaded(self) -> None:
        """Of messages past the filters nothing is archived while it is not known what the user wants."""
        self.set("never")
        message = parseStanza("<message type='chat' from='room@conference.localhost/n'><body>a</body></message>")
        self.assertEqual(self.archive.receive(message, b"", parse(JULIET)), b"")
        self.appear("juliet")
        self.assertNotEqual(self.archive.receive(message, b"", parse(JULIET)), b"")
        self.assertEqual(self.archive.receive(message, b"", parse(ROMEO)), b"")
        self.assertEqual((self.bodies(JULIET), self.items(ROMEO)), (["a"], []))

    def test_offline(self) -> None:
        """It applies to messages while nobody is there, and in a later session."""
        self.set("never")
        self.romeo.dropConnection()
        self.server.clock.advance(100)
        juliet = self.appear("juliet")
        self.say("a", ROMEO, sender=juliet)
        self.assertEqual(self.bodies(ROMEO), [])
        [self.romeo] = self.login("romeo")
        self.romeo.sends("<presence/>")
        self.assertEqual([each for each in self.romeo.received() if "stanza-id" in each.toXml()], [])
        self.say("b", ROMEO, sender=juliet)
        self.assertEqual(self.bodies(ROMEO), [])
        self.assertEqual(self.get(), prefs("never"))

    def test_roster(self) -> None:
        """Contacts only, by their bare JIDs, whether the user is there or not, and as the roster changes."""
        self.makeContact(ROMEO, JULIET)
        juliet, nurse = self.appear("juliet"), self.appear("nurse")
        self.assertEqual(self.set("roster"), prefs("roster"))
        for name in ("juliet", "nurse"):
            self.say(f"to {name}", f"{name}@localhost/pc")
        self.assertEqual(self.bodies(ROMEO), ["to juliet"])
        self.romeo.dropConnection()
        self.server.clock.advance(100)
        for client, name in ((juliet, "juliet"), (nurse, "nurse")):
            self.say(f"by {name}", ROMEO, sender=client)
        self.assertEqual(self.bodies(ROMEO), ["to juliet", "by juliet"])
        # Without presence, too.
        [self.romeo] = self.login("romeo")
        for name in ("juliet", "nurse"):
            self.say(f"again to {name}", f"{name}@localhost")
        self.assertEqual(self.bodies(ROMEO)[2:], ["again to juliet"])

    def test_durableFirst(self) -> None:
        """It is answered, and done, when it is stored."""
        self.get()
        self.store.slow = True
        self.romeo.sends(f"<iq type='set' id='1'>{prefs('never')}</iq>")
        self.assertEqual(self.romeo.received(), [])
        self.say("a", "x@elsewhere.example")
        self.assertEqual(self.bodies(ROMEO), ["a"])
        self.store.release()
        [answer] = self.romeo.received()
        self.assertEqual(answer["type"], "result")
        self.say("b", "x@elsewhere.example")
        self.assertEqual(self.bodies(ROMEO), ["a"])

    def test_storeFails(self) -> None:
        """If it cannot be stored, nothing changes."""
        self.get()
        self.store.failing = True
        self.assertEqual(self.outcome(self.romeo, "set", prefs("never")), "internal-server-error")
        self.store.failing = False
        self.assertEqual(self.get(), prefs("always"))

    def test_invalid(self) -> None:
        """What is refused changes nothing."""
        self.assertEqual(self.outcome(self.romeo, "set", prefs("never", "@")), "jid-malformed")
        self.assertEqual(self.outcome(self.romeo, "set", prefs("x")), "bad-request")
        self.assertEqual(self.successResultOf(self.store.keys(ROMEO, KIND)), [])

    def test_removed(self) -> None:
        """The document ends with the account."""
        self.set("never")
        self.assertEqual(len(self.successResultOf(self.store.keys(ROMEO, KIND))), 1)
        self.successResultOf(self.store.removeAccount(ROMEO))
        self.assertEqual(self.successResultOf(self.store.keys(ROMEO, KIND)), [])


class DefaultRosterTests(AccountArchiveTestCase):
    """A server whose default is the roster."""

    default = "roster"
    makeContact = SettingTests.makeContact

    def test_roster(self) -> None:
        """It needs no preferences of a user."""
        self.makeContact(JULIET, ROMEO)
        self.appear("juliet")
        self.say("a")
        self.assertEqual(self.bodies(JULIET), ["a"])
        self.assertEqual(self.bodies(ROMEO), [])


class WithoutDocumentsTests(AccountArchiveTestCase):
    """A server that stores no documents of users."""

    def test_refused(self) -> None:
        """There are no preferences (§2.1)."""
        for handler in self.server.users:
            if type(handler).__name__ == "ArchiveSettingsHandler":
                handler._states = None
        for type_, payload in (("get", f"<prefs xmlns='{ns.MAM}'/>"), ("set", prefs("never"))):
            self.assertEqual(self.outcome(self.romeo, type_, payload), "feature-not-implemented")


class BoundsTests(AccountArchiveTestCase):
    """Requests that wait for each other."""

    def setUp(self) -> None:
        """Let little wait."""
        self.patch(archivesettings, "WAITING_LIMIT", 12_000)
        super().setUp()

    def test_bounded(self) -> None:
        """Those above the limit are refused."""
        self.romeo.sends("<presence/>")
        self.romeo.received()
        self.store.slow = True
        for id in "1234":
            self.romeo.sends(f"<iq type='set' id='{id}'>{prefs('never', JULIET)}</iq>")
        self.assertEqual(self.received(self.romeo), ["iq 4 resource-constraint"])
        self.store.release()
        self.assertEqual(self.received(self.romeo), ["iq 1 result", "iq 2 result", "iq 3 result"])

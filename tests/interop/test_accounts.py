# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{tests.interop.accounts}, as far as the suite relies on it."""

from __future__ import annotations

from twisted.internet.defer import Deferred, fail, succeed
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from muccore.interfaces import IAccountStore, NoSuchUser, UserExists
from muccore.testing.inmemory import InMemoryServer
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from tests.interop.accounts import ADMIN, Accounts


@implementer(IAccountStore)
class _Store:
    """Accounts and their passwords in a dictionary."""

    def __init__(self) -> None:
        self.passwords: dict[str, str] = {}

    def create(self, account: str, password: str) -> Deferred[None]:
        """See L{IAccountStore.create}."""
        if account in self.passwords:
            return fail(UserExists(account))
        self.passwords[account] = password
        return succeed(None)

    def delete(self, account: str) -> Deferred[None]:
        """See L{IAccountStore.delete}."""
        if self.passwords.pop(account, None) is None:
            return fail(NoSuchUser(account))
        return succeed(None)


class AccountsTests(SynchronousTestCase):
    """The two commands."""

    def setUp(self) -> None:
        """Make a server with the handler, and its administrator."""
        self.store = _Store()
        self.server = InMemoryServer()
        self.server.addHandler(Accounts("admin@localhost", self.store))
        self.admin = self.server.client("admin@localhost/a")

    def execute(self, node: str, **fields: str) -> Element:
        """Execute a command and submit its form; return the answer."""
        command = f"<command xmlns='{ns.COMMANDS}' node='{ADMIN}#{node}'"
        self.admin.sends(f"<iq type='set' id='1' to='localhost'>{command} action='execute'/></iq>")
        [form] = self.admin.received()
        self.assertEqual(form.command["status"], "executing")
        values = "".join(f"<field var='{name}'><value>{value}</value></field>" for name, value in fields.items())
        formType = f"<field var='FORM_TYPE' type='hidden'><value>{ADMIN}</value></field>"
        submitted = f"<x xmlns='jabber:x:data' type='submit'>{formType}{values}</x>"
        session = f"{command} sessionid='{form.command['sessionid']}'>{submitted}</command>"
        self.admin.sends(f"<iq type='set' id='2' to='localhost'>{session}</iq>")
        [answer] = self.admin.received()
        return answer

    def add(self, verified: str = "a") -> Element:
        """Add Romeo, with the password C{a}."""
        return self.execute("add-user", accountjid="romeo@localhost", password="a", **{"password-verify": verified})

    def test_added(self) -> None:
        """An account is made with its password."""
        self.assertEqual(self.add().command["status"], "completed")
        self.assertEqual(self.store.passwords, {"romeo@localhost": "a"})

    def test_exists(self) -> None:
        """An account that exists keeps its password, and the administrator learns it."""
        self.store.passwords["romeo@localhost"] = "b"
        self.assertEqual(self.add().command.note["type"], "error")
        self.assertEqual(self.store.passwords, {"romeo@localhost": "b"})

    def test_mistyped(self) -> None:
        """Two passwords that differ are refused."""
        self.assertEqual(self.add("b")["type"], "error")
        self.assertEqual(self.store.passwords, {})

    def test_deleted(self) -> None:
        """An account is deleted."""
        self.add()
        self.assertEqual(self.execute("delete-user", accountjids="romeo@localhost").command["status"], "completed")
        self.assertEqual(self.store.passwords, {})

    def test_others(self) -> None:
        """Nobody else may use them."""
        romeo = self.server.client("romeo@localhost/a")
        command = f"<command xmlns='{ns.COMMANDS}' node='{ADMIN}#add-user'/>"
        romeo.sends(f"<iq type='set' id='1' to='localhost'>{command}</iq>")
        [answer] = romeo.received()
        self.assertEqual([child.name for child in answer.error.elements()], ["forbidden"])

# -*- test-case-name: tests.operations.test_ctl -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
C{muccorectl}: what an operator does to accounts from a terminal or a script.

The operations are data: name, what they are given, what they say about themselves, and a function over a store that
answers with lines of text. This module is the command line in front of them; another front needs only the table.
It works on the store itself, so the server may be running or not.
"""

from __future__ import annotations

import argparse
import getpass
import io
import os
import signal
import sys
import threading
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.task import react

from muccore import __version__
from muccore.config.errors import ConfigError
from muccore.config.load import DEFAULT_PATH, load
from muccore.config.plugins import globalReactor
from muccore.config.schema import Settings
from muccore.interfaces import IAccountStore, NoSuchUser, StoreError, UserExists
from muccore.storage.registry import isManageable, makeStore
from muccore.xmpp.jid import JID, prepareDomain, prepareLocal

_PASSWORD_LIMIT: Final = 4096
"""Bytes of a password on standard input."""


class Refused(Exception):
    """Something was not done; C{str()} of it is a line for the operator."""


# The operations


@dataclass(frozen=True)
class Argument:
    """
    Something that an operation is given.

    @ivar name: what it is called.
    @ivar help: what it is, in one line.
    @ivar secret: whether nobody but the operation may see it: it never comes with the command's own words.
    """

    name: str
    help: str
    secret: bool = False


@dataclass(frozen=True)
class Operation:
    """
    Something that can be done to the accounts.

    @ivar name: the word for it.
    @ivar help: what it does, in one line.
    @ivar arguments: what C{function} takes behind the store, in order.
    @ivar function: does it, and answers with lines of text.
    @ivar check: raises L{Refused} if it cannot be done; called before a password is asked for.
    """

    name: str
    help: str
    arguments: tuple[Argument, ...]
    function: Callable[..., Coroutine[Deferred[Any], Any, list[str]]]
    check: Callable[..., Coroutine[Deferred[Any], Any, None]] | None = None


async def _exists(accounts: IAccountStore, user: JID) -> bool:
    for hashName in accounts.hashes:
        return await accounts.scramKeys(user.local, hashName) is not None
    return user.local in await accounts.users()


def _alreadyExists(user: JID) -> Refused:
    return Refused(f"{user}: the account exists already; passwd changes its password")


def _doesNotExist(user: JID) -> Refused:
    return Refused(f"{user}: there is no such account; adduser adds it")


async def _checkNew(accounts: IAccountStore, user: JID) -> None:
    if await _exists(accounts, user):
        raise _alreadyExists(user)


async def _checkExisting(accounts: IAccountStore, user: JID) -> None:
    if not await _exists(accounts, user):
        raise _doesNotExist(user)


async def _addUser(accounts: IAccountStore, user: JID, password: str) -> list[str]:
    try:
        await accounts.create(user.local, password)
    except UserExists:
        raise _alreadyExists(user) from None
    except ValueError as e:
        raise Refused(f"{user}: this password cannot be used: {e}") from None
    return [f"{user}: added"]


async def _setPassword(accounts: IAccountStore, user: JID, password: str) -> list[str]:
    try:
        await accounts.setPassword(user.local, password)
    except NoSuchUser:
        raise _doesNotExist(user) from None
    except ValueError as e:
        raise Refused(f"{user}: this password cannot be used: {e}") from None
    return [f"{user}: password changed"]


async def _deleteUser(accounts: IAccountStore, user: JID) -> list[str]:
    try:
        await accounts.delete(user.local)
    except NoSuchUser:
        raise Refused(f"{user}: there is no such account") from None
    return [f"{user}: deleted; whoever is logged in stays connected until they disconnect or the server restarts"]


async def _listUsers(accounts: IAccountStore) -> list[str]:
    return await accounts.users()


USER: Final = Argument("user", "the account: its name, or name@domain")
"""An account; operations are given its bare L{JID}."""

PASSWORD: Final = Argument("password", "its password", secret=True)
"""A password; operations are given the text, not prepared."""

OPERATIONS: Final = (
    Operation("adduser", "add an account", (USER, PASSWORD), _addUser, _checkNew),
    Operation("passwd", "change the password of an account", (USER, PASSWORD), _setPassword, _checkExisting),
    Operation("deluser", "delete an account; sessions that are logged in stay until they end", (USER,), _deleteUser),
    Operation("listusers", "list the names of all accounts, one a line", (), _listUsers),
)
"""Everything that can be done."""


# The command line


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="muccorectl",
        description="Manage the accounts of a muccore server, whether it is running or not.",
        epilog="Passwords are asked for at a terminal, and otherwise read from the first line of standard input.",
    )
    parser.add_argument("--version", action="version", version=f"muccore {__version__}")
    parser.add_argument(
        "-c", "--config", metavar="FILE", default=DEFAULT_PATH, help=f"the server's configuration file ({DEFAULT_PATH})"
    )
    commands = parser.add_subparsers(dest="operation", metavar="COMMAND", required=True)
    for operation in OPERATIONS:
        about = operation.help[0].upper() + operation.help[1:] + "."
        command = commands.add_parser(operation.name, help=operation.help, description=about)
        # Given here or in front of the command; not given here, it must not undo what stood in front.
        command.add_argument(
            "-c", "--config", metavar="FILE", default=argparse.SUPPRESS, help="the server's configuration file"
        )
        for argument in operation.arguments:
            if not argument.secret:
                command.add_argument(argument.name, metavar=argument.name.upper(), help=argument.help)
    return parser


def _user(text: str, settings: Settings) -> JID:
    name, at, domain = text.partition("@")
    try:
        if at and prepareDomain(domain) != settings.server.domain:
            raise Refused(f"{text}: the accounts of this server are at {settings.server.domain}")
        return JID(prepareLocal(name), settings.server.domain, "")
    except ValueError as e:
        raise Refused(f"{text!r} is no name of an account: {e}") from None


def _password(user: JID) -> str:
    """Ask for a password, twice at a terminal."""
    if sys.stdin is None:
        raise Refused("there is no standard input to read the password from")
    if sys.stdin.isatty():
        try:
            password = getpass.getpass(f"Password for {user}: ")
            again = getpass.getpass("Once more: ")
        except (EOFError, KeyboardInterrupt):
            raise Refused("no password was given") from None
        except UnicodeError:
            raise Refused("the password is not in the terminal's encoding") from None
        if password != again:
            raise Refused("the two passwords differ; nothing was changed")
    else:
        line = sys.stdin.buffer.readline(_PASSWORD_LIMIT + 3).removesuffix(b"\n").removesuffix(b"\r")
        if len(line) > _PASSWORD_LIMIT:
            raise Refused(f"the password is longer than {_PASSWORD_LIMIT} bytes")
        try:
            password = line.decode("utf-8")
        except UnicodeDecodeError:
            raise Refused("the password on standard input is not UTF-8") from None
    if not password:
        raise Refused("no password was given")
    return password


def _askPassword(user: JID) -> str:
    """Ask for a password while the reactor runs, whose handler of SIGINT would let Ctrl-C wait for the answer."""
    if threading.current_thread() is not threading.main_thread():
        return _password(user)
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return _password(user)
    finally:
        signal.signal(signal.SIGINT, handler)


def _accounts(settings: Settings) -> IAccountStore:
    """The store that the configuration names, if it is one whose accounts outlive a process and can be changed."""
    backend = settings.auth.backend
    store = makeStore("accounts", backend, settings.base, globalReactor())
    if not isManageable(store, backend):
        found = f"found {backend!r}, which keeps no accounts that can be managed from here; use sqlite:PATH"
        raise Refused(str(settings.problem("auth", "backend", found)))
    return cast(IAccountStore, store)


async def _carryOut(accounts: IAccountStore, operation: Operation, users: Sequence[JID]) -> list[str]:
    await accounts.open()
    try:
        if operation.check is not None:
            await operation.check(accounts, *users)
        secrets = [_askPassword(users[0]) for argument in operation.arguments if argument.secret]
        return await operation.function(accounts, *users, *secrets)
    finally:
        await accounts.close()


Runner = Callable[[Callable[[], Deferred[None]]], None]
"""Calls a function in a running reactor and comes back when its Deferred has fired."""


def _run(function: Callable[[], Deferred[None]]) -> None:
    try:
        react(lambda reactor: function())
    except SystemExit as e:
        if e.code:
            raise


def _perform(options: argparse.Namespace, run: Runner) -> list[str]:
    """
    Do what the command line asks for.

    @raise Refused: if it was not done.
    """
    settings = load(options.config)
    operation = next(operation for operation in OPERATIONS if operation.name == options.operation)
    accounts = _accounts(settings)
    names = [getattr(options, argument.name) for argument in operation.arguments if not argument.secret]
    users = [_user(name, settings) for name in names]
    results: list[list[str] | Refused | StoreError] = []

    async def perform() -> None:
        try:
            results.append(await _carryOut(accounts, operation, users))
        except (Refused, StoreError) as e:
            results.append(e)

    run(lambda: ensureDeferred(perform()))
    if not results:
        # A signal has stopped the reactor, which is no failure to it.
        raise Refused("interrupted; what was asked for may have been done or not")
    (result,) = results
    if isinstance(result, Exception):
        raise result
    return result


def main(argv: Sequence[str] | None = None, run: Runner = _run) -> int:
    """
    C{muccorectl}.

    @param argv: the words behind the command's own name; by default those of the process.
    @param run: runs the reactor.
    @return: the exit status: 0 if it was done, 1 if not, 2 if the command line was not understood.
    """
    parser = _parser()
    try:
        options = parser.parse_args(argv)
    except SystemExit as e:
        return e.code if isinstance(e.code, int) else 0
    try:
        lines = _perform(options, run)
    except ConfigError as e:
        print(e, file=sys.stderr)
        return 1
    except (Refused, StoreError) as e:
        print(f"muccorectl: {e}", file=sys.stderr)
        return 1
    return _print(lines)


def _print(lines: Sequence[str]) -> int:
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        for line in lines:
            print(line)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read has seen enough (listusers | head). Python would complain again while it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


if __name__ == "__main__":
    sys.exit(main())

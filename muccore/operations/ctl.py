# -*- test-case-name: tests.operations.test_ctl -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
C{muccorectl}: manage accounts, list the audit trails of rooms and what rooms take, from a terminal or a script.

The operations on accounts are a table; this module is their command line. It opens the store itself, so the server may
be running or not.
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
from muccore.interfaces import IAccountStore, IStore, NoSuchUser, StoreError, UserExists
from muccore.operations import audit, usage
from muccore.operations.refused import Refused
from muccore.server.stores import ServerStores
from muccore.xmpp.jid import JID, prepareDomain, prepareLocal

_PASSWORD_LIMIT: Final = 4096
"""Bytes of a password on standard input."""


# The operations


@dataclass(frozen=True)
class Argument:
    """An argument of an operation, described in one line; a secret must not stand on the command line."""

    name: str
    help: str
    secret: bool = False


@dataclass(frozen=True)
class Operation:
    """
    An operation on the accounts.

    @ivar help: what it does, in one line.
    @ivar arguments: the arguments of C{function} after the store, in order.
    @ivar function: performs it and returns lines of output.
    @ivar check: raises what C{function} would if it cannot be done; called before asking for a password.
    @ivar removes: whether everything else that is kept of the account goes as well, and first: so what fails in between
        can be repeated.
    @ivar creates: whether it creates the account.
    """

    name: str
    help: str
    arguments: tuple[Argument, ...]
    function: Callable[..., Coroutine[Deferred[Any], Any, list[str]]]
    check: Callable[..., Coroutine[Deferred[Any], Any, None]] | None = None
    removes: bool = False
    creates: bool = False


async def _exists(accounts: IAccountStore, user: JID) -> bool:
    for hashName in accounts.hashes:
        return await accounts.scramKeys(user.bare, hashName) is not None
    return user.bare in await accounts.users(user.domain)


async def _checkNew(accounts: IAccountStore, user: JID) -> None:
    if await _exists(accounts, user):
        raise UserExists


async def _checkExisting(accounts: IAccountStore, user: JID) -> None:
    if not await _exists(accounts, user):
        raise NoSuchUser


async def _addUser(accounts: IAccountStore, user: JID, password: str) -> list[str]:
    await accounts.create(user.bare, password)
    return [f"{user}: added"]


async def _setPassword(accounts: IAccountStore, user: JID, password: str) -> list[str]:
    await accounts.setPassword(user.bare, password)
    return [f"{user}: password changed"]


async def _deleteUser(accounts: IAccountStore, user: JID) -> list[str]:
    try:
        await accounts.delete(user.bare)
    except NoSuchUser:
        raise Refused(f"{user}: there is no such account") from None
    return [f"{user}: deleted; whoever is logged in stays connected until they disconnect or the server restarts"]


async def _listUsers(accounts: IAccountStore) -> list[str]:
    return await accounts.users()


USER: Final = Argument("user", "the account: name@domain, or its name alone if there is one domain")
"""An account, passed to operations as its bare L{JID}."""

PASSWORD: Final = Argument("password", "its password", secret=True)
"""A password, passed to operations as it was entered, not prepared."""

OPERATIONS: Final = (
    Operation("adduser", "add an account", (USER, PASSWORD), _addUser, _checkNew, creates=True),
    Operation("passwd", "change the password of an account", (USER, PASSWORD), _setPassword, _checkExisting),
    Operation(
        "deluser",
        "delete an account and what it keeps on the server; sessions that are logged in stay until they end",
        (USER,),
        _deleteUser,
        _checkExisting,
        removes=True,
    ),
    Operation("listusers", "list all accounts, one a line", (), _listUsers),
)
"""All operations."""


# The command line


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="muccorectl",
        description="Manage the accounts of a muccore server, read the audit trails of its rooms and show what they "
        "take, whether it is running or not.",
        epilog="Passwords are asked for at a terminal, and otherwise read from the first line of standard input.",
    )
    parser.add_argument("--version", action="version", version=f"muccore {__version__}")
    parser.add_argument(
        "-c", "--config", metavar="FILE", default=DEFAULT_PATH, help=f"the server's configuration file ({DEFAULT_PATH})"
    )
    commands = parser.add_subparsers(dest="operation", metavar="COMMAND", required=True)

    def add(name: str, help: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=help, description=help[0].upper() + help[1:] + ".")
        # Accepted before and after the command; its absence here must not undo the one before.
        command.add_argument(
            "-c", "--config", metavar="FILE", default=argparse.SUPPRESS, help="the server's configuration file"
        )
        return command

    audit.addArguments(add(audit.NAME, audit.HELP))
    usage.addArguments(add(usage.NAME, usage.HELP))
    for operation in OPERATIONS:
        command = add(operation.name, operation.help)
        for argument in operation.arguments:
            if not argument.secret:
                command.add_argument(argument.name, metavar=argument.name.upper(), help=argument.help)
    return parser


def _user(text: str, settings: Settings) -> JID:
    name, at, domain = text.partition("@")
    domains = [host.domain for host in settings.hosts]
    try:
        if not at and len(domains) > 1:
            raise Refused(f"{text}: give the domain too: {' or '.join(f'{text}@{each}' for each in domains)}")
        prepared = prepareDomain(domain) if at else domains[0]
        if prepared not in domains:
            raise Refused(f"{text}: the accounts of this server are at {', '.join(domains)}")
        return JID(prepareLocal(name), prepared, "")
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
    """Ask for a password with the default handler of SIGINT; the reactor's would delay Ctrl-C until the answer."""
    if threading.current_thread() is not threading.main_thread():
        return _password(user)
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return _password(user)
    finally:
        signal.signal(signal.SIGINT, handler)


def _accounts(settings: Settings, stores: ServerStores, user: JID | None) -> list[IAccountStore]:
    """The stores of an account, or of all, that outlive the process and can be changed; L{Refused} without any."""
    hosts = [host for host in settings.hosts if user is None or host.domain == user.domain]
    manageable = set(stores.manageable())
    found = dict.fromkeys(store for store in map(stores.accountsOf, hosts) if store in manageable)
    if not found:
        # Its first line: options follow.
        shown = hosts[0].accounts.partition("\n")[0]
        store = stores.accountsOf(hosts[0])
        if store.hashes or store.loopbackOnly:
            advice = "which keeps no accounts that can be managed from here; use sqlite:PATH"
        else:
            advice = "which only checks passwords; manage the accounts where it asks, or use sqlite:PATH"
        raise Refused(str(settings.problem(*hosts[0].accountsAt, f"found {shown!r}, {advice}")))
    return [cast(IAccountStore, store) for store in found]


async def _carryOut(
    accounts: IAccountStore, operation: Operation, users: Sequence[JID], stores: ServerStores, settings: Settings
) -> list[str]:
    await accounts.open()
    try:
        if operation.check is not None:
            await operation.check(accounts, *users)
        if operation.removes:
            await _removeData(stores, settings, users[0])
        if operation.creates:
            # Sessions of an earlier account of this name may have lasted longer than it.
            await _removeArchive(stores, users[0])
        secrets = [_askPassword(users[0]) for argument in operation.arguments if argument.secret]
        return await operation.function(accounts, *users, *secrets)
    except UserExists:
        raise Refused(f"{users[0]}: the account exists already; passwd changes its password") from None
    except NoSuchUser:
        raise Refused(f"{users[0]}: there is no such account; adduser adds it") from None
    except ValueError as e:
        raise Refused(f"{users[0]}: this password cannot be used: {e}") from None
    finally:
        await accounts.close()


async def _removeData(stores: ServerStores, settings: Settings, user: JID) -> None:
    """Remove what is kept of an account besides: nobody who gets its name later must have it."""
    documents = next(stores.userDataOf(host) for host in settings.hosts if host.domain == user.domain)
    removals: list[tuple[IStore, Callable[[str], Deferred[None]]]] = [(stores.rosters, stores.rosters.delete)]
    if documents is not None:
        removals.append((documents, documents.removeAccount))
    for store, remove in removals:
        await store.open()
        try:
            await remove(user.bare)
        finally:
            await store.close()
    await _removeArchive(stores, user)


async def _removeArchive(stores: ServerStores, user: JID) -> None:
    if stores.archive is not None:
        await stores.archive.deleteUnopened(user.bare)


Runner = Callable[[Callable[[], Deferred[None]]], None]
"""Calls a function in a running reactor and returns once its Deferred has fired."""


def _run(function: Callable[[], Deferred[None]]) -> None:
    try:
        react(lambda reactor: function())
    except SystemExit as e:
        if e.code:
            raise


def _perform(options: argparse.Namespace, run: Runner) -> list[str]:
    """Perform the operation of the command line; L{Refused} if it failed."""
    settings = load(options.config)
    if options.operation == audit.NAME:
        return _finish(lambda: audit.listEntries(settings, options), run)
    if options.operation == usage.NAME:
        return _finish(lambda: usage.listUsage(settings, options), run)
    operation = next(operation for operation in OPERATIONS if operation.name == options.operation)
    names = [getattr(options, argument.name) for argument in operation.arguments if not argument.secret]
    users = [_user(name, settings) for name in names]
    stores = ServerStores(settings, globalReactor())
    accounts = _accounts(settings, stores, users[0] if users else None)

    async def perform() -> list[str]:
        lines = [line for store in accounts for line in await _carryOut(store, operation, users, stores, settings)]
        # Without a user, several stores may list the same.
        return lines if users else sorted(set(lines))

    return _finish(perform, run)


def _finish(operation: Callable[[], Coroutine[Deferred[Any], Any, list[str]]], run: Runner) -> list[str]:
    """Run an operation to its end, or L{Refused}."""
    results: list[list[str] | Exception] = []

    async def perform() -> None:
        try:
            results.append(await operation())
        except (Refused, StoreError) as e:
            results.append(e)

    run(lambda: ensureDeferred(perform()))
    if not results:
        # A signal stopped the reactor, which does not report that as a failure.
        raise Refused("interrupted; the operation may have been carried out or not")
    (result,) = results
    if isinstance(result, Exception):
        raise result
    return result


def main(argv: Sequence[str] | None = None, run: Runner = _run) -> int:
    """
    Run C{muccorectl}.

    @param argv: the arguments; by default those of the process.
    @param run: runs the reactor.
    @return: the exit status: 0 on success, 1 on failure, 2 for a wrong command line.
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
        # The reader has left (listusers | head). Without this, Python reports the error again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


if __name__ == "__main__":
    sys.exit(main())

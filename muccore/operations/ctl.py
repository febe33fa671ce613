# -*- test-case-name: tests.operations.test_ctl -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
C{muccorectl}: manage accounts, list the audit trails of rooms and what rooms take, back up and restore, from a terminal
or a script.

The operations on accounts are a table (L{muccore.operations.accounts}); this module is their command line. If a server
runs, it does what changes accounts; otherwise, and for what only reads, this opens the stores itself.
"""

from __future__ import annotations

import argparse
import getpass
import io
import os
import signal
import sys
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Final, cast

from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.task import react

from muccore import __version__
from muccore.config.errors import ConfigError
from muccore.config.load import DEFAULT_PATH, load
from muccore.config.plugins import globalReactor
from muccore.config.schema import Settings
from muccore.interfaces import IAccountStore, IStore, NoSuchUser, StoreError, UserExists
from muccore.operations import audit, backup, links, restore, usage
from muccore.operations.accounts import OPERATIONS, OfflineAccounts, Operation
from muccore.operations.controlclient import ServerConnection, alone, checkKnown, exclusively
from muccore.operations.refused import Refused
from muccore.operations.transfer import exporting, importing, migrating, persons, purging
from muccore.server.controlsocket import controlPath
from muccore.server.stores import ServerStores
from muccore.xmpp.jid import JID, parse, prepareDomain, prepareLocal

_PASSWORD_LIMIT: Final = 4096
"""Bytes of a password on standard input."""


class NoSuchAccount(Refused):
    """The account that a command is about does not exist."""


# The command line


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="muccorectl",
        description="Manage the accounts of a muccore server, read the audit trails of its rooms, show what they take, "
        "back up and export all of it, whether it is running or not, and bring in what others have.",
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

    for module in (audit, usage, backup, restore, exporting, importing, migrating, persons, purging):
        module.addArguments(add(module.NAME, module.HELP))
    add(links.NAME, links.HELP)
    for operation in OPERATIONS:
        command = add(operation.name, operation.help)
        for argument in operation.arguments:
            if not argument.secret:
                nargs = "?" if argument.optional else None
                command.add_argument(argument.name, metavar=argument.name.upper(), nargs=nargs, help=argument.help)
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


def _onlyDomain(settings: Settings) -> JID:
    if len(settings.hosts) > 1:
        raise Refused("there are several domains: name the account")
    return JID("", settings.server.domain, "")


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
    """Do it here, while no server runs, or if it only reads."""
    domain = users[0].domain if users else settings.server.domain
    documents = next(stores.userDataOf(host) for host in settings.hosts if host.domain == domain) if users else None
    section = settings.registration
    takes = any(host.domain == domain and host.registration != "closed" for host in settings.hosts)
    invitations = section.invitationTime if takes else 0.0
    offline = OfflineAccounts(accounts, documents, domain, section.tombstoneTime, invitations, stores.archive)
    opened: list[IStore] = [accounts, *([] if documents is None else [documents])]
    try:
        for store in opened:
            await store.open()
        if operation.check is not None:
            await operation.check(offline, *users)
        secrets = [_askPassword(users[0]) for argument in operation.arguments if argument.secret]
        return await operation.function(offline, *users, *secrets)
    except UserExists:
        raise Refused(f"{users[0]}: the account exists already; passwd changes its password") from None
    except NoSuchUser:
        raise NoSuchAccount(f"{users[0]}: there is no such account; adduser adds it") from None
    except ValueError as e:
        raise Refused(f"{users[0]}: this password cannot be used: {e}") from None
    finally:
        for store in opened:
            await store.close()


def _request(server: ServerConnection, operation: Operation, user: JID) -> list[str]:
    """Have it done by the running server."""
    if operation.remoteCheck:
        server.request(operation.remoteCheck, account=user.bare)
    secrets = {argument.name: _askPassword(user) for argument in operation.arguments if argument.secret}
    return server.request(operation.name, account=user.bare, **secrets)


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
    command = _COMMANDS.get(options.operation)
    if command is not None:
        return command(settings, options, run)
    operation = next(operation for operation in OPERATIONS if operation.name == options.operation)
    names = [getattr(options, argument.name) for argument in operation.arguments if not argument.secret]
    users = [_onlyDomain(settings) if name is None else _user(name, settings) for name in names]
    stores = ServerStores(settings, globalReactor())
    accounts = _accounts(settings, stores, users[0] if users else None)

    async def perform() -> list[str]:
        lines = [line for store in accounts for line in await _carryOut(store, operation, users, stores, settings)]
        # Without a user, several stores may list the same.
        return lines if users else sorted(set(lines))

    if operation.direct:
        return _finish(perform, run)
    with exclusively(settings) as server:
        return _finish(perform, run) if server is None else _request(server, operation, users[0])


Command = Callable[[Settings, argparse.Namespace, Runner], list[str]]
"""Carries out a command that is not about one account."""


def _reading(read: Callable[[Settings, argparse.Namespace], Coroutine[Deferred[Any], Any, list[str]]]) -> Command:
    """A command that only reads stores."""
    return lambda settings, options, run: _finish(lambda: read(settings, options), run)


def _beside(read: Callable[[Settings, argparse.Namespace, bool], Coroutine[Deferred[Any], Any, list[str]]]) -> Command:
    """A command that reads stores otherwise if the server runs, or may run."""

    def perform(settings: Settings, options: argparse.Namespace, run: Runner) -> list[str]:
        with exclusively(settings) as server:
            mayRun = server is not None or controlPath(settings) is None
            return _finish(lambda: read(settings, options, mayRun), run)

    return perform


def _alone(write: Callable[[Settings, argparse.Namespace], Coroutine[Deferred[Any], Any, list[str]]]) -> Command:
    """A command that needs the server not to run."""

    def perform(settings: Settings, options: argparse.Namespace, run: Runner) -> list[str]:
        checkKnown(settings)
        with alone(settings):
            return _finish(lambda: write(settings, options), run)

    return perform


def _purge(settings: Settings, options: argparse.Namespace, run: Runner) -> list[str]:
    """Remove everything of a person: by the running server, or here."""
    person = parse(persons.personIn(options.user))
    checkKnown(settings)
    with exclusively(settings) as server:
        if server is not None:
            return server.request("purgeuser", account=person.bare, messages=options.messages)
        operation = next(operation for operation in OPERATIONS if operation.name == "deluser")

        async def perform() -> list[str]:
            lines = await purging.purgeRooms(settings, person, options.messages)
            stores = ServerStores(settings, globalReactor())
            (accounts,) = _accounts(settings, stores, person)
            try:
                return [*await _carryOut(accounts, operation, [person], stores, settings), *lines]
            except NoSuchAccount:
                return lines

        return _finish(perform, run)


_COMMANDS: Final[Mapping[str, Command]] = {
    audit.NAME: _reading(audit.listEntries),
    usage.NAME: _reading(usage.listUsage),
    backup.NAME: lambda settings, options, run: backup.writeBackup(settings, options),
    restore.NAME: lambda settings, options, run: restore.restoreBackup(settings, options),
    exporting.NAME: _beside(exporting.writeExport),
    importing.NAME: _alone(importing.readImport),
    migrating.NAME: _alone(migrating.migrate),
    persons.NAME: _beside(persons.exportPerson),
    purging.NAME: _purge,
    links.NAME: lambda settings, options, run: links.listLinks(settings),
}
"""The commands that are not operations on one account."""


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
    except KeyboardInterrupt:
        print("muccorectl: interrupted", file=sys.stderr)
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

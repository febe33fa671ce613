# -*- test-case-name: tests.operations.transfer.test_importing -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""C{muccorectl import}: accounts and rooms from elsewhere, while the server does not run (design/0035)."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from typing import Final

from muccore.config.plugins import globalReactor
from muccore.config.schema import Settings
from muccore.operations.progress import Progress
from muccore.operations.refused import Refused
from muccore.operations.transfer.documentsource import DocumentSource
from muccore.operations.transfer.ejabberd.source import EjabberdSource
from muccore.operations.transfer.exporting import lines
from muccore.operations.transfer.openstores import opened
from muccore.operations.transfer.prosody.source import ProsodySource
from muccore.operations.transfer.records import ISource, Problem, SourceError
from muccore.operations.transfer.storewriter import EXISTING, MERGE, REFUSE, SKIP, StoreWriter, Summary
from muccore.server.stores import ServerStores

NAME: Final = "import"
HELP: Final = "read accounts and rooms of another server, or from a file (XEP-0227), while the server does not run"

DOCUMENT: Final = "xep0227"

FORMATS: Final[Mapping[str, tuple[Callable[[str], ISource], str]]] = {
    DOCUMENT: (DocumentSource, "a file of XEP-0227, as muccorectl export writes"),
    "prosody": (ProsodySource, "the folder in which Prosody keeps its data, such as /var/lib/prosody"),
    "ejabberd": (EjabberdSource, "a folder into which ejabberdctl export_piefxis and dump have written"),
}
"""What can be read, by name: what makes the source of a path, and a description."""

_SHOWN: Final = 5


def addArguments(parser: argparse.ArgumentParser) -> None:
    """Declare its arguments."""
    formats = "; ".join(f"{name}: {description}" for name, (_, description) in FORMATS.items())
    parser.add_argument(
        "source", metavar="[FORMAT] PATH", nargs="+", help=f"what to read; FORMAT is {DOCUMENT} by default; {formats}"
    )
    parser.add_argument("--dry-run", action="store_true", help="change nothing, and tell what would come, and what not")
    parser.add_argument(
        "--existing", choices=EXISTING, default=REFUSE,
        help="what to do if accounts or rooms exist already: refuse to begin (the default), skip them, or merge: add "
        "what they do not have",
    )  # fmt: skip


def sourceOf(options: argparse.Namespace) -> ISource:
    """
    Make the source.

    @raise Refused: if its format is not known.
    @raise SourceError: if it cannot be found.
    """
    *formats, path = options.source
    name = formats[0] if formats else DOCUMENT
    if len(formats) > 1 or name not in FORMATS:
        raise Refused(f"{' '.join(formats)}: formats are {', '.join(FORMATS)}; quote a PATH with spaces")
    return FORMATS[name][0](path)


async def readImport(settings: Settings, options: argparse.Namespace) -> list[str]:
    """
    Import, or tell what would come.

    @return: what came, and a line for everything that did not.
    @raise Refused: if it cannot be read, or accounts or rooms exist that must not.
    @raise StoreError: if a store fails.
    """
    try:
        source = sourceOf(options)
        stores = ServerStores(settings, globalReactor())
        async with opened(stores, False):
            existing = options.existing
            if options.dry_run or existing == REFUSE:
                tried = await _copy(source, StoreWriter(stores, settings, existing, dryRun=True), "check")
                if options.dry_run:
                    return _told(tried, "would come", existing)
                if tried.existing:
                    shown = ", ".join(tried.existing[:_SHOWN]) + (", ..." if len(tried.existing) > _SHOWN else "")
                    text = "choose what to do about them by --existing, also if an import was interrupted"
                    raise Refused(f"{len(tried.existing)} accounts and rooms exist already ({shown}); {text}")
                existing = SKIP
            return _told(await _copy(source, StoreWriter(stores, settings, existing), "import"), "came", existing)
    except SourceError as e:
        raise Refused(str(e)) from None


async def _copy(source: ISource, writer: StoreWriter, what: str) -> Summary:
    problems = writer.summary.problems
    with Progress(what, source.size, source.unit) as progress:
        for record in source.records():
            if isinstance(record, Problem):
                problems[record] += 1
            else:
                await writer.write(record)
            progress.advance(source.position)
        await writer.finish()
    return writer.summary


def _told(summary: Summary, verb: str, existing: str) -> list[str]:
    first = f"{summary.users} accounts, {summary.rooms} rooms and {summary.messages} messages in archives {verb}"
    done = "added to" if existing == MERGE else "left out"
    exist = [f"{address}: exists already; {done}" for address in summary.existing]
    return [first, *exist, *lines(summary.problems)]

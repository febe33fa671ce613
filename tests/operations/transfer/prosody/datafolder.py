# Copyright (c) The muccore authors. See LICENSE for details.
"""A data directory of Prosody, for tests."""

from __future__ import annotations

import os
from collections.abc import Iterable

from twisted.trial.unittest import SynchronousTestCase

from muccore.operations.transfer.prosody.folder import DataFolder, encodeName
from muccore.operations.transfer.records import Messages, Problem, Record, Room, User


class WrittenFolder(DataFolder):
    """A directory whose files are written as Lua."""

    def __init__(self, test: SynchronousTestCase) -> None:
        path = os.path.abspath(test.mktemp())
        os.makedirs(path)
        super().__init__(path)

    def put(self, file: str, content: str | bytes) -> None:
        """
        Write a file.

        @param file: C{HOST/STORE/NAME.dat} or C{.list}, without encoding.
        @param content: what follows C{return}, or all of a list.
        """
        names, ending = os.path.splitext(file)
        *folders, name = (encodeName(each).replace("%5f", "_") for each in names.split("/"))
        folder = os.path.join(self.path, *folders)
        os.makedirs(folder, exist_ok=True)
        data = content.encode() if isinstance(content, str) else content
        with open(os.path.join(folder, name + ending), "wb") as written:
            written.write(b"return " * (ending == ".dat") + data)


def element(tag: str, /, *children: str, **attributes: str) -> str:
    """An element as Prosody keeps it; C{xmlns} is an attribute."""
    attr = "; ".join(f'["{key.replace("_", ":")}"] = "{value}"' for key, value in attributes.items())
    return f'{{{"; ".join(children)}{"; " * bool(children)}["name"] = "{tag}"; ["attr"] = {{{attr}}}}}'


def stored(element: str, when: object, id: str = "", other: str = "") -> str:
    """An item of an archive: an element with its time and id."""
    extra = f'["when"] = {when}; ["with"] = "{other}"' + (f'; ["key"] = "{id}"' if id else "")
    return f"item({element[:-1]}; {extra}}});\n"


def problems(records: Iterable[Record]) -> list[str]:
    """The problems in a stream, as text."""
    return [str(each) for each in records if isinstance(each, Problem)]


def user(records: Iterable[Record]) -> User:
    """The only account in a stream."""
    [found] = [each for each in records if isinstance(each, User)]
    return found


def room(records: Iterable[Record]) -> Room:
    """The only room in a stream."""
    [found] = [each for each in records if isinstance(each, Room)]
    return found


def archived(records: Iterable[Record]) -> list[tuple[str, str]]:
    """Ids and senders of the archived messages in a stream."""
    return [(item.id, item.sender) for each in records if isinstance(each, Messages) for item in each.items]

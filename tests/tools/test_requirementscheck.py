# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.tools.requirementscheck}."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from muccore.tools.requirements import parse
from muccore.tools.requirementscheck import compare, sentences
from tests.configuration import ENVIRONMENT

ROOT = Path(__file__).resolve().parents[2]

MARKDOWN = """# XEP-9999: Greetings

The introduction MAY be skipped.

## Scope

Nothing binds here. It must not.

## Greetings

### Hello

A service MUST say hello (i.e., it MUST NOT
be silent). If it is asked (e.g., by a friend), it SHOULD bow. It does.

*A Client Comes*
```
<presence> MUST </presence>
```

1. A client MUST answer.
2. It is OPTIONAL: A service MAY wave.

*Table of Bows*

| Bow | Support |
|---|---|
| Deep | REQUIRED |
| Slight | none |

### Farewell

*Somebody Leaves*
```
<presence type='unavailable'/>
```
"""

TEXT = """specification: XEP-9999 1.0
§2.1 Hello
2.1-1 MUST: A service says hello.
  says: MUST say hello
2.1-2 SHOULD: It bows.
  says: it SHOULD bow
2.1-3 MAY: It waves.
  says: It is OPTIONAL
  says: MAY wave
2.1-4 REQUIRED: It bows deeply.
  says: Deep | REQUIRED
Example 1: A Client Comes
others: client MUST answer
§2.2 Farewell
2.2-1 STATED: It says farewell.
Example 2: Somebody Leaves
"""


def differences(markdown: str = MARKDOWN, text: str = TEXT) -> list[str]:
    """What differs between a text and its requirements."""
    return compare(parse(text, "x"), markdown)


class SentenceTests(SynchronousTestCase):
    """The sentences of a text."""

    def test_sentences(self) -> None:
        """Those with a word of RFC 2119, by section; not in examples. Items and rows stand for themselves."""
        self.assertEqual(
            list(sentences(MARKDOWN)),
            [
                ("0", "The introduction MAY be skipped."),
                ("2.1", "A service MUST say hello (i.e., it MUST NOT be silent)."),
                ("2.1", "If it is asked (e.g., by a friend), it SHOULD bow."),
                ("2.1", "A client MUST answer."),
                ("2.1", "It is OPTIONAL:"),
                ("2.1", "A service MAY wave."),
                ("2.1", "| Deep | REQUIRED |"),
            ],
        )


class CompareTests(SynchronousTestCase):
    """Comparing requirements with a text."""

    def test_same(self) -> None:
        """Sentences that no requirement names are listed; here the introduction's alone."""
        self.assertEqual(differences(), ["§0: no requirement names this sentence: The introduction MAY be skipped."])

    def test_changed(self) -> None:
        """A changed sentence is listed, and the words that are no more."""
        changed = MARKDOWN.replace("The introduction MAY be skipped.", "").replace("SHOULD bow", "MUST bow")
        self.assertEqual(
            differences(changed),
            [
                "§2.1: no requirement names this sentence: If it is asked (e.g., by a friend), it MUST bow.",
                "§2.1: the text does not say: it SHOULD bow",
            ],
        )

    def test_moved(self) -> None:
        """A sentence in another section is another one; a section that is gone says nothing."""
        moved = MARKDOWN.replace("The introduction MAY be skipped.", "").replace("## Scope", "## Intro\n\n## Scope")
        lines = differences(moved)
        self.assertIn("§3.1: no requirement names this sentence: A client MUST answer.", lines)
        self.assertIn("§2.1: the text does not say: client MUST answer", lines)

    def test_examples(self) -> None:
        """Examples that have another number, title or section are listed, and those that are gone."""
        new = MARKDOWN.replace("### Farewell", "*A Friend Comes*\n```\n```\n\n### Farewell")
        self.assertEqual(
            differences(new.replace("The introduction MAY be skipped.", "")),
            [
                "§2.1: example 2 is not listed so: A Friend Comes",
                "§2.2: example 3 is not listed so: Somebody Leaves",
            ],
        )
        gone = MARKDOWN.partition("### Farewell")[0].replace("The introduction MAY be skipped.", "")
        self.assertEqual(differences(gone), ["§2.2: the text has no example 2: Somebody Leaves"])


class CommandTests(SynchronousTestCase):
    """The command."""

    def test_documented(self) -> None:
        """The command line of C{docs/requirements.md} compares the requirements of XEP-0045 with a text."""
        page = ROOT.joinpath("docs", "requirements.md").read_text("utf-8")
        [line] = [line.strip() for line in page.splitlines() if line.startswith("    python ")]
        _, *words, text = shlex.split(line)
        self.assertEqual(text, "xep-0045.md")
        path = Path(self.mktemp())
        path.write_text("# XEP-0045\n\n## Introduction\n\nA service MUST be new.\n", "utf-8")
        ran = subprocess.run(
            [sys.executable, *words, str(path.resolve())],
            cwd=ROOT,
            capture_output=True,
            env=ENVIRONMENT,
            timeout=60,
            check=False,
        )
        lines = ran.stdout.decode().splitlines()
        self.assertEqual((ran.returncode, ran.stderr), (1, b""))
        self.assertEqual(lines[0], "§1: no requirement names this sentence: A service MUST be new.")
        self.assertIn("§7.2.1: the text has no example 19: No Nickname Specified", lines)
        self.assertEqual(lines[-1], f"{len(lines) - 1} differences")

    def test_nothing(self) -> None:
        """If nothing differs, the exit status is 0."""
        folder = Path(self.mktemp())
        folder.mkdir()
        (folder / "x.txt").write_text(TEXT, "utf-8")
        (folder / "x.md").write_text(MARKDOWN.replace("The introduction MAY be skipped.", ""), "utf-8")
        ran = subprocess.run(
            [sys.executable, "-m", "muccore.tools.requirementscheck", str(folder / "x.txt"), str(folder / "x.md")],
            capture_output=True,
            env=ENVIRONMENT,
            timeout=60,
            check=False,
        )
        self.assertEqual((ran.returncode, ran.stdout, ran.stderr), (0, b"0 differences\n", b""))

# -*- test-case-name: tests.tools.test_requirementscheck -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Compare the requirements with the text of the specification, such as a new version of it.

    python -m muccore.tools.requirementscheck docs/requirements/xep-0045.txt TEXT

C{TEXT} is Markdown: headings from the second level on are the sections, and examples have a caption in asterisks above
a fenced block. Prints the sentences with a word of RFC 2119 that no requirement names, the words of requirements that
the text does not have, and the examples that differ; the exit status is 1 if there are any.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from muccore.tools.requirements import Requirements, parse

_KEYWORD: Final = re.compile(r"\b(MUST|SHALL|SHOULD|RECOMMENDED|MAY|OPTIONAL|REQUIRED)\b")
_HEADING: Final = re.compile(r"(#{2,}) (.+)")
_CAPTION: Final = re.compile(r"\*([^*].*)\*")
_ITEM: Final = re.compile(r"(\d+\.|-|:) ")
_SENTENCE_END: Final = re.compile(r"(?<=[.!?:])\)?\s+(?=[A-Z(<\"])")


@dataclass(frozen=True)
class Paragraph:
    """
    A paragraph, an item of a list, a row of a table, or the caption of an example.

    @ivar section: the number of its section.
    """

    section: str
    text: str
    isExample: bool = False


def paragraphs(markdown: str) -> Iterator[Paragraph]:
    """Split a specification. Fenced blocks are left out."""
    numbers: list[int] = []
    fenced = False
    pending: list[str] = []
    section = "0"

    def flush(isExample: bool = False) -> Iterator[Paragraph]:
        if pending:
            text = " ".join(pending)
            yield Paragraph(section, text.strip("*") if isExample else text, isExample)
            pending.clear()

    for line in markdown.splitlines():
        if line.startswith("```"):
            yield from flush(not fenced and len(pending) == 1 and _CAPTION.fullmatch(pending[0]) is not None)
            fenced = not fenced
            continue
        if fenced:
            continue
        heading = _HEADING.fullmatch(line)
        item = _ITEM.match(line)
        if heading or item or not line.strip() or line.startswith("|"):
            yield from flush()
        if heading:
            depth = len(heading[1]) - 1
            numbers = [*numbers, *[0] * depth][:depth]
            numbers[-1] += 1
            section = ".".join(map(str, numbers))
        elif line.strip():
            pending.append((line[item.end() :] if item else line).strip())
            if line.startswith("|"):
                yield from flush()
    yield from flush()


def sentences(markdown: str) -> Iterator[tuple[str, str]]:
    """The sentences with a word of RFC 2119, with their sections."""
    for paragraph in paragraphs(markdown):
        if not paragraph.isExample:
            for sentence in _SENTENCE_END.split(paragraph.text):
                if _KEYWORD.search(sentence):
                    yield paragraph.section, sentence


def compare(found: Requirements, markdown: str) -> list[str]:
    """What differs, one line each."""
    words: dict[str, list[str]] = {}
    for section in found.sections:
        quoted = [*section.others, *(said for each in section.requirements for said in each.says)]
        words[section.number] = quoted
    texts: dict[str, str] = {}
    for paragraph in paragraphs(markdown):
        texts[paragraph.section] = texts.get(paragraph.section, "") + "\n" + paragraph.text
    lines = [
        f"§{section}: no requirement names this sentence: {sentence}"
        for section, sentence in sentences(markdown)
        if not any(quoted in sentence for quoted in words.get(section, ()))
    ]
    for section in found.sections:
        lines += [
            f"§{section.number}: the text does not say: {quoted}"
            for quoted in words[section.number]
            if quoted not in texts.get(section.number, "")
        ]
    return lines + list(_compareExamples(found, markdown))


def _compareExamples(found: Requirements, markdown: str) -> Iterator[str]:
    """Compare the examples up to the last one of the requirements; others belong to no scenario."""
    titles = {
        str(number): (paragraph.section, paragraph.text)
        for number, paragraph in enumerate((each for each in paragraphs(markdown) if each.isExample), 1)
    }
    listed = {each.id: (section.number, each.text) for section in found.sections for each in section.examples}
    wanted = {section.partition(".")[0] for section, _ in listed.values()}
    for id, (section, title) in titles.items():
        if section.partition(".")[0] in wanted and listed.pop(id, None) != (section, title):
            yield f"§{section}: example {id} is not listed so: {title}"
    yield from (f"§{section}: the text has no example {id}: {title}" for id, (section, title) in listed.items())


def main(requirements: str, text: str) -> int:
    """
    Print what differs.

    @return: the exit status.
    """
    found = parse(Path(requirements).read_text("utf-8"), requirements)
    lines = compare(found, Path(text).read_text("utf-8"))
    print("\n".join([*lines, f"{len(lines)} differences"]))
    return 1 if lines else 0


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python -m muccore.tools.requirementscheck REQUIREMENTS TEXT")
    sys.exit(main(*sys.argv[1:]))

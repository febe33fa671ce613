# -*- test-case-name: tests.config.test_schema -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The declaration of an option, as a field of a section's class. See L{muccore.config.schema}."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from muccore.config.types import AnyType, Secret, Type

T = TypeVar("T")

METADATA: Final = "muccore.option"
"""The key of an option's type, default and description in the metadata of its field."""


@dataclass(frozen=True)
class Option:
    """
    An option of the configuration.

    @ivar name: its key in the file.
    @ivar attribute: its attribute of the section's class.
    @ivar default: its default as written in the file, with line feeds between lines; C{None} if it is required.
    @ivar doc: its description, in sentences.
    """

    section: str
    name: str
    attribute: str
    type: AnyType
    default: str | None
    doc: str


def option(type: Type[T], default: str | None, doc: str) -> T:
    """Declare an option, a field of a section's class. The return type lets mypy check the annotation."""
    found: Any = field(metadata={METADATA: (type, default, doc)}, repr=not isinstance(type, Secret))
    value: T = found
    return value

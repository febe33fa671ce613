# -*- test-case-name: tests.stream.bosh.test_body -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Terminal binding conditions (XEP-0124 §17.2)."""

from __future__ import annotations

from typing import Final

from muccore.xmpp.errors import StreamError

REMOTE_STREAM_ERROR: Final = "remote-stream-error"
"""The condition for an error of the stream itself, which is in the body then (XEP-0206 §7)."""

CODES: Final = {"bad-request": 400, "policy-violation": 403, "item-not-found": 404}
"""The status codes by which clients without C{ver} are told of conditions instead (XEP-0124 §17.1)."""

_STREAM_CONDITIONS: Final = {"bad-request": "bad-format", "item-not-found": "undefined-condition"}
"""The conditions of stream errors that come closest, where there is none of the same name. They are only logged."""


class BindingError(StreamError):
    """
    The client has violated BOSH itself: its session ends with a terminal binding condition.

    @ivar binding: the condition.
    """

    def __init__(self, binding: str, text: str | None = None) -> None:
        super().__init__(_STREAM_CONDITIONS.get(binding, binding), text)
        self.binding = binding

    def render(self) -> bytes:
        """Nothing: the condition is an attribute of C{<body/>}."""
        return b""

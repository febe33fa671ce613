# -*- test-case-name: tests.xmpp.test_guestnames -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The names of guests, who log in by SASL ANONYMOUS: random UUIDs (XEP-0175), by which they are told from others.

A name says all that is known of a guest, so nothing has to be remembered of them, and nothing can be forgotten.
"""

from __future__ import annotations

import re
import uuid
from typing import Final

_GUEST: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def newGuestName() -> str:
    """Make a name that nobody has had, and nobody can guess: a prepared localpart."""
    return str(uuid.uuid4())


def isGuestName(local: str) -> bool:
    """Whether a prepared localpart is a guest's, on a domain that has guests."""
    return len(local) == 36 and _GUEST.fullmatch(local) is not None

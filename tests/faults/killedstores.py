# Copyright (c) The muccore authors. See LICENSE for details.
"""
Servers and PostgreSQL that are killed 200 times at random moments while users write; C{KILLS} in the environment is
another number.
"""

from __future__ import annotations

import os
from typing import Final

from tests.endtoend import test_killedstores

KILLS: Final = int(os.environ.get("KILLS", "200"))


class ManyKilledSQLiteTests(test_killedstores.KilledSQLiteTests):
    """Most of them."""

    kills = KILLS - 2 * (KILLS // 7)


class ManyKilledPostgreSQLTests(test_killedstores.KilledPostgreSQLTests):
    """The others; of half of them, it is PostgreSQL that is killed."""

    kills = databaseKills = KILLS // 7

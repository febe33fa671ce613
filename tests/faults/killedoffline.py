# Copyright (c) The muccore authors. See LICENSE for details.
"""Many messages kept for somebody whose server is killed again and again."""

from tests.endtoend import test_killedoffline


class ManyKilledOfflineTests(test_killedoffline.KilledOfflineTests):
    """400 messages, 20 kills; it takes a minute."""

    messages, kills = 400, 20

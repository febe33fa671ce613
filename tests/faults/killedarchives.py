# Copyright (c) The muccore authors. See LICENSE for details.
"""Archives of busy rooms whose server is killed again and again."""

from tests.endtoend import test_killedarchive


class ManyKilledArchiveTests(test_killedarchive.KilledArchiveTests):
    """60 talkers, ten rooms, ten kills; it takes a minute."""

    rooms, talkers, kills = 10, 6, 10

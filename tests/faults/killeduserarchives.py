# Copyright (c) The muccore authors. See LICENSE for details.
"""Archives of many users whose server is killed again and again."""

from tests.endtoend import test_killeduserarchive


class ManyKilledUserArchiveTests(test_killeduserarchive.KilledUserArchiveTests):
    """40 talkers, ten kills; it takes minutes."""

    pairs, kills = 20, 10

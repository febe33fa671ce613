# Copyright (c) The muccore authors. See LICENSE for details.
"""Rooms with many occupants in them whose server is killed again and again."""

from tests.endtoend import test_places


class ManyKilledTests(test_places.KilledTests):
    """500 occupants, ten rooms, five kills under traffic; it takes a minute."""

    occupants, rooms, kills = 500, 10, 5

# Copyright (c) The muccore authors. See LICENSE for details.
"""Floor 5: what an operator does, and the command line in front of it."""

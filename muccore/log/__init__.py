# Copyright (c) The muccore authors. See LICENSE for details.
"""Floor 0: Twisted's logger with a threshold, and the events for operators."""

# Copyright (c) The muccore authors. See LICENSE for details.
"""Floor 5: a running server: its parts, listeners, start, reload and end."""

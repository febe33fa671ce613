# Copyright (c) The muccore authors. See LICENSE for details.
"""The whole server as a process of its own, with real clients."""

# Copyright (c) The muccore authors. See LICENSE for details.
"""Translation between stanzas and the rules of rooms, one kind of request a module."""

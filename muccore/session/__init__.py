# Copyright (c) The muccore authors. See LICENSE for details.
"""Floor 2: sessions, which are bound resources, and their registry."""

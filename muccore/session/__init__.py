# Copyright (c) The muccore authors. See LICENSE for details.
"""Floor 2: bound resources, and the registry of who is bound."""

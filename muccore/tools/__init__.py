# Copyright (c) The muccore authors. See LICENSE for details.
"""Floor 5: programs that make documents from the code."""

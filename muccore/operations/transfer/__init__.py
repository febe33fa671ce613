# Copyright (c) The muccore authors. See LICENSE for details.
"""Floor 5: moving accounts and rooms between servers, files and stores."""

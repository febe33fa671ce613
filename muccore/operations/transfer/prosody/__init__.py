# Copyright (c) The muccore authors. See LICENSE for details.
"""Floor 5: the data directory of Prosody as a source of accounts and rooms."""

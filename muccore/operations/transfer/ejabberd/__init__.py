# Copyright (c) The muccore authors. See LICENSE for details.
"""Floor 5: what ejabberd exports as a source of accounts and rooms."""

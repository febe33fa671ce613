# Copyright (c) The muccore authors. See LICENSE for details.
"""What stores in databases of rows have in common, whichever database it is."""

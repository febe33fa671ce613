# Copyright (c) The muccore authors. See LICENSE for details.
"""An example of a package that extends muccore. C{docs/writing-a-handler.md} explains it."""

# Copyright (c) The muccore authors. See LICENSE for details.
"""The failure of an operation."""


class Refused(Exception):
    """An operation failed; C{str()} of it is a line for the operator."""

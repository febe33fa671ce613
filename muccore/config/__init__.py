# -*- test-case-name: tests.config -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The configuration: L{muccore.config.schema} says what there is, L{muccore.config.load} reads a file by it and
L{muccore.config.docgen} writes the reference from it.
"""

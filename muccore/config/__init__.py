# -*- test-case-name: tests.config -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Floor 5: the configuration. L{muccore.config.schema} declares the options, L{muccore.config.load} reads a file and
L{muccore.config.docgen} generates the reference.
"""

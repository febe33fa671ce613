# Copyright (c) The muccore authors. See LICENSE for details.
"""Accounts elsewhere: backends that ask a program, a web service, a directory or PAM."""

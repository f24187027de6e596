"""Shared by all command lines: parsers, flag types, groups of flags, exit codes, commands to paste. The commands' work is elsewhere."""

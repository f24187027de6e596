"""What all command lines share: parsers, types of flags, groups of flags, exit codes, commands to paste. What a command does lies elsewhere."""

"""The operating system: processes, signals, files, locks, disks, terminals, and names valid in other programs. Nothing about models or drift."""

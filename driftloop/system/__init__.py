"""The machine under the project: processes, signals, files, locks, disks, terminals, and what other programs take as names. Nothing of models or drift."""

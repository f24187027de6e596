"""Table files: unpacks, decodes and reads them, each row with its line number. `data` interprets the columns."""

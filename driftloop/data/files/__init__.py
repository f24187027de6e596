"""Tables: unpacks, decodes and reads files, each row with its line number, and takes frames of other libraries. `data` interprets the columns."""

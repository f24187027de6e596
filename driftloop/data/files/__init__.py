"""The files that hold a table: unpacked, decoded, read, each row with its line. What the columns mean is decided in `data`."""

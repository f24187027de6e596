"""Measures one window of the log, as one document. No I/O except for reading the rows."""

"""Measures one window of the log, as one document. Pure except for reading the rows."""

"""What is measured in one window of the log, as one document. Pure but for reading the rows."""

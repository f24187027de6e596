"""Records on their way: files that take them before anything else does, and the shipper that brings them to the log and the monitor."""

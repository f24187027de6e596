"""The spool: files that buffer records durably, and the shipper that delivers them to the log and the monitor."""

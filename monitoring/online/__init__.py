"""The monitor: what the records of the last hours say of each stream, for Prometheus and for people."""

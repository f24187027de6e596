"""The monitor: analyses each stream's recent records, for Prometheus and for people."""

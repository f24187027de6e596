"""Turns alerts into retrains: the webhook, Alertmanager's messages, one retrain at a time."""

"""From an alert to a retrain: the webhook, what Alertmanager sends, one retrain at a time."""

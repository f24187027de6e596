"""Trains models and logs them: fits, the search, the base model, retrains. Nothing is served here."""

"""From rows to a trained model and its record: fits, the search, the base model, retrains. Nothing is served here."""

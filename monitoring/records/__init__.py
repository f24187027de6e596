"""The records of predictions and labels, and their validation."""

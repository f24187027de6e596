"""The records of predictions and labels, and the checks of what stands in them."""

"""Two models on the same rows: which one is better, at a stated rate of error whenever one stops."""

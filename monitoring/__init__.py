"""Long-running services around the lifecycle: the prediction log, the monitor, and what starts a retrain."""

"""Examples of the lifecycle on other streams."""

"""Models of MLflow's registry that the service asks in its own process: rows to a DataFrame, outputs to answers, the swap when an alias moves."""

"""The only access to MLflow: stores, experiments, runs, the registry. The rooms above create what is logged."""

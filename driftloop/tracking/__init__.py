"""MLflow's only door: stores, experiments, runs, the registry. What is logged is made in the rooms above."""

"""What a prediction is worth: tasks, goals, KPIs, baselines and the scores of blocks. Pure; whether a change is drift is decided in `drift`."""

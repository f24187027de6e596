"""What a prediction is worth: tasks, goals, KPIs, baselines, scores of blocks, the judge of a promotion. Pure; what is drift is decided in `drift`."""

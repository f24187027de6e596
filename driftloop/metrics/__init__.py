"""Tasks, goals, KPIs, baselines, scores of blocks, the judge of a promotion. Pure functions, no I/O; `drift` decides whether a change is drift."""

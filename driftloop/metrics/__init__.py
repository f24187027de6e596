"""Tasks, goals, KPIs, baselines and the scores of blocks. Pure functions, no I/O; `drift` decides whether a change is drift."""

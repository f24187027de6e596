"""Has the model drifted, and how? Pure functions of losses and features that return frozen values; no I/O here."""

"""Has the model drifted, and how? Pure functions of losses and features that answer with frozen values; nothing is read, written or started here."""

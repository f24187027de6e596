"""Rules that say whether a model has drifted, and how; each answers with a `Verdict`."""

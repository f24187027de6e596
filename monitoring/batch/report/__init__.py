"""The pages that batch monitoring writes: one window, the history of a stream, the list of reports."""

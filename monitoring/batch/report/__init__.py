"""The pages of batch monitoring: the report of one window, the history of a stream, the list of reports."""

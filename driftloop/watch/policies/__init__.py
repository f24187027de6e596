"""When a watch retrains: by alarm, by the calendar, by cost, or by updates after every block."""

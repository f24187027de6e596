"""Reads the time of each row: one format for a whole column, inferred from all its rows or declared, never mixed."""

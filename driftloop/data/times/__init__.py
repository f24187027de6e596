"""The time of each row: one way of writing for a whole column, inferred from all of its rows or declared, never mixed."""

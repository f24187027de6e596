"""What each column of a table is for and how its values become numbers: inferred from the training rows, overruled by a person.

`inference` says what a column is, `roles` finds the time column and the task, `choice` decides on the features, `columns` and `numerals` read
values, `encoding` turns them into the numbers of a stream's rows.
"""

"""What each column of a table is for and how its values become numbers: inferred from the training rows, overruled by a person."""

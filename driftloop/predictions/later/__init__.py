"""A table of predictions that grows: rows and labels that come later, and a watch that another process continues.

rows          the rows of a table as plain arrays, with what tells one from another
reading       how the first table was read, so that later ones are read alike
label_delay   which blocks wait for labels, and which are closed, that is judged for good
closed        what remains of closed blocks: the rule's state, figures, the rows that the diagnosis still needs
merge         joins later rows and labels to the open ones
state_file    all of that as a JSON file
"""

"""A table of predictions that grows: rows and labels that come later, and a watch that another process continues.

rows          the rows of a table as plain arrays, with what tells one from another
repeated      rows that repeat an id
first_reading how the first table was read
later_rows    reads later rows and labels alike
merge         joins them to the open rows
label_delay   which blocks wait for labels, and which are closed, that is judged for good
closed        what remains of closed blocks: the rule's state, figures, the rows that the diagnosis still needs
closing       takes that from a judgement
rule_state    the state of the rule as plain values
watch_state   all that a watch needs to continue
packed        values as JSON that is read back exactly
state_file    the state as a file of them
"""

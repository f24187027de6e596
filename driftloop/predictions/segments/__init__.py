"""The segments of a table of predictions: how columns are cut into them, and which of them have become worse.

segment_columns  cuts columns into segments, later rows as the first table
segment_state    what a watch keeps of its segments in order to continue
segment_evidence follows the e-values of all segments together, block by block
segment_judge    judges each of them, at one false-alarm rate over all
"""

"""Has the model become worse in one of many segments? Evidence for each, and the false-alarm rate over all of them; no I/O.

rises               for each segment the evidence that its mean loss has risen since its own reference rows: an e-process
segment_dependence  how many rows carry the information of one, from few rows of many segments
closed_test         combines the evidence of many segments: has any risen, and which ones, at one false-alarm rate
"""

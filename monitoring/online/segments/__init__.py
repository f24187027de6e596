"""The segments of a stream's rows: which of them have become worse, while the whole may not have yet.

first_rows       reads the rows that a version answered first, after a restart
served_segments  cuts the rows of one version, and judges each segment block by block
"""

"""Why has the KPI changed: the inputs, the relation of the labels to them, both, or neither?"""

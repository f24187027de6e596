"""Verdicts on a table of predictions and labels, whoever's model made them: no server, no training, no MLflow.

frame_watch        `driftloop.watch(frame, …)`: what people call, and its answer
predicted_table    reads the table: which rows, classes, probabilities and inputs there are
prediction_columns the columns of the predictions: classes, probabilities or values
table_judge        judges it block by block with the rules, the diagnosis and the scores of a served model's watch
table_notes        what to know of the figures, in sentences
segments           columns cut into segments, each judged at one false-alarm rate over all
table_why          why the KPI fell: the inputs by feature, the rest by segment
table_result       the result that the report and the JSON are made of
later              more rows and labels, and a watch that is continued
"""

"""The loop over a served model: predict, score, judge, retrain, swap; and the work of the scripts at the root."""

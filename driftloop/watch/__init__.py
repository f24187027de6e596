"""The loop over a served model: predict, score, judge, retrain, swap; and what the scripts at the root do with their flags."""

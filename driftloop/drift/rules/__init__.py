"""The drift rules: each takes the losses of one block after another and returns a `Verdict` for each."""

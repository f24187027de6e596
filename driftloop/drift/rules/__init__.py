"""When to alarm: rules that take the losses of one block after the other and answer each with a `Verdict`."""

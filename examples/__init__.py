"""Examples of the lifecycle on other streams."""

from driftloop import environment

environment.explain_missing()

"""Tests whether the inputs have moved: distances by feature, the joint distribution, and their null distributions."""

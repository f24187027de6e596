"""Have the inputs moved? Distances by feature, the joint distribution, and the nulls they are held against."""

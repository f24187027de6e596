"""New York taxi rides: how long will a trip take? A regression through the same lifecycle as ELEC."""

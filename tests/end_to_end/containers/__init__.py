"""docker-compose.yaml run for real: `make containers-test`. The images that no package registry gives have stand-ins."""

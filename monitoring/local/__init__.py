"""Runs the services on this machine, without containers or inside one: starts, feeds, supervises and stops them."""

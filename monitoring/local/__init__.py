"""The services on this machine, without containers or inside one: start, feed, supervise and end them."""

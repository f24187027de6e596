"""Tables and streams: from the bytes of a file to rows in time order, cut into blocks. Knows no models; those are in `metrics` and above."""

"""Tables and streams: from the bytes of a file to rows in time order, cut into blocks. What a model makes of them lies in `metrics` and above."""

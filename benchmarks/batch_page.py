def page(months, *, seconds, filled, large): return ""

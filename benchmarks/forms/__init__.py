"""Every form of weights, used in every way, in one table: see `benchmarks.forms.__main__`."""

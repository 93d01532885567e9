"""Everything that only a GPU shows, in one command and one JSON: see `benchmarks.gpu.__main__`."""

"""Sweeps: prompt versions × models × settings over rows, graded, compared, and kept.

`reading` makes a `Sweep` of what people write, `run` asks and grades, `result` is what came of it;
`sweeps` are those of a server. Knows no page and no HTTP.
"""

"""Public and own benchmarks of EleutherAI's lm-evaluation-harness (lm-eval), asked of a `Backend`.

`scoring` asks the backend and knows no lm-eval; `tasks` loads tasks, `language_model` is lm-eval's
view of a backend, `run` puts them together. lm-eval is the extra ``eval``: only `tasks`,
`language_model` and `run` import it, when they are called. Knows no page and no HTTP.
"""

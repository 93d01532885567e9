"""Training runs: schedule, trainer, checkpoints, memory plan. Knows no page and no HTTP."""

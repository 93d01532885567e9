"""Training jobs of a server: one queue, one at a time, in folders that outlive the process."""

from finetune.jobs.job import Job, State
from finetune.jobs.queue import Jobs

__all__ = ["Job", "Jobs", "State"]

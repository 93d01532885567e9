"""Training jobs of a server: one queue, one at a time, in folders that outlive the process."""

from playground.studio.jobs.job import Job, State
from playground.studio.jobs.queue import Jobs

__all__ = ["Job", "Jobs", "State"]

"""Jobs of a server: one queue, one job at a time, in folders that outlive the process."""

from playground.jobs.job import Job, Progress, State
from playground.jobs.kind import JobHooks, JobKind
from playground.jobs.queue import Jobs
from playground.jobs.snapshot import JobSnapshot, JobSummary

__all__ = [
    "Job",
    "JobHooks",
    "JobKind",
    "JobSnapshot",
    "JobSummary",
    "Jobs",
    "Progress",
    "State",
]

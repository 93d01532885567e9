"""Jobs of a server: one queue, one job at a time, in folders that outlive the process."""

from playground.studio.jobs.job import Job, Progress, State
from playground.studio.jobs.kind import JobHooks, JobKind
from playground.studio.jobs.queue import Jobs
from playground.studio.jobs.snapshot import JobSnapshot, JobSummary

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

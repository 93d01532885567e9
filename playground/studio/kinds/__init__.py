"""Kinds of jobs, one class each behind `playground.jobs.kind.JobKind`."""

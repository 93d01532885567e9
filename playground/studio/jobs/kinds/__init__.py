"""Kinds of jobs, one class each behind `playground.studio.jobs.kind.JobKind`."""

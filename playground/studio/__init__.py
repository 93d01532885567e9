"""The studio: training jobs and adapters of one server, over its running engine."""

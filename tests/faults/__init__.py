"""Agents report over a network that fails, to a service whose parts are killed."""

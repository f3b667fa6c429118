"""Runs handlers on subscriptions: lanes, retries, dead letters, grants, drain."""

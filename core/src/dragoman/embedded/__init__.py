"""The embedded broker: a durable log in one SQLite file, registered through the same hook as any plugin."""

"""The tests of the core; those of the brokers are in `plugins/`, the servers they need in `servers/`."""

"""What can be seen of a host from outside: metrics, health and traces. The log is `logging`'s."""

"""Worker processes: a supervisor keeps several hosts of one configuration running."""

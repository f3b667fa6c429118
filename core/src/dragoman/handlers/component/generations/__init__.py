"""One module for each generation of the `wasi:messaging` interface."""

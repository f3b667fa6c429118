"""The ways to write a handler: a Python function, or a WebAssembly component."""

"""Handlers that are WebAssembly components."""

"""What else than messaging a guest may import: keys and values, a log, settings, and what names them on wasmCloud."""

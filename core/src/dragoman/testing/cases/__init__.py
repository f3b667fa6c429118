"""The cases, grouped by theme; each is one short function whose docstring says what must be true."""

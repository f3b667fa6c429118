"""The configuration: loading, mistakes, schema."""

"""What every test of the workspace may ask for."""

# The servers in front: the groups import them, and pytest rewrites no asserts of what is imported already.
pytest_plugins = ["tests.servers.fixtures", "tests.groups", "tests.no_skips"]

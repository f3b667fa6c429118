"""What every test of the workspace may ask for."""

pytest_plugins = ["tests.groups", "tests.no_skips", "tests.servers.fixtures"]

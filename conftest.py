"""What every test of the workspace may ask for."""

pytest_plugins = ["tests.servers.fixtures"]

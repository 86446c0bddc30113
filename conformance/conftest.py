"""Loads the plugin where the package is not installed; installed, the entry point of the same name does."""

pytest_plugins = ["conformance.plugin"]

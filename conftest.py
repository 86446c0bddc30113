"""Loads the plugin in a checkout that is not installed; installed, the entry point of the same name does."""

pytest_plugins = ["conformance.plugin"]

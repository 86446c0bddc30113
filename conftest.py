"""Loads the plugin in a checkout that is not installed; installed, the entry point of the same name does."""

import os

os.environ["CONFORMANCE_CACHE"] = ""  # what a test changes must not meet what an earlier run has kept

pytest_plugins = ["conformance.plugin"]

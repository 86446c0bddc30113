"""Running: target names, the adapter contract and the worker processes that frameworks run in."""

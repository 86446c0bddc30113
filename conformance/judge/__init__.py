"""Judging: the reference and its bounds, the comparison with what a framework returned, and the verdict."""

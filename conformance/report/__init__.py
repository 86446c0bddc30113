"""Showing: the terminal and the HTML report, made from a result file alone."""

"""Recording: the result file, which every report is made from."""

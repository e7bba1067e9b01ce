"""`make bench`: ratios measured in one run, one JSON object a line."""

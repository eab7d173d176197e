"""A corpus in, results.json out: classifiers on frozen features."""

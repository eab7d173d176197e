"""What the `e2v` command runs, one tool a module."""

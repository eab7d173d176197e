"""Reading and writing weights: our encoder folders, published files."""

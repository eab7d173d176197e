"""Published weights read and written, and our encoder folders."""

"""From results.json to tables."""

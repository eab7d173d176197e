"""From results.json to tables and pages."""

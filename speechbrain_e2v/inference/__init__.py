"""Using trained models: features, labels, labels over time."""

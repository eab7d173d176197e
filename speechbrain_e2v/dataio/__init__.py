"""Corpora, manifests, splits, audio reading, batches and frozen features."""

"""Trained on some corpora, tested on another, the same classes everywhere."""

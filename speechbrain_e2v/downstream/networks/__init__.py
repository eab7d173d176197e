"""Supervised networks that the paper's tables compare with."""

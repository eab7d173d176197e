"""Ratings of utterances: arousal, valence, dominance, sentiment."""

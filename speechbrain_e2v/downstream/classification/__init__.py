"""Emotion classes of utterances."""

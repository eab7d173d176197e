"""Training loops: SpeechBrain Brains, checkpoints and training health."""

"""Using trained models: features, labels, labels over time."""

from speechbrain_e2v.inference.classifier import (
    EmotionClassifier as EmotionClassifier,
)

"""Using trained models: features, labels, labels over time."""

import importlib

_WHERE = {
    "EmotionClassifier": "classifier",
    "Emotion2vec": "extractor",
    "Features": "extractor",
    "Prediction": "classifier",
    "StreamingClassifier": "streaming",
    "emotion_timeline": "timeline",
}
__all__ = list(_WHERE)


def __getattr__(name: str) -> object:
    # Late: who wants features alone does not import the classifier.
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f"{__name__}.{_WHERE[name]}")
    return getattr(module, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

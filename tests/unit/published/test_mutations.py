"""Models that were damaged: read, or refused in words. `make fuzz` has more."""

from tests.robustness.mutations_published import cases, outcome


def test_mutated_models_are_read_or_refused_in_words(tmp_path):
    (tmp_path / "models").mkdir()
    outcomes = []
    for name, path in cases(11, tmp_path / "models", count=150):
        try:
            outcomes.append(outcome(path))
        except Exception as error:
            raise AssertionError(f"{name}: {error!r}") from error
    refused = [text for text in outcomes if text != "read"]
    assert len(refused) > 75
    assert not [text for text in refused if str(tmp_path) not in text]

"""The nine classes of emotion2vec+, and what other classes become in them."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import torch

from speechbrain_e2v.corpora.common_labels import CommonLabels
from speechbrain_e2v.corpora.utterance import Utterance
from speechbrain_e2v.inference.trained import TrainedClassifier
from speechbrain_e2v.published.head import NINE_TOKENS, read_labels

NINE = tuple(label.id for label in read_labels(NINE_TOKENS))
"""In the published order; boredom, calm and the like are ``other``."""
_OTHER = "other"
_LEAST_LOGIT = -1e4  # of a class that was never trained: probability 0


def labelled_in_nine(
    utterances: Iterable[Utterance], labels: CommonLabels
) -> list[Utterance]:
    """Those with a class, which is one of the nine then.

    >>> from speechbrain_e2v.corpora.common_labels import read_common_labels
    >>> rows = [Utterance("a", "a.wav", emo="joy", dataset="MELD")]
    >>> labelled_in_nine(rows, read_common_labels())[0].emo
    'happy'
    """
    known = [u for u in utterances if u.emo is not None]
    found = {}
    for data_set in {u.dataset for u in known}:
        names = {str(u.emo) for u in known if u.dataset == data_set}
        found[data_set] = labels.of_corpus(data_set, names)
    return [replace(u, emo=_nine(found[u.dataset][str(u.emo)])) for u in known]


def posteriors_in_nine(
    log_posteriors: torch.Tensor,
    trained: TrainedClassifier,
    labels: CommonLabels,
) -> torch.Tensor:
    """Log posteriors [N, outputs] as probabilities of the nine [N, 9]."""
    spelt = {
        label.text: [label.published, label.id, *label.published.split("/")]
        for label in trained.labels
    }
    places = [NINE.index(_nine(n)) for n in labels.of_model(spelt).values()]
    table = torch.zeros(len(log_posteriors), len(NINE), dtype=torch.float64)
    table.index_add_(1, torch.tensor(places), log_posteriors.double().exp())
    return table


def with_nine_tokens(trained: TrainedClassifier) -> TrainedClassifier:
    """A classifier of the nine under the names that are published.

    Its head can be written as FunASR lays it out (`published_head`): a class
    without training data has a finite logit there, and no probability.

    Raises ValueError for other classes, or another order.
    """
    found = tuple(label.id for label in trained.labels)
    if found != NINE:
        raise ValueError(
            f"the classes are {', '.join(found)}; a head as it is published "
            f"has {', '.join(NINE)}, in this order"
        )
    bias = trained.classifier.output_layer.bias
    with torch.no_grad():
        bias.clamp_(min=_LEAST_LOGIT)
    named = zip(trained.labels, NINE_TOKENS, strict=True)
    return replace(
        trained,
        labels=tuple(replace(label, published=token) for label, token in named),
    )


def codes(utterances: Sequence[Utterance]) -> list[int]:
    """Places among the nine."""
    return [NINE.index(str(u.emo)) for u in utterances]


def _nine(common: str | None) -> str:
    return common if common in NINE else _OTHER

"""The classes of a corpus and those of a model, brought together.

They meet in common ids. What one of the two lacks is never hidden: a predicted
class without a counterpart is an error, and a label without one stays a class
of its own, which nobody can predict.
"""

from dataclasses import dataclass

import torch

from speechbrain_e2v.corpora.common_labels import CommonLabels
from speechbrain_e2v.downstream.labelled_corpus import LabelledCorpus
from speechbrain_e2v.inference.label_view import LabelView
from speechbrain_e2v.inference.trained import TrainedClassifier


@dataclass(frozen=True)
class Meeting:
    """Where the labels of a corpus and the classes of a model meet.

    ``names`` are all classes that are scored or predicted; those that the
    model lacks come last. ``reference`` has the place of each (data set,
    class), ``groups`` the model's outputs that are added up for each name.
    """

    names: tuple[str, ...]
    reference: dict[tuple[str, str], int]
    groups: dict[int, tuple[int, ...]]

    @property
    def foreign(self) -> set[int]:
        """Places of classes of the corpus that the model lacks."""
        return set(self.reference.values()) - set(self.groups)

    @property
    def never_right(self) -> list[str]:
        """Classes of the model that the corpus lacks."""
        known = set(self.reference.values())
        return [self.names[i] for i in self.groups if i not in known]

    @property
    def predicted(self) -> tuple[str, ...]:
        """``names`` without what the model lacks."""
        return self.names[: len(self.groups)]

    def probabilities(self, log_posteriors: torch.Tensor) -> torch.Tensor:
        """Log posteriors [N, outputs] to probabilities [N, names]."""
        places = list(self.groups)
        names = tuple(self.names[i] for i in places)
        view = LabelView(names, names, tuple(self.groups.values()))
        table = torch.zeros(
            len(log_posteriors), len(self.names), dtype=torch.float64
        )
        table[:, places] = view.probabilities(log_posteriors.double())
        return table


def meet(
    labels: CommonLabels, corpus: LabelledCorpus, trained: TrainedClassifier
) -> Meeting:
    """Bring the classes of corpus and model together.

    Raises ValueError when they have no class in common.
    """
    spelt = {
        label.text: [label.published, label.id, *label.published.split("/")]
        for label in trained.labels
    }
    labels.require_used(corpus.classes, spelt)
    of_model = {
        name: common or f"{name} (only the model)"
        for name, common in labels.of_model(spelt).items()
    }
    of_corpus = {
        (data_set, name): common
        if common is not None and common in of_model.values()
        else f"{common or name} (only the corpus)"
        for data_set, classes in corpus.classes.items()
        for name, common in labels.of_corpus(data_set, classes).items()
    }
    shared = [n for n in of_corpus.values() if n in of_model.values()]
    names = list(
        dict.fromkeys([*shared, *of_model.values(), *of_corpus.values()])
    )
    groups: dict[int, tuple[int, ...]] = {}
    for output, name in enumerate(of_model.values()):
        place = names.index(name)
        groups[place] = (*groups.get(place, ()), output)
    reference = {key: names.index(name) for key, name in of_corpus.items()}
    meeting = Meeting(tuple(names), reference, groups)
    if not shared:
        raise ValueError(
            f"{corpus.name} has {', '.join(n for _, n in reference)}, the "
            f"model {', '.join(of_model)}: no class in common; give a table "
            "of labels (--label_map)"
        )
    return meeting

"""Changes that also change the targets: two utterances in one, fewer votes."""

from dataclasses import dataclass

import torch
from torch import Tensor

from speechbrain_e2v.lobes.lengths import SAMPLE_RATE


@dataclass(frozen=True)
class Mix:
    """Puts another utterance of the batch over or behind some of them.

    With ``probability``; of these ``overlap`` (a share) are spoken at once, the
    partner up to ``decibels`` louder or softer; the others one after the other
    with up to ``pause`` seconds between. Targets become the mean of both: of a
    distribution a mixture.

    >>> torch.manual_seed(0) and None
    >>> both = [torch.ones(800), torch.ones(500)]
    >>> mixed, targets = Mix(1.0, overlap=1.0)(both, torch.eye(2))
    >>> [len(wav) for wav in mixed], targets.tolist()
    ([800, 800], [[0.5, 0.5], [0.5, 0.5]])
    """

    probability: float = 0.2
    overlap: float = 0.5
    decibels: float = 5.0
    pause: float = 0.5

    def __call__(
        self, waveforms: list[Tensor], targets: Tensor
    ) -> tuple[list[Tensor], Tensor]:
        """Mix some; in a batch of one there is nobody to mix with."""
        count = len(waveforms)
        if count < 2:
            return waveforms, targets
        chosen = torch.rand(count) < self.probability
        at_once = torch.rand(count) < self.overlap
        # 1 to count - 1 places further on: never the utterance itself.
        steps = torch.randint(1, count, (count,))
        draws = torch.rand(count)
        changed, mixed = list(waveforms), targets.clone()
        for i in chosen.nonzero().flatten().tolist():
            j = (i + int(steps[i])) % count
            draw = float(draws[i])
            if at_once[i]:
                level = self.decibels * (2 * draw - 1)
                changed[i] = _at_once(waveforms[i], waveforms[j], level)
            else:
                silence = round(draw * self.pause * SAMPLE_RATE)
                parts = [waveforms[i], torch.zeros(silence), waveforms[j]]
                changed[i] = torch.cat(parts)
            mixed[i] = (targets[i] + targets[j]) / 2
        return changed, mixed


def _at_once(first: Tensor, second: Tensor, decibels: float) -> Tensor:
    length = max(len(first), len(second))
    found = torch.zeros(length)
    found[: len(first)] = first
    loudness = first.norm() / len(first) ** 0.5
    other = second.norm().clamp(min=1e-8) / len(second) ** 0.5
    gain = 10 ** (decibels / 20) * loudness / other
    found[: len(second)] += gain * second
    return found


@dataclass(frozen=True)
class AnnotatorDropout:
    """Leaves out each vote with a probability, never all of an utterance.

    For targets that count votes. ``classes`` are the first columns that do;
    None: all (a multitask's ratings stand behind them).

    >>> torch.manual_seed(0) and None
    >>> _, kept = AnnotatorDropout(0.5)([], torch.tensor([[3.0, 1], [1, 0]]))
    >>> kept.sum(1).min() >= 1, bool((kept <= torch.tensor([3, 1])).all())
    (tensor(True), True)
    """

    probability: float = 0.2
    classes: int | None = None

    def __call__(
        self, waveforms: list[Tensor], targets: Tensor
    ) -> tuple[list[Tensor], Tensor]:
        """Drop votes; waveforms stay. ValueError for other than counts."""
        votes = targets[:, : self.classes]
        if not torch.equal(votes, votes.round()):
            raise ValueError(
                "annotator dropout needs counts of votes, but the targets are "
                "shares: put it before mixing, and give soft_targets counts"
            )
        kept = torch.binomial(
            votes, torch.full_like(votes, 1 - self.probability)
        )
        some = kept.sum(dim=1, keepdim=True) > 0
        changed = targets.clone()
        changed[:, : self.classes] = torch.where(some, kept, votes)
        return waveforms, changed

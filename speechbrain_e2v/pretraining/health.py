"""Figures that show whether self-distillation is alive, and a stop if not."""

import dataclasses
from collections.abc import Iterable

import torch

MAX_ROWS = 1024


def effective_rank(x: torch.Tensor, max_rows: int = MAX_ROWS) -> float:
    """Number of directions that features use.

    The exponential of the entropy of the normalised singular values (Roy and
    Vetterli, 2007). Not centred: frames that are all alike give 1, also when
    small noise rides on them.

    `x` [N, D] are real frames or utterances; more than `max_rows` are thinned
    evenly. 1 to min(N, D); 0 for zeros, NaN for non-finite values.

    >>> round(effective_rank(torch.eye(5)), 4)
    5.0
    >>> round(effective_rank(torch.ones(7, 3)), 4)
    1.0
    """
    x = x.detach().float()
    x = x[:: -(-len(x) // max_rows)]
    if not torch.isfinite(x).all():
        return float("nan")
    singular = torch.linalg.svdvals(x)
    share = singular / singular.sum().clamp(min=torch.finfo(x.dtype).tiny)
    if not share.any():
        return 0.0
    return torch.special.entr(share).sum().exp().item()


def channel_std(x: torch.Tensor) -> torch.Tensor:
    """Standard deviation of every channel of [N, D] over frames, [D], fp32."""
    return x.detach().float().std(dim=0, unbiased=False)


def utterance_spread(targets: torch.Tensor) -> float:
    """How much utterance targets [B, D] differ between utterances.

    Mean over D of the standard deviation over B. Zero for the `released`
    target, which is the same for every utterance: the time average of a target
    normalised over time.
    """
    return channel_std(targets).mean().item()


@torch.no_grad()
def teacher_distance(
    student: Iterable[torch.Tensor], teacher: Iterable[torch.Tensor]
) -> float:
    """||student - teacher|| / ||student||, over all parameters together.

    >>> teacher_distance([torch.tensor([3.0, 4.0])], [torch.zeros(2)])
    1.0
    """
    weights = list(student)
    difference = torch._foreach_sub(weights, list(teacher))
    total_norm = torch.nn.utils.get_total_norm
    return (total_norm(difference) / total_norm(weights)).item()


def feature_health(**features: torch.Tensor) -> dict[str, float]:
    """``std_<name>``, the mean over channels, and ``rank_<name>``.

    Features are real frames [N, D] under a name, such as ``conv=``.

    >>> figures = feature_health(target=torch.eye(4))
    >>> round(figures["std_target"], 3), round(figures["rank_target"], 3)
    (0.433, 4.0)
    """
    figures = {}
    for name, x in features.items():
        figures[f"std_{name}"] = channel_std(x).mean().item()
        figures[f"rank_{name}"] = effective_rank(x)
    return figures


class CollapseError(FloatingPointError):
    """Training has reached a solution that says nothing about its input."""


@dataclasses.dataclass(frozen=True)
class CollapseThresholds:
    """Smallest figures of a living run; None switches a check off.

    The variance of targets and predictions is what the released code watches,
    with these two numbers, from update 5000 on. The convolutional features
    need a check of their own: when they stop following the signal, targets can
    still vary with position.

    >>> CollapseThresholds(after_updates=200).std_target
    0.1
    """

    after_updates: int = 5000
    std_target: float | None = 0.1
    std_prediction: float | None = 0.01
    std_conv: float | None = 0.01
    rank_conv: float | None = 2.0
    rank_target: float | None = 2.0


ADVICE = {
    "conv": "Local features have stopped following the signal: lower lr, "
    "lengthen the warm-up, and listen to a few files (silence, clipping).",
    "target": "The teacher's targets have collapsed: lower lr, lengthen the "
    "warm-up, start tau higher (a slower teacher), and use a larger batch.",
    "prediction": "The student predicts one vector: lower lr, lengthen the "
    "warm-up, use more clones and a larger batch, and mask less.",
}


def check_collapse(
    figures: dict[str, float], update: int, thresholds: CollapseThresholds
) -> None:
    """Raise CollapseError, with the figures and what to change, when they say.

    Figures that are not finite count as collapsed; a watched one that is
    missing is a KeyError.
    """
    limits = dataclasses.asdict(thresholds)
    if update <= limits.pop("after_updates"):
        return
    broken = [
        name
        for name, smallest in limits.items()
        if smallest is not None and not figures[name] >= smallest
    ]
    if not broken:
        return
    lines = [
        f"  {name} = {figures[name]:.4g}, below {limits[name]:g}"
        for name in broken
    ]
    kinds = dict.fromkeys(name.partition("_")[2] for name in broken)
    advice = [f"  {ADVICE[kind]}" for kind in kinds]
    raise CollapseError(
        "\n".join(
            [
                f"Collapse at update {update}:",
                *lines,
                *advice,
                "  Thresholds are settings: see CollapseThresholds.",
            ]
        )
    )

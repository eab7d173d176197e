"""What every figure should reach: the one list of rows and goals."""

from typing import NamedTuple


class Goal(NamedTuple):
    """One row of the table.

    Arguments
    ---------
    work : str
        What is done.
    unit : str
        "x": how many times as fast as the peer; "GiB": memory over the
        resident model; "RTF": seconds of work a second of audio; "s", "ms";
        "%": of what the machine can do.
    value : float or None
        Goal: at least for "x", at most otherwise; None: told, not judged.
    limit : float or None
        What the arithmetic of the machine of the goals allows.

    Example
    -------
    >>> GOALS["clip_3s_fp32"].met(1.6), GOALS["masks"].met(1.6)
    (True, False)
    """

    work: str
    unit: str
    value: float | None
    limit: float | None = None

    def met(self, figure):
        """Say whether a figure reaches the goal; None without a goal."""
        if self.value is None or figure is None:
            return None
        if self.unit == "x":
            return figure >= self.value
        return figure <= self.value


GOALS = {
    "clip_3s_fp32": Goal("one 3 s clip, fp32", "x", 1.5, 1.68),
    "clip_3s_bf16": Goal("one 3 s clip, bf16", "x", 2.8, 3.7),
    "clip_30s_fp32": Goal("one 30 s clip, fp32", "x", 2.0, 2.3),
    "clip_30s_bf16": Goal("one 30 s clip, bf16", "x", 3.3, 4.5),
    "clips_16x3s_fp32": Goal("16 clips of 3 s, fp32", "x", 1.4, 1.55),
    "clips_16x3s_bf16": Goal("16 clips of 3 s, bf16", "x", 2.4, 3.1),
    "extract_command": Goal(
        "clips of 1-15 s through `e2v extract`, the whole command", "x", 1.4
    ),
    "long_60s_memory": Goal("60 s: memory over the model", "GiB", 0.1),
    "long_60s_memory_peer": Goal("60 s: the peer's memory", "GiB", None),
    "long_60s_speed": Goal("60 s: speed", "x", 1.6),
    "long_300s_memory": Goal("300 s, exact: memory", "GiB", 0.6),
    "long_300s_rtf": Goal("300 s, exact: speed", "RTF", 0.4),
    "long_hour_memory": Goal("one hour, exact: whole process", "GiB", 24.0),
    "long_hour_rtf": Goal("one hour, exact: speed", "RTF", None),
    "step_small_fp32": Goal("pre-training step, small, fp32", "x", 1.4),
    "step_small_bf16": Goal("pre-training step, small, bf16", "x", 3.0),
    "step_base_fp32": Goal("pre-training step, base, fp32", "x", 1.2, 1.44),
    "step_base_bf16": Goal("pre-training step, base, bf16", "x", 2.2, 2.8),
    "masks": Goal("block masks, 32 x 499", "ms", 1.0),
    "sampler_start": Goal("sampler over 170,000 lengths", "s", 0.1),
    "lengths": Goal("lengths of 170,000 wav files, warm", "s", 3.0),
    "import": Goal("`import speechbrain_e2v` over `import torch`", "s", 0.3),
    "import_inference": Goal(
        "`import speechbrain_e2v.inference.extractor` over torch", "s", None
    ),
    "e2v_help": Goal("`e2v --help`", "s", 1.0),
    "conversation_seconds": Goal(
        "emotion prediction in conversation, ten folds of IEMOCAP's size",
        "s",
        300.0,
    ),
    "conversation_products": Goal(
        "its matrix products alone, at the machine's peak", "s", None
    ),
    "probe_seconds": Goal(
        "probe on utterance means, ten folds, five seeds, 535 clips", "s", 60.0
    ),
    "probe_together": Goal(
        "the same, one seed: ten heads as one over one by one", "x", None
    ),
    "probe_frames_share": Goal(
        "the paper's probe on frames: share of the matmul peak", "%", None
    ),
    "probe_frames_seconds": Goal(
        "the paper's probe on frames, ten folds", "s", None
    ),
}

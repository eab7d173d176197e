"""The frozen teacher: two of its layers, computed or read from a cache."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import torch

from speechbrain_e2v.files.atomic import replaced_file
from speechbrain_e2v.lobes.batching import layer_indices, waveform_batch
from speechbrain_e2v.lobes.waveform_encoder import WaveformEncoder
from speechbrain_e2v.published.encoder_folder import weights_digest
from speechbrain_e2v.published.state_dict_check import (
    as_safetensors,
    read_safetensors,
)


class FrozenTeacher:
    """Targets of whole utterances, of two layers of an encoder.

    `layers` are the one half way up and the upper one, as
    :mod:`speechbrain_e2v.lobes.batching` counts them: of WavLM large 12 and 24.
    No LayerNorm follows the last block. With a `cache` folder, what was
    computed once is read again: its files are named by weights, layers and
    waveform.

    >>> from speechbrain_e2v.lobes.wavlm import WavLMEncoder
    >>> encoder = WavLMEncoder(
    ...     embed_dim=48, num_heads=4, depth=2, conv_channels=32,
    ...     pos_conv_groups=4)
    >>> teacher = FrozenTeacher(encoder, [1, 2])
    >>> low, high = teacher([torch.randn(16000), torch.randn(9000)], 30)
    >>> low.shape, low[1, 27:].any().item()
    (torch.Size([2, 30, 48]), False)
    """

    def __init__(
        self,
        encoder: WaveformEncoder,
        layers: Sequence[int],
        device: torch.device | str = "cpu",
        cache: str | Path | None = None,
    ):
        if len(layers) != 2:
            raise ValueError(
                f"teacher_layers is {list(layers)}: give two, the one half way "
                "up and the upper one"
            )
        self.layers = [
            index
            for layer in layers
            for index in layer_indices(layer, encoder.num_layers)
        ]
        self.encoder = encoder.to(device).eval().requires_grad_(False)
        self.device = torch.device(device)
        self.cache = None if cache is None else Path(cache)
        of = {"weights": weights_digest(encoder), "layers": self.layers}
        self._of = json.dumps(of).encode()

    @torch.no_grad()
    def __call__(
        self, waveforms: Sequence[torch.Tensor], frames: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Lower and upper targets [B, frames, D] of waveforms [S], float32.

        The teacher hears a waveform whole, normalised; of its frames the first
        ones are given, and zeros where there are none.
        """
        files = [self._file(wav, frames) for wav in waveforms]
        found: dict[int, torch.Tensor] = {
            row: read_safetensors(file)["targets"].to(self.device)
            for row, file in enumerate(files)
            if file is not None and file.is_file()
        }
        missing = [row for row in range(len(waveforms)) if row not in found]
        if missing:
            computed = self._compute([waveforms[row] for row in missing])
            for row, target in zip(missing, computed, strict=True):
                found[row] = target[:, :frames].contiguous()
                _keep(files[row], found[row])
        width = self.encoder.embed_dim
        targets = torch.zeros(
            2, len(waveforms), frames, width, device=self.device
        )
        for row, target in found.items():
            targets[:, row, : target.shape[1]] = target
        return targets[0], targets[1]

    def _compute(self, waveforms: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Both layers of each waveform, [2, T, D]."""
        batch = waveform_batch(waveforms, self.device)
        kept = {}
        with torch.autocast(self.device.type, enabled=False):
            states = self.encoder.states(batch.wav, batch.lengths)
            for index, state in enumerate(states):
                if index in self.layers:
                    kept[index] = state.float()
                if index == max(self.layers):
                    break
        both = torch.stack([kept[index] for index in self.layers])
        counts = self.encoder.num_frames(batch.samples).tolist()
        return [both[:, row, :count] for row, count in enumerate(counts)]

    def _file(self, wav: torch.Tensor, frames: int) -> Path | None:
        if self.cache is None:
            return None
        # Not by `frames`: a batch is as long as its longest utterance.
        own = min(frames, self.encoder.num_frames(len(wav)))
        digest = hashlib.sha256(self._of + str(own).encode())
        digest.update(wav.contiguous().numpy().data)
        name = digest.hexdigest()
        return self.cache / name[:2] / f"{name}.safetensors"


def _keep(file: Path | None, target: torch.Tensor) -> None:
    if file is None:
        return
    with replaced_file(file) as unfinished:
        unfinished.write_bytes(as_safetensors({"targets": target}))

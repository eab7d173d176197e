"""Features of many clips into a folder, stopped and gone on with at will.

Batches are planned over all clips, whatever is there already and however many
processes share them: a run that was killed gives, when it goes on, the numbers
of a run that was not.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from speechbrain_e2v.console import progress_bar
from speechbrain_e2v.inference.clips import Clip, measure, read_batches
from speechbrain_e2v.inference.extractor import Emotion2vec, Features
from speechbrain_e2v.inference.feature_files import content_of, is_made_of
from speechbrain_e2v.inference.feature_index import Content
from speechbrain_e2v.inference.read_ahead import read_ahead
from speechbrain_e2v.inference.shard import Shard
from speechbrain_e2v.lobes.batching import Layer
from speechbrain_e2v.lobes.lengths import SAMPLE_RATE


class Writer(Protocol):
    """`FeatureFiles` or `StoreFiles`."""

    def made_of(self, name: str) -> Content | None:
        """Content of a clip that is there."""

    def write(self, name: str, features: Features, content: Content) -> None:
        """Add a clip."""


@dataclass
class Report:
    """What came of one process's clips."""

    written: int = 0
    seconds: float = 0.0
    there: int = 0
    changed: int = 0
    errors: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Extraction:
    """What is computed: all that `Emotion2vec.encode` needs to know."""

    model: Emotion2vec
    granularity: str
    layer: Layer
    pad_short: bool = False
    window: float | None = None
    batch_seconds: float | None = None

    def run(
        self, clips: Sequence[Clip], writer: Writer, shard: Shard
    ) -> Report:
        """Write what is missing or was made of other content.

        Raises ValueError when an id is there, made of another file.
        """
        report = Report()
        mine = shard.part(clips)
        minimum = 1 if self.pad_short else self.model.min_samples
        lengths = measure(mine, minimum, progress=shard.rank == 0)
        report.errors += [str(x) for x in lengths if not isinstance(x, int)]
        missing = self._missing(mine, lengths, writer, report)
        # Every process knows all lengths: then all have the same plan.
        plan = self.model.batches(
            shard.interleaved(lengths), self.batch_seconds
        )
        wanted = shard.interleaved(missing)
        batches = [
            batch
            for batch in shard.part(plan)
            if any(wanted[index] for index in batch)
        ]
        total = sum(
            length
            for length, is_missing in zip(lengths, missing, strict=True)
            if is_missing and isinstance(length, int)
        )
        with progress_bar(
            total=round(total / SAMPLE_RATE),
            desc="audio",
            unit="s",
            disable=shard.rank > 0,
        ) as bar:
            for found in read_batches(clips, batches, minimum):
                waveforms = {}
                for index, waveform in found.items():
                    if isinstance(waveform, ValueError):
                        report.errors.append(str(waveform))
                    else:
                        waveforms[index] = waveform
                if not waveforms:
                    continue
                features = self.model.encode(
                    list(waveforms.values()),
                    [clips[index].name for index in waveforms],
                    self.granularity,
                    self.layer,
                    self.pad_short,
                    self.window,
                )
                for index, values in zip(waveforms, features, strict=True):
                    if wanted[index]:
                        clip = clips[index]
                        writer.write(clip.name, values, content_of(clip))
                        report.written += 1
                        report.seconds += values.seconds
                bar.set_postfix(bad=len(report.errors), refresh=False)
                bar.update(round(report.seconds) - bar.n)
        return report

    def _missing(
        self,
        clips: Sequence[Clip],
        lengths: Sequence[int | ValueError],
        writer: Writer,
        report: Report,
    ) -> list[bool]:
        known = {
            index: writer.made_of(clip.name)
            for index, (clip, length) in enumerate(
                zip(clips, lengths, strict=True)
            )
            if isinstance(length, int)
        }
        missing = [
            index in known and known[index] is None
            for index in range(len(clips))
        ]
        to_compare = [index for index, there in known.items() if there]
        for index, now in progress_bar(
            read_ahead(lambda i: content_of(clips[i]), to_compare),
            total=len(to_compare),
            desc="what is there",
            delay=1,
        ):
            missing[index] = not is_made_of(
                clips[index].name, known[index], now
            )
            report.changed += missing[index]
        report.there += sum(i in known and not missing[i] for i in known)
        return missing

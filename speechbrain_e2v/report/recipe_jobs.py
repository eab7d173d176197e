"""Commands of recipes: what every job is told, and what makes one differ."""

import importlib.util
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from speechbrain_e2v.published.load import load_pretrained
from speechbrain_e2v.report.find_corpora import load_corpus, speakers_of
from speechbrain_e2v.report.formats import file_name
from speechbrain_e2v.report.jobs import Job

FLOORS = {
    "constant": "constant",
    "prior": "prior",
    "mfcc": "MFCC statistics",
    "egemaps": "eGeMAPS",
    "random": "random encoder",
}
"""Name on the command line, and the column's."""


@dataclass(frozen=True)
class JobOptions:
    """What holds for all jobs of a command.

    ``output`` has a folder a job, and ``features`` which they share.
    """

    checkout: Path
    output: Path
    allow_partial: bool = False
    seeds: tuple[int, ...] = ()
    number_of_epochs: int | None = None
    device: str | None = None

    @property
    def recipes(self) -> Path:
        """The recipes of the checkout."""
        return self.checkout / "recipes"

    @property
    def probes(self) -> Path:
        """Experiments of any recipe."""
        return self.checkout / "hparams" / "probes"

    @property
    def cache(self) -> Path:
        """Features of all jobs."""
        return self.output.resolve() / "features"

    def training(self, epochs: bool = True) -> list[object]:
        """Options of what is trained from random weights."""
        words: list[object] = []
        if epochs and self.number_of_epochs is not None:
            words += ["--number_of_epochs", self.number_of_epochs]
        if self.seeds:
            words += ["--seeds", list(self.seeds)]
        return words

    def job(
        self,
        recipe: str,
        folder: Path,
        yaml: Path,
        protocol: str,
        n_folds: int,
        features: str,
        words: Sequence[object] = (),
        encoder: str | None = None,
        named: str = "",
    ) -> Job:
        """A run of a recipe on a folder.

        ``features`` is its column, ``words`` what is added to the command,
        ``named`` its corpus where several experiments share one.
        """
        corpus = recipe
        if recipe == "Custom":
            corpus = f"{recipe}: {folder.resolve().name}"
        named = named or corpus
        output = self.output.resolve().joinpath(
            *(file_name(name) for name in (named, protocol, features))
        )
        n_folds = self._folds(recipe, protocol, n_folds, folder)
        command: list[object] = [self.recipes / recipe / "train.py", yaml]
        command += ["--data_folder", folder.resolve()]
        command += ["--protocol", protocol, "--n_folds", n_folds]
        command += ["--output_folder", output, "--noprogressbar"]
        command += ["--feature_cache", self.cache]
        command += ["--strict_counts", not self.allow_partial]
        command += words
        if self.device:
            command += ["--device", self.device]
        told = tuple(str(word) for word in command)
        return Job(named, protocol, features, told, output, encoder, folder)

    def _folds(
        self, recipe: str, protocol: str, n_folds: int, folder: Path
    ) -> int:
        """A part of a corpus may have fewer speakers than there are folds."""
        if protocol != "speaker_kfold" or not self.allow_partial:
            return n_folds
        corpus = load_corpus(self.recipes / recipe)
        return min(n_folds, max(3, len(speakers_of(corpus, folder))))


def options_as_words(
    options: Mapping[str, str | int | float],
) -> list[object]:
    """``--key value`` of each.

    >>> options_as_words({"inputs": "bert", "text_dim": 768})
    ['--inputs', 'bert', '--text_dim', 768]
    """
    return [word for k, value in options.items() for word in (f"--{k}", value)]


def recipe_folders(checkout: Path) -> dict[str, Path]:
    """The recipes of a checkout, by name.

    Raises ValueError where there are none.
    """
    folder = checkout / "recipes"
    there = {
        path.parent.name: path.parent
        for path in sorted(folder.glob("*/train.py"))
    }
    if not there:
        raise ValueError(
            f"there are no recipes in {folder}; run from a checkout of the "
            "repository (pip install -e .)"
        )
    return there


def read_encoders(given: Iterable[str]) -> dict[str, str]:
    """``[NAME=]SOURCE`` by column, each read once: a bad one ends at once."""
    encoders: dict[str, str] = {}
    for text in given:
        name, source = name_and_source(text)
        try:
            load_pretrained(source)
        except (ValueError, OSError) as error:
            raise ValueError(f"encoder: {error}") from error
        name = name or _name_of(source)
        if name in encoders or name in FLOORS.values():
            raise ValueError(
                f"encoder: two columns would be called {name}; name them: "
                f"--encoder one={source} two=..."
            )
        encoders[name] = source
    return encoders


def name_and_source(text: str) -> tuple[str, str]:
    """The parts of ``NAME=SOURCE``; a source that is a path is whole.

    >>> name_and_source("mine=emotion2vec/emotion2vec_base")
    ('mine', 'emotion2vec/emotion2vec_base')
    """
    name, _, source = text.rpartition("=")
    if Path(text).exists():
        name, source = "", text
    path = Path(source).expanduser()
    return name, str(path.resolve()) if path.exists() else source


def without_opensmile(floors: Iterable[str]) -> list[str]:
    """The floors that can be run here."""
    floors = list(floors)
    if "egemaps" not in floors or importlib.util.find_spec("opensmile"):
        return floors
    print("eGeMAPS is left out: pip install 'speechbrain_e2v[egemaps]'")
    return [name for name in floors if name != "egemaps"]


def _name_of(source: str) -> str:
    """``base`` of base.pt, ``pretrain`` of pretrain/encoder, else the last."""
    path = Path(source)
    if path.is_file():
        return path.stem
    return path.parent.name if path.name == "encoder" else path.name

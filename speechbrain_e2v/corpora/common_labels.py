"""One id for what every corpus and model spells in its own way.

The shipped table has the classes of all recipes and of emotion2vec+; a file of
the same form, of a user's own, goes before it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from speechbrain_e2v.files.documents import BadDocument, read_yaml
from speechbrain_e2v.files.foreign_text import checked_label

SHIPPED = Path(__file__).with_name("common_labels.yaml")
_WAY_OUT = "correct the table of labels"
_Names = dict[str, str | None]


class _Table(msgspec.Struct, forbid_unknown_fields=True):
    labels: _Names = {}
    corpora: dict[str, _Names] = {}
    model: _Names = {}


@dataclass(frozen=True)
class CommonLabels:
    """Ids of classes, by what corpus or model they belong to.

    >>> labels = read_common_labels()
    >>> labels.of_corpus("EmoDB", ["anger", "boredom", "hm"])
    {'anger': 'angry', 'boredom': 'bored', 'hm': None}
    """

    tables: tuple[_Table, ...]
    own: Path | None = None

    def of_corpus(
        self, corpus: str, classes: Iterable[str]
    ) -> dict[str, str | None]:
        """Class of a corpus to its id, None where it has none."""
        return {
            name: self._id(
                [
                    names
                    for table in self.tables
                    for names in (table.corpora.get(corpus, {}), table.labels)
                ],
                [name],
            )
            for name in classes
        }

    def of_model(
        self, classes: Mapping[str, Iterable[str]]
    ) -> dict[str, str | None]:
        """Class of a model to its id; ``classes`` has all names of each.

        >>> read_common_labels().of_model({"开心": ["happy"], "x": []})
        {'开心': 'happy', 'x': None}
        """
        tables = [n for t in self.tables for n in (t.model, t.labels)]
        return {
            name: self._id(tables, [name, *others])
            for name, others in classes.items()
        }

    def require_used(
        self,
        corpora: Mapping[str, Iterable[str]],
        model: Mapping[str, Iterable[str]] | None = None,
    ) -> None:
        """Refuse names of the user's table that nothing here has.

        ``corpora`` are the classes of each, ``model`` is as in
        :meth:`of_model`.

        Raises ValueError naming the file and the name.
        """
        if self.own is None:
            return
        own = self.tables[0]
        of_model = {name for k, v in (model or {}).items() for name in (k, *v)}
        everywhere = {n for names in corpora.values() for n in names}
        for corpus, names in own.corpora.items():
            if corpus not in corpora:
                raise self._bad(
                    f"corpora: no {corpus!r} is tested here, but "
                    f"{', '.join(corpora)}"
                )
            self._require(names, corpora[corpus], corpus)
        self._require(own.model, of_model, "the model")
        self._require(own.labels, everywhere | of_model, "nothing here")

    def _require(
        self, names: Iterable[str], known: Iterable[str], whose: str
    ) -> None:
        known = sorted(set(known))
        for name in names:
            if _plain(name) not in map(_plain, known):
                has = "has" if whose == "nothing here" else "has no"
                raise self._bad(
                    f"{whose} {has} class {name!r}; there are "
                    f"{', '.join(known)}"
                )

    def _bad(self, problem: str) -> BadDocument:
        return BadDocument(f"{self.own}: {problem}: {_WAY_OUT}.")

    @staticmethod
    def _id(tables: Iterable[_Names], names: Iterable[str]) -> str | None:
        """By the first table that has any of the names."""
        spelt = [_plain(name) for name in names]
        for table in tables:
            found = {_plain(name): common for name, common in table.items()}
            for name in spelt:
                if name in found:
                    return found[name]
        return None


def read_common_labels(own: str | Path | None = None) -> CommonLabels:
    """The shipped table, behind one of the user's own.

    Raises BadDocument naming file and key; FileNotFoundError.
    """
    paths = ([Path(own)] if own is not None else []) + [SHIPPED]
    tables = []
    for path in paths:
        table = read_yaml(path, _Table, way_out=_WAY_OUT)
        for names in (table.labels, table.model, *table.corpora.values()):
            _check(path, names)
        tables.append(table)
    return CommonLabels(tuple(tables), None if own is None else Path(own))


def _check(path: Path, names: _Names) -> None:
    spelt: dict[str, str] = {}
    for name, common in names.items():
        if spelt.setdefault(_plain(name), name) != name:
            raise BadDocument(
                f"{path}: {name!r} and {spelt[_plain(name)]!r} are one name: "
                f"{_WAY_OUT}."
            )
        if common is not None:
            try:
                checked_label(common)
            except ValueError as error:
                raise BadDocument(f"{path}: {name}: {error}") from None


def _plain(name: str) -> str:
    return " ".join(name.casefold().split())

"""The parts of the pseudo-label experiment, and a run on generated speech."""

import json

from speechbrain_e2v.corpora.manifest import read_manifest, write_manifest
from speechbrain_e2v.corpora.prepare import prepare
from tests.recipes.fake_corpora import recipe


def test_parts_and_scores(script, generated_corpus, tmp_path, capsys):
    module = script("pseudo_labels")
    found = prepare(
        recipe("Synthetic"), generated_corpus, tmp_path / "all",
        strict_counts=False, progress=False,
    )  # fmt: skip
    rows = read_manifest(found)
    test, train, valid, pool = module.drawn_parts(0, rows * 10)
    assert len({u.spk for u in test}) == 1
    assert {u.spk for u in test}.isdisjoint(u.spk for u in train + pool)
    assert [len(part) for part in (train, valid, pool)] == [24, 12, 324]
    assert len(train + valid + pool + test) == 480
    # Clips again under other ids, so that a tenth has several classes.
    from dataclasses import replace

    many = [replace(u, id=f"{u.id}.{i}") for u in rows for i in range(4)]
    manifest = write_manifest(tmp_path / "many.json", many, generated_corpus)
    module.main(
        ["--manifests", str(manifest), "--output", str(tmp_path / "out"),
         "--threshold", "0.5", "--seeds", "2"]
    )  # fmt: skip
    content = json.loads((tmp_path / "out/pseudo_labels.json").read_text())
    assert len(content["runs"]) == 2
    for run in content["runs"]:
        assert set(run["scores"]) == {"tenth", "pseudo", "all"}
        assert 0 <= run["kept"] <= run["counts"][2]
    assert "gap_recovered" in capsys.readouterr().out

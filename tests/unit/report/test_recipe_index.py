"""The index of recipes and the plans behind it."""

from pathlib import Path

import pytest

from speechbrain_e2v.report.paper import paper_rows
from speechbrain_e2v.report.recipe_index import index_page, recipe_index
from speechbrain_e2v.report.recipe_plans import plan_of, recipe_plans
from speechbrain_e2v.report.rows import read_rows
from tests.unit.report.made_up_runs import write_run

RECIPES = Path(__file__).resolve().parents[3] / "recipes"


def test_plans_of_a_recipe_with_starred_protocols():
    plans = recipe_plans(RECIPES / "IEMOCAP")
    assert [(p.yaml, p.protocol, p.n_folds, p.overridden) for p in plans] == [
        ("linear.yaml", "leave_one_session_out", 5, False),
        ("linear_strict.yaml", "leave_one_session_out_next_validates", 5,
         False),
        ("linear.yaml", "leave_one_session_out_test_validates", 5, True),
        ("linear.yaml", "leave_one_speaker_out_partner_validates", 10, True),
        ("linear.yaml", "leave_one_speaker_out_test_validates", 10, True),
    ]  # fmt: skip
    assert plans[2].command.endswith(
        "--protocol leave_one_session_out_test_validates --n_folds 5"
    )


def test_folds_are_the_papers():
    for row in paper_rows():
        plans = recipe_plans(RECIPES / row.corpus)
        (plan,) = [p for p in plans if p.protocol == row.protocol]
        assert plan.n_folds == row.n_folds, row
        assert plan.task == row.task
        assert plan.head == (
            "sentiment" if row.task == "sentiment" else "linear"
        )


def test_pretraining_corpora_have_no_plan():
    assert recipe_plans(RECIPES / "MEAD") == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("n_folds: 3\n", "there is no protocol"),
        ("protocol: x\nn_folds: three\n", "there is no n_folds .'three'."),
        ("protocol: [x]\nn_folds: 3\n", "there is no protocol"),
        ("- protocol\n", "there is no protocol"),
        ("", "there is no protocol"),
        ("protocol: {\n", "is not readable"),
        (b"protocol: \xff\n", "is not readable"),
        ("[" * 20_000, "is not readable"),
    ],
)
@pytest.mark.parametrize("name", ["linear", "conversation"])
def test_a_yaml_that_is_no_plan(name, text, message, tmp_path):
    path = tmp_path / "hparams" / f"{name}.yaml"
    path.parent.mkdir()
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    if name == "conversation" and "n_folds" in message:
        assert plan_of(tmp_path, "conversation.yaml")[0] == "x"
        return
    with pytest.raises(ValueError, match=f"{name}.yaml.* {message}"):
        if name == "linear":
            recipe_plans(tmp_path)
        else:
            plan_of(tmp_path, "conversation.yaml")


def test_index(tmp_path):
    write_run(tmp_path, "mine", [(0, 1), (0, 0)])
    rows = read_rows([tmp_path / "results.json"])
    lines = {(r[0], r[2]): r for r in recipe_index(RECIPES, rows).rows}
    emodb = lines["[EmoDB](EmoDB/README.md)", "`random_kfold`"]
    assert emodb[3:6] == (
        "84.34 / 84.85 / 84.32", "mine: 75.00 / 75.00 / 66.67", "a",
    )  # fmt: skip
    savee = lines["[SAVEE](SAVEE/README.md)", "`random_kfold`"]
    assert savee[4] == "no data here"
    folders = {path.parent.name for path in RECIPES.glob("*/*_prepare.py")}
    assert {r[0].split("]")[0][1:] for r in lines.values()} == folders
    assert "`python mead_prepare.py" in str(lines)


def test_index_of_conversations(tmp_path):
    write_run(
        tmp_path, "mine", [(0, 1), (0, 0)],
        corpus="IEMOCAP conversation, speech",
        protocol="leave_one_speaker_out_partner_validates",
    )  # fmt: skip
    rows = read_rows([tmp_path / "results.json"])
    lines = [
        r for r in recipe_index(RECIPES, rows).rows if r[1] == "conversation"
    ]
    iemocap, meld = lines
    assert iemocap[3:5] == ("77.19 / 76.71", "mine: 75.00 / 73.33")
    assert iemocap[6].startswith("`python train.py hparams/conversation.yaml")
    assert meld[2:5] == ("`official`", "-", "no data here")


def test_the_committed_page_lists_every_recipe():
    page = RECIPES / "README.md"
    if not page.is_file():
        pytest.skip("recipes/README.md is not written yet")
    text = page.read_text("utf-8")
    for line in recipe_index(RECIPES, []).rows:
        start = " | ".join(line[:4])
        assert f"| {start} |" in text, f"run e2v table --matrix: {start}"
    assert index_page(RECIPES, []).splitlines()[0] == text.splitlines()[0]

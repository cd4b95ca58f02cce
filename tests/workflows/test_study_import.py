import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

import affinage
from affinage.errors import DataError


def search(storage):
    study = optuna.create_study(storage=storage, direction="minimize", study_name="theirs")
    for number in range(16):
        trial = study.ask()
        lr = trial.suggest_float("lr", 1e-5, 1e-1, log=True)
        name = trial.suggest_categorical("optimizer", ["adam", "sgd"])
        if number == 3:
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
        else:
            study.tell(trial, abs(lr - 1e-3) + 0.2 * (name == "sgd"))


@pytest.mark.parametrize("kind", ["journal", "sqlite"])
def test_a_search_of_optuna_is_judged(kind, elsewhere):
    file = elsewhere / "theirs"
    if kind == "journal":
        search(JournalStorage(JournalFileBackend(str(file))))
    else:
        search(f"sqlite:///{file}")
    before = file.read_bytes()
    study = affinage.study_import(file, vary=["optimizer"])
    record = study.record
    assert file.read_bytes() == before
    assert record.question.metric == "loss"
    assert {arm.name for arm in record.question.arms} == {"adam", "sgd"}
    assert len(record.trials) == 16
    assert study.answer.failed == 1
    assert study.answer.differences[0].says == "cannot tell yet"  # No setting was run twice.
    assert "Slice: lr" in study.page.read_text()


def test_a_table_with_seeds_gets_a_verdict(elsewhere):
    lines = ["net,seed,val_accuracy"]
    lines += [f"old,{seed},{0.80 + 0.004 * (seed % 3)}" for seed in range(6)]
    lines += [f"new,{seed},{0.85 + 0.004 * ((seed + 1) % 3)}" for seed in range(6)]
    table = elsewhere / "past.csv"
    table.write_text("\n".join(lines))
    study = affinage.study_import(table, vary=["net"], why="To see.")
    (found,) = study.answer.differences
    assert found.says == "helps"
    assert found.effect.value == pytest.approx(0.05, abs=1e-6)
    assert found.repeats == 6
    assert "n = 1" not in found.sentence
    assert [one.name for one in affinage.list_studies("to see")] == [study.path.name]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b\n1,2\n", "no column of numbers"),
        ("", "cannot be read as CSV"),
        ("net,accuracy\nx,\n", "no column of numbers"),
    ],
)
def test_a_table_that_holds_no_results_is_refused(text, said, elsewhere):
    (elsewhere / "past.csv").write_text(text)
    with pytest.raises(DataError, match=said):
        affinage.study_import(elsewhere / "past.csv")
    assert [path.name for path in elsewhere.iterdir()] == ["past.csv"]

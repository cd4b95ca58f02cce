import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

import affinage
from affinage.errors import DataError


class Said:
    """Keeps what is said."""

    def __init__(self):
        self.sentences = []

    def say(self, text):
        self.sentences.append(text)

    def phase(self, name, done, total):
        pass


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


@pytest.mark.parametrize("note", ["{net} run {s}", "run {s}"])
def test_notes_and_other_results_are_no_settings(note, elsewhere):
    """Each run has its own note and loss: as tuned settings they would leave nothing that was repeated."""
    lines = ["net,lr,seed,val_accuracy,val_loss,train_time,notes"]
    for net, score in (("old", 0.80), ("new", 0.85)):
        lines += [
            f"{net},0.001,{s},{score + 0.004 * (s % 3)},{1 - score - 0.01 * s},{60 + s}.5,"
            + note.format(net=net, s=s)
            for s in range(6)
        ]
    (elsewhere / "past.csv").write_text("\n".join(lines))
    said = Said()
    study = affinage.study_import(elsewhere / "past.csv", vary=["net"], reporter=said)
    (found,) = study.answer.differences
    assert (found.says, found.repeats) == ("helps", 6)
    assert "not settings, so left out: val_loss, train_time, notes" in said.sentences
    assert study.question.fixed == ("lr=0.001",)


def test_what_was_tuned_can_be_named(elsewhere):
    lines = ["net,lr,warmup,seed,accuracy"]
    for net, score in (("old", 0.80), ("new", 0.85)):
        lines += [f"{net},{lr},{s},{s},{score - lr}" for lr in (0.1, 0.01) for s in range(4)]
    (elsewhere / "past.csv").write_text("\n".join(lines))
    study = affinage.study_import(elsewhere / "past.csv", vary=["net"], nuisance=["lr"])
    assert [one.key for one in study.question.nuisance] == ["lr"]
    assert study.answer.differences[0].says == "helps"
    with pytest.raises(DataError, match="no column speed"):
        affinage.study_import(elsewhere / "past.csv", vary=["net"], nuisance=["speed"])


def test_a_table_as_a_spreadsheet_writes_it_is_read(elsewhere):
    lines = ["Netz;Rate;seed;Güte"]
    lines += [f"alt;0,01;{s};{0.80 + 0.004 * (s % 3):.3f}".replace(".", ",") for s in range(5)]
    lines += [f"neu;0,01;{s};{0.86 + 0.004 * (s % 2):.3f}".replace(".", ",") for s in range(5)]
    (elsewhere / "past.csv").write_text("\n".join(lines), encoding="utf-8-sig")
    study = affinage.study_import(elsewhere / "past.csv", vary=["Netz"], metric="Güte")
    assert study.answer.differences[0].says == "helps"
    assert study.question.fixed == ("Rate=0.01",)


def test_text_that_was_tuned_stays_a_setting(elsewhere):
    lines = ["net,optimizer,seed,accuracy"]
    for net, score in (("old", 0.80), ("new", 0.85)):
        for worse, name in enumerate(("adam", "sgd", "lion")):
            lines += [f"{net},{name},{s},{score - 0.01 * worse + 0.001 * s}" for s in range(3)]
    (elsewhere / "past.csv").write_text("\n".join(lines))
    study = affinage.study_import(elsewhere / "past.csv", vary=["net"])
    assert [one.key for one in study.question.nuisance] == ["optimizer"]

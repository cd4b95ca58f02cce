"""Commands that are printed can be pasted: they name the folder, and are the ones that help."""

from pathlib import Path

import pytest

from affinage.cli.include import include
from affinage.cli.pasting import pasted, with_pasted_remedies
from affinage.cli.show import show
from affinage.cli.split import split
from affinage.cli.train import train
from affinage.errors import DataError
from affinage.records.finding import Finding
from affinage.workflows.exclude import exclude
from real_digits import SMALL
from sourced_digits import data_set, opened


def test_the_folder_stands_in_the_commands_and_nowhere_else():
    text = "See DATA, then: affinage relabel DATA --where label=DATA"
    assert (
        pasted(text, "my data") == "See DATA, then: affinage relabel 'my data' --where label=DATA"
    )
    finding = Finding(code="c", severity="note", subject="s", remedy="affinage audit SOURCE")
    assert with_pasted_remedies([finding], "d")[0].remedy == "affinage audit d"


def test_an_errors_command_names_the_folder(tmp_path):
    data = data_set(tmp_path)
    with pytest.raises(DataError) as raised:
        include(data.path, last=True)
    assert raised.value.remedy == f"See all: affinage include {data.path} --list"


@pytest.mark.parametrize(
    ("how", "flags"),
    [
        ({}, ""),
        ({"recut": True, "test": 0.3}, " --set split.given=false --set split.test=0.3"),
        ({"group": "domain", "seed": 2}, " --set split.group=domain --set split.seed=2"),
    ],
)
def test_a_cut_says_how_to_train_on_it(tmp_path, capsys, how, flags):
    data = data_set(tmp_path)
    split([data.path], **how)
    printed = capsys.readouterr().out
    assert f"Before any training: affinage audit {data.path}, then cut again." in printed
    assert printed.splitlines()[-1] == f"train   affinage train {data.path}{flags}"


def test_folds_are_not_what_a_training_takes(tmp_path, capsys):
    split([Path(data_set(tmp_path).path)], folds=3)
    assert "affinage train" not in capsys.readouterr().out


def test_a_trainings_findings_name_the_folder_also_when_shown_again(tmp_path, capsys, monkeypatch):
    data = data_set(tmp_path)
    exclude(data.path, images=[opened(data.path).manifest.kept["image"][0]])
    train([data.path], output=tmp_path / "run", stages="features", setting=SMALL)
    printed = capsys.readouterr().out
    assert f"affinage include {data.path} --list" in printed
    assert f"\nreport   {tmp_path / 'run'}/report.html\n" in printed
    monkeypatch.chdir(tmp_path)
    show(Path("run"))
    shown = capsys.readouterr().out
    here = data.path.relative_to(tmp_path)
    assert f"affinage include {here} --list" in shown
    assert f"\nreport   run/report.html\ndata     {here}\n" in shown
    train(resume=Path("run"))
    assert f"affinage include {here} --list" in capsys.readouterr().out
    assert "DATA in a command stands for" in Path("run/report.html").read_text()
    data.path.rename(tmp_path / "gone")
    show(Path("run"))
    assert "affinage include DATA --list" in capsys.readouterr().out
    assert "DATA" not in printed

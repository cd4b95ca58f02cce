"""What is typed wrongly is told in the words of every other error, whatever the verb."""

import pytest

from affinage.cli.main import COMMANDS, main
from affinage.cli.usage import _SHORT
from affinage.records.settings_table import setting_names


def typed(monkeypatch, capsys, *words):
    monkeypatch.setattr("sys.argv", ["affinage", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code, capsys.readouterr().err


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.__name__)
def test_every_verb_refuses_an_option_that_it_has_not(command, monkeypatch, capsys):
    verb = command.__name__.replace("_", "-")
    code, said = typed(monkeypatch, capsys, verb, "--zzz-nothing")
    assert code == 2
    assert said.startswith("Error: ")
    assert "  → " in said
    assert "╭" not in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        (["train", "photos", "--epochs", "3"], "--set finetune.epochs="),
        (["train", "photos", "--lr", "0.1"], "--set optimizer.lr="),
        (["train", "photos", "--optimizer.lr", "0.1"], "--set optimizer.lr="),
        (["train", "photos", "--weight-decay=0.1"], "--set optimizer.weight_decay="),
        (["train", "photos", "--outptu", "x"], "--output"),
        (["train", "photos", "--budget"], "affinage train --help"),
        (["collect", "table.csv"], "affinage collect --help"),
        (["demo", "--epochs", "3"], "affinage demo --help"),
        (["trian", "photos"], "affinage --help"),
    ],
)
def test_what_was_meant_is_told(words, remedy, monkeypatch, capsys):
    code, said = typed(monkeypatch, capsys, *words)
    assert code == 2
    assert remedy in said.partition("→")[2]


def test_a_verb_that_is_nearly_right_is_named(monkeypatch, capsys):
    _, said = typed(monkeypatch, capsys, "trian", "photos")
    assert "'train'" in said


def test_what_other_tools_say_means_settings_that_are_there():
    assert set(_SHORT.values()) <= set(setting_names())
    assert not set(_SHORT) & set(setting_names())


def test_a_verb_alone_may_ask_for_help(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["affinage"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert "Usage" in capsys.readouterr().out

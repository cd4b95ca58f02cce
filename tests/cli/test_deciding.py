import json
import sys
from pathlib import Path

import pytest

from affinage.cli.deciding import run
from affinage.records.decision import ClassChange, Decision, DecisionResult


class Verb:
    """Remembers how it was called, and answers with one decision."""

    def __init__(self) -> None:
        self.dry_runs: list[bool] = []

    def __call__(self, *, dry_run: bool) -> DecisionResult:
        self.dry_runs.append(dry_run)
        return DecisionResult(
            data="fungi",
            made=not dry_run,
            number=None if dry_run else 3,
            decision=Decision(action="exclude", images=("a",)),
            images=1200,
            rows=1300,
            kept=4000,
            classes=(
                ClassChange(label="[bold]bufo\x1b[2J", before=1300, after=100),
                ClassChange(label="other", before=3900, after=3900),
            ),
            messages=("A class is small.",),
        )


def decide(verb, **flags):
    chosen = {"dry_run": False, "yes": False, "json": False} | flags
    run("exclude", verb, Path("affinage-data/my fungi"), **chosen)


def test_the_classes_that_change_are_shown_with_the_way_back(capsys):
    verb = Verb()
    decide(verb)
    out = capsys.readouterr().out
    assert verb.dry_runs == [False]
    assert "[bold]bufo" in out
    assert "\x1b" not in out
    assert "−1,200" in out
    assert "1 other class unchanged" in out
    assert "! A class is small." in out
    assert "1,200 images taken out; 4,000 kept after it." in out
    assert "affinage include 'affinage-data/my fungi' --number 3" in out


def test_a_dry_run_says_so(capsys):
    verb = Verb()
    decide(verb, dry_run=True)
    out = capsys.readouterr().out
    assert verb.dry_runs == [True]
    assert "would be taken out" in out
    assert "--number" not in out


def test_json_is_the_whole_result(capsys):
    decide(Verb(), json=True)
    printed = json.loads(capsys.readouterr().out)
    assert (printed["format"], printed["command"]) == (1, "exclude")
    assert printed["classes"][0] == {"label": "[bold]bufo\x1b[2J", "before": 1300, "after": 100}


@pytest.mark.parametrize(("answer", "calls"), [("y", [True, False]), ("n", [True])])
def test_at_a_terminal_it_shows_first_and_asks(monkeypatch, answer, calls):
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setattr("typer.confirm", lambda question: answer == "y")
    verb = Verb()
    decide(verb)
    assert verb.dry_runs == calls
    decide(verb, yes=True)
    assert verb.dry_runs == [*calls, False]

import collections
import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from affinage.cli.main import COMMANDS
from real_digits import SMALL

SETTINGS = [part for setting in SMALL for part in ("--set", setting)]


def affinage(*arguments, timeout=300):
    return subprocess.run(
        [sys.executable, "-m", "affinage", *map(str, arguments)],
        capture_output=True, text=True, timeout=timeout, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def run(digits, tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli")
    done = affinage(
        "train", digits, "--data", folder / "data", "--output", folder / "run",
        "--stages", "features", "--json", *SETTINGS,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder / "run", json.loads(done.stdout)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.__name__)
def test_every_verb_teaches_itself(command):
    done = affinage(command.__name__.replace("_", "-"), "--help")
    assert done.returncode == 0
    assert "Usage" in done.stdout


@pytest.mark.parametrize("statement", ["import affinage", "import affinage.cli.main"])
def test_starting_loads_neither_torch_nor_polars(statement):
    code = f"import sys; {statement}; print([m for m in ('torch', 'polars', 'timm') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_showing_a_run_does_not_load_torch(run):
    code = (
        "import sys; import affinage; affinage.show(sys.argv[1]); "
        "print([m for m in ('torch', 'timm') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(run[0])], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_the_json_of_a_run_is_what_the_docs_say(run):
    folder, printed = run
    shown = json.loads(affinage("show", folder, "--json").stdout)
    assert shown.keys() == printed.keys()
    assert (shown["command"], printed["command"]) == ("show", "train")
    page = (Path(__file__).parents[2] / "docs/commands/show.md").read_text()
    line = next(line for line in page.splitlines() if line.startswith("| `seconds` | Time by"))
    assert all(f"`{phase}`" in line for phase in shown["seconds"])
    assert shown["format"] == 1
    assert shown["evaluation"]["test"]["accuracy"].keys() == {"value", "low", "high", "n"}
    assert shown["evaluation"]["validation"]["accuracy"]["n"] == shown["split"]["validation"]
    assert shown["stages"][0]["seconds"] > 0
    assert isinstance(shown["findings"], list)


def test_a_run_is_shown_to_people(run):
    done = affinage("show", run[0])
    assert done.returncode == 0
    assert "accuracy" in done.stdout.lower()
    assert "# " in affinage("show", run[0], "--markdown").stdout


def test_predictions_come_in_each_format(run, digits):
    image = next(digits.glob("0/*.png"))
    csv = affinage("predict", run[0], image, "--format", "csv").stdout.splitlines()
    assert csv[0].startswith("path,label,confidence")
    assert len(csv) == 2
    line = json.loads(affinage("predict", run[0], image, "--json").stdout)
    assert line["label"] in line["probabilities"]
    assert line["label"] in affinage("predict", run[0], image).stdout


def test_a_name_that_is_no_utf8_spoils_no_output(run, digits, tmp_path):
    name = os.fsencode(tmp_path) + b"/bad\xff.png"
    Path(os.fsdecode(name)).write_bytes(next(digits.glob("0/*.png")).read_bytes())
    line = json.loads(affinage("predict", run[0], tmp_path, "--json").stdout)
    assert os.fsencode(line["path"]) == name
    rows = affinage("predict", run[0], tmp_path, "--format", "csv").stdout.splitlines()
    assert rows[1].startswith(f"{tmp_path}/bad%FF.png,")


def test_an_unreadable_image_fails_only_where_asked(run, tmp_path):
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"")
    assert affinage("predict", run[0], broken).returncode == 0
    assert affinage("predict", run[0], broken, "--strict").returncode == 1


def test_the_caller_can_ask_to_fail_on_findings(run, digits, tmp_path):
    done = affinage("evaluate", run[0], digits, "--fail-on", "warning")
    assert done.returncode == 1
    assert affinage("evaluate", run[0], digits).returncode == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ("train",),
        ("train", "nowhere"),
        ("train", "nowhere", "--set", "optimzer.lr=1"),
        ("show", "nowhere"),
        ("predict", "nowhere", "nothing.jpg"),
        ("train", "--resume", "nowhere"),
        ("train", ".", "--fail-on", "everything"),
        ("unknown-verb",),
        ("train", "--unknown-flag"),
    ],
)
def test_a_users_mistake_ends_with_two_and_no_traceback(elsewhere, arguments):
    done = affinage(*arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert done.stderr.strip()


def test_settings_are_listed():
    done = affinage("train", "--settings")
    assert "optimizer.lr" in done.stdout
    assert "finetune.batchnorm" in done.stdout


def test_backbones_without_any_weights_are_not_said_to_need_the_network():
    listed = json.loads(affinage("models", "--json").stdout)["models"]
    kinds = collections.Counter(one["available"] for one in listed)
    last = affinage("models").stdout.splitlines()[-1]
    assert last.startswith(f"{kinds['hub']:,} more need the network once, ")
    assert f" {kinds['random only']:,} have random weights only" in last


def test_models_and_env_answer_in_json():
    listed = json.loads(affinage("models", "lite0", "--json").stdout)
    assert listed["models"][0]["name"] == "tf_efficientnet_lite0"
    assert json.loads(affinage("env", "--json").stdout)["cores"] >= 1


@pytest.mark.parametrize("arguments", [["env"], ["env", "--json"], ["models", "--json"]])
def test_a_full_disk_behind_the_output_is_told_in_words(arguments):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "affinage", *arguments],
            stdout=full, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith("Error: The disk is full")
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


def test_who_reads_only_the_first_lines_gets_no_findings_code():
    command = f"{sys.executable} -m affinage models --json | head -n 1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "{\n", "")


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.__name__)
def test_help_wraps_where_the_terminal_does(command):
    done = subprocess.run(
        [sys.executable, "-m", "affinage", command.__name__.replace("_", "-"), "--help"],
        capture_output=True, text=True, check=True, env={**os.environ, "COLUMNS": "80"},
    )  # fmt: skip
    prose = done.stdout.split("Example")[0].split("\u256d")[0]
    for paragraph in "\n".join(line.strip() for line in prose.splitlines()).split("\n\n"):
        lines = [line.split() for line in paragraph.splitlines() if line]
        for line, following in itertools.pairwise(lines):
            assert len(" ".join([*line, following[0]])) > 78

"""`python -m benchmarks.doctor run|score|fit|prove|mend --store FOLDER`: run; judge; fit; prove; mend."""

import argparse
import gzip
import json
import time
from collections import Counter
from pathlib import Path

from affinage.records.plain import from_plain, to_plain
from affinage.records.signals import Signals, signals_from_json, signals_to_json
from affinage.store.files import read_json, write_json
from benchmarks.__main__ import samples
from benchmarks.doctor.as_logs import as_log
from benchmarks.doctor.cases import Case, faulty, healthy
from benchmarks.doctor.proving import Proof, examine, figures, mend_again
from benchmarks.doctor.running import run
from benchmarks.doctor.scoring import fitted, judge, lines


def main() -> None:
    """Run one shard, or print the figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.doctor")
    parser.add_argument("what", choices=("run", "score", "fit", "prove", "mend"))
    parser.add_argument(
        "--store", type=Path, required=True, help="folder of signals, one file per case"
    )
    parser.add_argument("--seconds", type=float, default=240.0, help="time after which a run ends")
    parser.add_argument("--only", choices=("faulty", "healthy"), help="one kind of cases")
    parser.add_argument("--networks", help="only cases of these, commas between: mlp,deep_sigmoid")
    parser.add_argument("--part", choices=("tuning", "scored"), help="one part of the figures")
    parser.add_argument("--logs", action="store_true", help="judge each run by its CSV log alone")
    parser.add_argument("--wrong", action="store_true", help="list wrong findings")
    arguments = parser.parse_args()
    cases = [
        *(faulty() if arguments.only != "healthy" else []),
        *(healthy() if arguments.only != "faulty" else []),
    ]
    if arguments.networks:
        cases = [case for case in cases if case.network in arguments.networks.split(",")]
    if arguments.what == "run":
        _run(cases, arguments.store, arguments.seconds)
    elif arguments.what == "prove":
        _prove(cases, arguments.store, arguments.seconds)
    elif arguments.what == "mend":
        _mend(cases, arguments.store, arguments.seconds, arguments.part)
    elif arguments.what == "fit":
        stored = [
            case for case in cases if not case.scored and _file(arguments.store, case).exists()
        ]
        tally = judge([(case, _load(_file(arguments.store, case))) for case in stored])
        print(f"{len(stored)} stored cases of the tuning part", *fitted(tally), sep="\n")
    else:
        _score(cases, arguments.store, arguments.part, wrong=arguments.wrong, logs=arguments.logs)


def _run(cases: list[Case], store: Path, seconds: float) -> None:
    import torch

    torch.set_num_threads(1)
    store.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + seconds
    missing = [case for case in cases if not _file(store, case).exists()]
    missing.sort(key=lambda case: case.name)  # A mixture from the first minute on.
    for number, case in enumerate(missing):
        if time.monotonic() > deadline:
            print(f"{len(missing) - number} of {len(cases)} cases are still to run")
            return
        signals = run(case, samples(), store / "images")
        with gzip.open(_file(store, case).with_suffix(".part"), "wt") as file:
            json.dump(signals_to_json(signals), file)
        _file(store, case).with_suffix(".part").rename(_file(store, case))
    print("all cases are stored")


def _prove(cases: list[Case], store: Path, seconds: float) -> None:
    """Prove what is missing for so many seconds, then print the rates over all that is stored."""
    import torch

    torch.set_num_threads(1)
    store.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + seconds
    places = {case: store / f"{case.name}.proof.json" for case in cases}
    for case in sorted(cases, key=lambda case: case.name):
        if time.monotonic() > deadline:
            break
        if not places[case].exists():
            write_json(places[case], to_plain(examine(case, samples(), store / "images")))
    _tell(places)


def _mend(cases: list[Case], store: Path, seconds: float, part: str | None) -> None:
    """Find anew, for so many seconds, what the changes of stored proofs are worth.

    It wants a store of its own, as files of proofs are written anew.
    """
    import torch

    torch.set_num_threads(1)
    deadline = time.monotonic() + seconds
    places = {case: store / f"{case.name}.proof.json" for case in cases}
    for case, place in sorted(places.items(), key=lambda pair: pair[0].name):
        wanted = part is None or case.scored == (part == "scored")
        if not (case.fault and wanted and place.exists()) or time.monotonic() > deadline:
            continue
        proof = from_plain(Proof, read_json(place))
        if proof.mended is None and not place.with_suffix(".tried").exists():
            mend_again(proof, case, samples(), store / "images")
            write_json(place, to_plain(proof))
            place.with_suffix(".tried").touch()
    _tell(places)


def _tell(places: dict[Case, Path]) -> None:
    stored = [(case, place) for case, place in places.items() if place.exists()]
    for part in ("tuning", "scored"):
        own = [
            from_plain(Proof, read_json(place))
            for case, place in stored
            if case.scored == (part == "scored")
        ]
        print(f"\n{part}", *figures(own), sep="\n")


def _file(store: Path, case: Case) -> Path:
    return store / f"{case.name}.gz"


def _load(file: Path) -> Signals:
    with gzip.open(file, "rt") as stored:
        return signals_from_json(json.load(stored))


def _score(cases: list[Case], store: Path, only: str | None, *, wrong: bool, logs: bool) -> None:
    stored = [(case, _load(_file(store, case))) for case in cases if _file(store, case).exists()]
    print(f"{len(stored)} of {len(cases)} cases are stored")
    if logs:
        read = [(case, as_log(signals)) for case, signals in stored]
        stored = [(case, signals) for case, signals in read if signals is not None]
        print(f"{len(stored)} of them have curves that a log would show")
    started, judged = time.process_time(), 0
    for part in ("tuning", "scored"):
        if only not in {None, part}:
            continue
        own = [pair for pair in stored if pair[0].scored == (part == "scored")]
        tally = judge(own)
        judged += len(own)
        print(f"\n{part}", *lines(tally), sep="\n")
        if wrong:
            print("alarms", Counter(codes for _, codes in tally.alarmed))
            print("wrong", Counter(tally.wrong))
    print(
        f"\njudging took {(time.process_time() - started) / max(judged, 1):.4f} CPU-seconds a run"
    )


if __name__ == "__main__":
    main()

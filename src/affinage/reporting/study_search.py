"""What a search has found, with the luck taken out, as a section of a study's page."""

from collections.abc import Iterator

from affinage.records.answer import Answer, Exploited
from affinage.records.question import Settings, Span
from affinage.records.report import Block, Chart, Line, Section, Table, Text
from affinage.records.study import StudyRecord
from affinage.reporting.study_figures import Figures
from affinage.reporting.words import NOTHING, number

HOW = {
    "tpe": "tree-structured Parzen estimators, which choose settings by what has been seen",
    "gp": "a Gaussian process, which chooses settings by what has been seen",
    "asha": "successive halving: each setting is tried at a ninth of its cost, then at a third, and goes on "
    "where it is among the best third",
    "hyperband": "Hyperband: successive halving with several starting costs",
}


def searched(study: StudyRecord, said: Answer, shown: Figures) -> list[Section]:
    """Return the section of the search; none where none has come to its end."""
    found, search = said.exploited, study.question.search
    if found is None or search is None:
        return []
    blocks: list[Block] = [
        Text(paragraphs=tuple(_told(study, found, shown))),
        Table(
            columns=("parameter", "explored", "searched"),
            rows=tuple(
                (one.key, _range(wide), _range(one))
                for one, wide in zip(found.space, study.question.nuisance, strict=True)
                if one.key not in dict(study.question.arms[found.arm].idle)
            ),
            caption="The search looked around the best quarter of exploration, and beyond a bound that cut "
            "the optimum off; every other try anywhere in the ranges.",
        ),
        _finalists(found, shown),
        *_course(study, found, shown),
        *_tested(said, shown),
    ]
    return [Section(title="The search for the best settings", blocks=tuple(blocks))]


def _told(study: StudyRecord, found: Exploited, shown: Figures) -> Iterator[str]:
    search = study.question.search
    assert search is not None
    arm = study.question.arms[found.arm].name
    stopped = f", {found.pruned} of them stopped early" if found.pruned else ""
    yield f"Searched for '{arm}': {found.tried} settings{stopped}, by {HOW[search.method]}."
    if found.luck is not None:
        less = found.luck > 0
        yield (
            f"The winner scores {shown.estimate(found.confirmed)} on {found.seeds} fresh "
            f"seed{'s' if found.seeds != 1 else ''} that chose nothing: {shown.size(abs(found.luck))} "
            f"{'less' if less else 'more'} than when it was found. "
            + (
                "The best of many is partly lucky: this is what fresh seeds leave of it."
                if less
                else "It was no lucky draw."
            )
        )
    if found.gain.value is not None:
        yield (
            f"Against the best of exploration, on the same seeds and images: {shown.gain(found.gain)}"
            f"{' points' if shown.share else ''}."
        )


def _finalists(found: Exploited, shown: Figures) -> Table:
    return Table(
        columns=("", "settings", "when found", "on fresh seeds that chose", "seeds"),
        rows=tuple(
            (
                "winner" if place == 0 else f"{place + 1}.",
                _settings(one.settings), shown.score(one.searched), shown.score(one.fresh), str(one.seeds),
            )
            for place, one in enumerate(found.finalists)
        ),
        caption="The best settings were run again on fresh seeds, and the winner chosen by these.",
        numeric=(2, 3, 4),
    )  # fmt: skip


def _course(study: StudyRecord, found: Exploited, shown: Figures) -> Iterator[Chart]:
    """Yield the best score so far, and the curves of the best few where tries had several costs."""
    own = [t for t in study.trials if t.job.arm == found.arm and not t.job.repeat]
    own.sort(key=lambda trial: trial.job.point)
    best, points = None, []
    for place, trial in enumerate(own, start=1):
        if trial.score is not None:
            score = shown.plain(trial.score)
            better = best is None or (score > best if shown.rising else score < best)
            best = score if better else best
        if best is not None:
            points.append((float(place), best))
    yield Chart(
        title="The best so far", x="settings tried, exploration first", y=shown.axis(study.question.metric),
        lines=(Line(name="best so far", points=tuple(points)),),
    )  # fmt: skip
    stepped = [trial for trial in own if trial.steps]
    stepped.sort(key=lambda t: (t.score is None, -(t.score or 0) if shown.rising else t.score or 0))
    if stepped:
        lines = tuple(
            Line(
                name=f"setting {trial.job.point}",
                points=(
                    *((step / 9, shown.plain(score)) for step, score in trial.steps),
                    *([(1.0, shown.plain(trial.score))] if trial.score is not None else []),
                ),
            )
            for trial in stepped[:6]
        )
        yield Chart(
            title="Curves of the best few", x="share of the whole cost",
            y=shown.axis(study.question.metric), lines=lines,
        )  # fmt: skip


def _tested(said: Answer, shown: Figures) -> Iterator[Text]:
    if said.trained is None:
        return
    if said.trained.test is None:
        told = f"Trained on all images as '{said.trained.run}' in the study's folder. There is no test part."
    else:
        told = (
            f"Trained on train and validation as '{said.trained.run}' in the study's folder, and shown the "
            f"test part once: {shown.estimate(said.trained.test)}, n = {said.trained.test.n:,}."
        )
    yield Text(paragraphs=(told,))


def _range(one: object) -> str:
    if isinstance(one, Span):
        return f"{number(one.low)} to {number(one.high)}"
    return ", ".join(str(value) for value in one.values)  # type: ignore[attr-defined]


def _settings(settings: Settings) -> str:
    told = [f"{key} = {number(v) if isinstance(v, float) else v}" for key, v in settings]
    return ", ".join(told) or NOTHING

"""The plots of a study, from its trials: nobody has to ask for them."""

import math
from collections.abc import Iterator

from affinage.records.answer import Answer
from affinage.records.question import Settings, Span, Value
from affinage.records.report import Axis, Block, Chart, Line, Parallel, Shaded, Space, Table, Text
from affinage.records.study import StudyRecord
from affinage.reporting.study_figures import Figures
from affinage.reporting.words import millions

MOST_ARMS_DRAWN = 6
"""How many lines a chart tells apart."""

MOST_MAPS = 3
"""Pairs of tuned parameters that get a map, the most important first."""

MOST_POINTS = 2000
"""More points of a chart cannot be told apart."""

BEST = 5
"""Lines that stand out in parallel coordinates."""


def isolation(study: StudyRecord, said: Answer, shown: Figures) -> Iterator[Chart]:
    """Yield the best of each scientific value on fresh seeds; of a grid, a plot for each of its settings."""
    arms = study.question.arms
    known = [place for place, arm in enumerate(said.arms) if arm.confirmed.value is not None]
    known.sort(key=lambda place: said.arms[place].confirmed.value or 0.0, reverse=shown.rising)
    keys = {tuple(key for key, _ in arm.settings) for arm in arms}
    several = next(iter(keys)) if len(keys) == 1 else ()
    if not known:
        return
    if len(several) < 2:
        bars = [(said.arms[place].name, _value_of(arms[place].settings), place) for place in known]
        few = f" The best {MOST_ARMS_DRAWN} are drawn." if len(known) > MOST_ARMS_DRAWN else ""
        name = several[0] if several else ""
        yield _isolated("", name, bars, said, shown, metric=study.question.metric, more=few)
        return
    for at, key in enumerate(several):
        best: dict[Value, int] = {}
        for place in known:  # The best first.
            best.setdefault(arms[place].settings[at][1], place)
        bars = [(_named(value), value, place) for value, place in best.items()]
        few = f" The best {MOST_ARMS_DRAWN} are drawn." if len(bars) > MOST_ARMS_DRAWN else ""
        more = f" Of each value, the best over all others of the grid.{few}"
        yield _isolated(
            f" of {key}", key, bars, said, shown, metric=study.question.metric, more=more
        )


def _isolated(
    of: str,
    name: str,
    bars: list[tuple[str, Value, int]],
    said: Answer,
    shown: Figures,
    *,
    metric: str,
    more: str,
) -> Chart:
    """Return intervals side by side: at the numbers that are varied, else one after another.

    Args:
        of: What the title adds.
        name: Of the axis, where values are numbers.
        bars: Name, value, and index of the arm; the best first.
        said: The answer.
        shown: How figures read.
        metric: What it is scored by.
        more: What the caption adds.
    """
    drawn = sorted(bars[:MOST_ARMS_DRAWN], key=lambda bar: bar[2])
    places = _places([value for _, value, _ in drawn])
    numbers = places is not None
    places = places or [float(place + 1) for place in range(len(drawn))]
    lines = []
    for (called, _, arm), place in zip(drawn, places, strict=True):
        one = said.arms[arm].confirmed
        ends = [one.low, one.value, one.high] if one.low is not None else [one.value]
        bar = tuple((place, shown.plain(end)) for end in ends if end is not None)
        lines.append(Line(name=called, points=bar))
    return Chart(
        title=f"Isolation plot{of}: the best of each on fresh seeds",
        x=name if numbers else "in the question's order",
        y=shown.axis(metric),
        lines=tuple(lines),
        caption="Bars are 95 % intervals over images and seeds, of each alone: the table above compares "
        f"in pairs, which is far sharper.{more}",
        log_x=min(places) > 0 and max(places) / min(places) >= 20,
        ticks=numbers,
    )


def _value_of(settings: Settings) -> Value:
    """Return the one value that an arm has; None where it has several."""
    return settings[0][1] if len(settings) == 1 else None


def _named(value: Value) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _places(values: list[Value]) -> list[float] | None:
    """Return where values lie on an axis; None where they are no numbers."""
    numbers = [
        float(value)
        for value in values
        if isinstance(value, (int, float)) and not isinstance(value, bool)
    ]
    return numbers if len(numbers) == len(values) else None


def slices(study: StudyRecord, shown: Figures) -> Iterator[Chart]:
    """Yield the scores of exploration over each tuned number."""
    arms = study.question.arms[:MOST_ARMS_DRAWN]
    for place, one in enumerate(study.question.nuisance):
        if not isinstance(one, Span):
            continue
        lines = []
        for index, arm in enumerate(arms):
            if one.key in dict(arm.idle):
                continue
            points = sorted(
                (float(study.design[trial.job.point][place][1]), shown.plain(trial.score))  # type: ignore[arg-type]
                for trial in study.trials
                if trial.job.arm == index and trial.job.repeat == 0 and trial.score is not None
            )
            if points:
                lines.append(Line(name=arm.name, points=tuple(points)))
        if lines:
            yield Chart(
                title=f"Slice: {one.key}", x=one.key, y=shown.axis(study.question.metric), lines=tuple(lines),
                log_x=one.log, joined=False,
                caption="Each point is a setting, tried on one seed"
                + (", in exploration or in the search." if study.question.search else " in exploration."),
            )  # fmt: skip


def parallel(study: StudyRecord, shown: Figures) -> Iterator[Parallel]:
    """Yield parallel coordinates of all that was tried on one seed, the score on the last axis."""
    question, several = study.question, len(study.question.arms) > 1
    if len(question.nuisance) + several < 2:
        return
    axes = [_axis(study, place) for place in range(len(question.nuisance))]
    if several:
        axes = [Axis(name="arm", labels=tuple(arm.name for arm in question.arms)), *axes]
    rows = []
    for trial in study.trials:
        if trial.job.repeat or trial.score is None or question.arms[trial.job.arm].idle:
            continue
        values = [
            _number(study, place, value)
            for place, (_, value) in enumerate(study.design[trial.job.point])
        ]
        rows.append(
            (*([float(trial.job.arm)] if several else []), *values, shown.plain(trial.score))
        )
    rows.sort(key=lambda row: row[-1] if shown.rising else -row[-1])
    if len(rows) > 2:
        best = min(BEST, len(rows))
        yield Parallel(
            title="Parallel coordinates: every setting that was tried",
            axes=(*axes, Axis(name=shown.axis(question.metric))),
            rows=tuple(rows),
            best=best,
            caption=f"Each line is a setting, tried on one seed; the best {best} stand out.",
        )


def pairs_map(study: StudyRecord, said: Answer, shown: Figures) -> Iterator[Shaded]:
    """Yield maps over pairs of tuned parameters, for the arm that is best on fresh seeds."""
    question = study.question
    keys = [one.key for one in question.nuisance]
    arm = said.exploited.arm if said.exploited is not None else _leading(said, shown)
    idle = dict(question.arms[arm].idle)
    acting = [key for key in keys if key not in idle]
    if len(acting) < 2:
        return
    ranked = [one.parameters for one in said.importance if len(one.parameters) == 2]
    ranked = [pair for pair in ranked if set(pair) <= set(acting)] or [(acting[0], acting[1])]
    name = f" of {question.arms[arm].name}" if len(question.arms) > 1 else ""
    for first, second in ranked[:MOST_MAPS]:
        across, up = keys.index(first), keys.index(second)
        points = tuple(
            (
                _number(study, across, study.design[trial.job.point][across][1]),
                _number(study, up, study.design[trial.job.point][up][1]),
                math.nan if trial.score is None else shown.plain(trial.score),
                "failed" if trial.score is None else shown.brief(trial.score),
            )
            for trial in study.trials
            if trial.job.arm == arm and not trial.job.repeat and trial.state != "pruned"
        )
        if points:
            yield Shaded(
                title=f"Map{name}: {first} × {second}",
                x=_axis(study, across), y=_axis(study, up), value=question.metric,
                points=points[:MOST_POINTS], rising=shown.rising,
                caption="Each point is a setting, tried on one seed.",
            )  # fmt: skip


def space(study: StudyRecord, said: Answer, shown: Figures) -> Iterator[Space]:
    """Yield the 3-D scatter of the first three tuned parameters, for the arm that is best on fresh seeds."""
    question = study.question
    arm = said.exploited.arm if said.exploited is not None else _leading(said, shown)
    idle = dict(question.arms[arm].idle)
    places = [place for place, one in enumerate(question.nuisance) if one.key not in idle][:3]
    points = [
        (
            *(_number(study, at, study.design[trial.job.point][at][1]) for at in places),
            shown.plain(trial.score),
            shown.brief(trial.score),
        )
        for trial in study.trials
        if trial.job.arm == arm and not trial.job.repeat and trial.score is not None
    ]
    if len(places) == 3 and points:
        axes = [_axis(study, place) for place in places]
        yield Space(
            title=f"Scatter: {' × '.join(axis.name for axis in axes)}",
            x=axes[0], y=axes[1], z=axes[2], value=question.metric,
            points=tuple(points[:MOST_POINTS]), rising=shown.rising,  # type: ignore[arg-type]
            caption="Each point is a setting, tried on one seed; its stem stands where it lies on the floor.",
        )  # fmt: skip


def arms_map(study: StudyRecord, said: Answer, shown: Figures) -> Iterator[Shaded]:
    """Yield the map of a grid: every arm at its two scientific values."""
    settings = [arm.settings for arm in study.question.arms]
    keys = {tuple(key for key, _ in one) for one in settings}
    if len(keys) != 1 or len(next(iter(keys))) != 2:
        return
    values = [[one[place][1] for one in settings] for place in (0, 1)]
    axes = [_values_axis(key, found) for key, found in zip(next(iter(keys)), values, strict=True)]
    points = []
    for place, arm in enumerate(said.arms):
        x, y = (_placed(axis, found[place]) for axis, found in zip(axes, values, strict=True))
        score = arm.confirmed.value
        plain = math.nan if score is None else shown.plain(score)
        points.append((x, y, plain, "failed" if score is None else shown.brief(score)))
    yield Shaded(
        title=f"Map: {axes[0].name} × {axes[1].name}",
        x=axes[0], y=axes[1], value=study.question.metric, points=tuple(points), rising=shown.rising,
        caption="Each point is a pair, its mean on fresh seeds.",
    )  # fmt: skip


def bake_off(study: StudyRecord, said: Answer, shown: Figures) -> Iterator[Block]:
    """Yield what each backbone scores and costs, and its chart."""
    named = [arm.name for arm in study.question.arms]
    rows = []
    for one in said.weighed:
        arm = said.arms[one.arm]
        rows.append(
            (
                named[one.arm], shown.estimate(arm.confirmed), millions(one.weights),
                _time(one.milliseconds.value), _spread(one.milliseconds.low, one.milliseconds.high),
                one.engine, "yes" if one.best else "no",
            )
        )  # fmt: skip
    yield Table(
        columns=("backbone", "on fresh seeds [95 %]", "weights", "ms an image", "middle half", "engine",
                 "on the Pareto front"),
        rows=tuple(rows),
        caption="On the Pareto front: no other backbone is both better and quicker. Latency is of one "
        "image at a time on one thread, the median of runs that take turns, without reading the file.",
        numeric=(1, 2, 3, 4),
    )  # fmt: skip
    lines = [
        Line(
            name=named[one.arm],
            points=((one.milliseconds.value, shown.plain(said.arms[one.arm].confirmed.value)),),
        )
        for one in said.weighed
        if one.milliseconds.value is not None and said.arms[one.arm].confirmed.value is not None
    ]
    yield Chart(
        title="Score against latency", x="ms an image", y=shown.axis(study.question.metric),
        lines=tuple(lines[:MOST_ARMS_DRAWN]), joined=False,
    )  # fmt: skip
    if said.followed:
        yield Text(
            paragraphs=(
                f"Those on the front were fine-tuned, at equal time for each: {said.followed}/study.html",
            )
        )


def _time(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"


def _spread(low: float | None, high: float | None) -> str:
    return "–" if low is None or high is None else f"{low:.3g}–{high:.3g}"


def _leading(said: Answer, shown: Figures) -> int:
    known = [
        (shown.plain(arm.confirmed.value) * (1 if shown.rising else -1), -place)
        for place, arm in enumerate(said.arms)
        if arm.confirmed.value is not None
    ]
    return -max(known)[1] if known else 0


def _axis(study: StudyRecord, place: int) -> Axis:
    one = study.question.nuisance[place]
    if isinstance(one, Span):
        return Axis(name=one.key, log=one.log)
    return Axis(name=one.key, labels=tuple(str(value) for value in one.values))


def _number(study: StudyRecord, place: int, value: Value) -> float:
    one = study.question.nuisance[place]
    if isinstance(one, Span):
        return float(value)  # type: ignore[arg-type]
    return float(one.values.index(value)) if value in one.values else math.nan


def _values_axis(key: str, values: list[Value]) -> Axis:
    """Return the axis of scientific values: each has its place, whatever it is."""
    found = dict.fromkeys(values)
    if all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in found):
        found = dict.fromkeys(sorted(found))  # type: ignore[type-var]
    return Axis(name=key, labels=tuple(f"{v:g}" if isinstance(v, float) else str(v) for v in found))


def _placed(axis: Axis, value: Value) -> float:
    return float(axis.labels.index(f"{value:g}" if isinstance(value, float) else str(value)))

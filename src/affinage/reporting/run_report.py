"""The report of a run."""

from collections.abc import Mapping

from affinage.records.any_evaluation import AnyEvaluation
from affinage.records.evaluation import Evaluation
from affinage.records.report import Block, Fact, Facts, Findings, Report, Section, Table, Text
from affinage.records.run import RunRecord
from affinage.records.verdict import Verdict
from affinage.reporting.curve_blocks import curve_blocks
from affinage.reporting.data_blocks import (
    MOST_CLASSES_OPEN,
    data_blocks,
    environment_blocks,
    headline,
    look_blocks,
    recipe_blocks,
    stage_blocks,
    stage_facts,
    time_blocks,
)
from affinage.reporting.methods import methods_paragraphs, readable_recipe
from affinage.reporting.score_blocks import (
    class_table,
    confusion_blocks,
    mistake_blocks,
    score_table,
    threshold_blocks,
)
from affinage.reporting.titles import AT_A_GLANCE, DECISIONS, FINDINGS, SCORES
from affinage.reporting.verdict import deciding, goal_text, run_verdict, validation_chose
from affinage.reporting.verdict_blocks import examined_blocks
from affinage.reporting.voices import classifiers, voice_of
from affinage.reporting.words import (
    count,
    duration,
    estimated,
    interval,
    label,
    millions,
    moment,
)

_PARTS = ("test", "validation")


def run_report(
    run: RunRecord,
    *,
    thumbnails: Mapping[str, bytes] | None = None,
    verdicts: tuple[Verdict, ...] = (),
) -> Report:
    """Return the report of a finished run.

    Args:
        run: What the run left behind.
        thumbnails: JPEG bytes by image id, for the mistakes; without one, a mistake is a table's row.
        verdicts: What the doctor says of the training.
    """
    verdict, tone = run_verdict(run)
    here = run.environment
    return Report(
        title=f"{label(run.data)} · {label(run.name)}",
        verdict=verdict,
        tone=tone,
        sections=tuple(
            section for section in _sections(run, thumbnails or {}, verdicts) if section.blocks
        ),
        footer=f"Run {label(run.name)}, begun {moment(run.created)}, Affinage {here.affinage}. "
        "Intervals are 95 % intervals: Wilson's for shares of images, bootstrap for the rest.",
    )


def _sections(
    run: RunRecord, thumbnails: Mapping[str, bytes], verdicts: tuple[Verdict, ...]
) -> list[Section]:
    ordered = {part: run.evaluations[part] for part in _PARTS if part in run.evaluations}
    evaluations = {**ordered, **run.evaluations}
    shown = deciding(run)
    findings = Section(title=FINDINGS, blocks=_findings(run))
    blocking = any(finding.severity == "blocking" for finding in run.findings)
    return [
        Section(title=AT_A_GLANCE, blocks=(_glance(run),)),
        *([findings] if blocking else []),
        Section(title=SCORES, blocks=_scores(run, evaluations)),
        *([] if blocking else [findings]),
        Section(title=DECISIONS, blocks=stage_blocks(run)),
        Section(
            title="Learning curves",
            blocks=curve_blocks(run.signals, penalties=_penalties(run), task=run.model.task),
        ),
        Section(title="The training, examined", blocks=examined_blocks(verdicts, run.name)),
        *(_about(shown) if shown is not None else []),
        *_mistakes(evaluations, thumbnails),
        Section(
            title="The data",
            blocks=data_blocks(run),
            folded=len(run.class_counts) > MOST_CLASSES_OPEN,
        ),
        Section(title="Looks at the test part", blocks=look_blocks(run)),
        Section(title="Methods, to paste", blocks=(Text(paragraphs=methods_paragraphs(run)),)),
        Section(title="Recipe", blocks=recipe_blocks(run), folded=True),
        Section(title="Numbers of each stage", blocks=stage_facts(run), folded=True),
        Section(title="Versions and hardware", blocks=environment_blocks(run), folded=True),
        Section(title="Where the time went", blocks=time_blocks(run), folded=True),
    ]


def _mistakes(
    evaluations: Mapping[str, AnyEvaluation], thumbnails: Mapping[str, bytes]
) -> list[Section]:
    """Return the mistakes of the part that speaks: test, else what there is."""
    part = next((part for part in _PARTS if part in evaluations), "")
    shown = evaluations.get(part)
    voice = voice_of(shown) if shown is not None else None
    if voice is not None:
        return [Section(title=voice.mistakes_title, blocks=voice.mistakes(shown, thumbnails))]
    chosen = classifiers(evaluations if shown is None else {part: shown})
    return [Section(title="The most confident mistakes", blocks=mistake_blocks(chosen, thumbnails))]


def _about(evaluation: AnyEvaluation) -> list[Section]:
    voice = voice_of(evaluation)
    if voice is not None:
        return voice.sections(evaluation)
    assert isinstance(evaluation, Evaluation)
    many = len(evaluation.classes) > MOST_CLASSES_OPEN
    sections = [Section(title="What is taken for what", blocks=confusion_blocks(evaluation))]
    if evaluation.binary is not None:
        sections.append(Section(title="The threshold", blocks=threshold_blocks(evaluation.binary)))
    sections.append(Section(title="Each class", blocks=(class_table(evaluation),), folded=many))
    return sections


def _scores(run: RunRecord, evaluations: Mapping[str, AnyEvaluation]) -> tuple[Block, ...]:
    if not evaluations:
        return (Text(paragraphs=("Nothing was measured.",)),)
    notes = []
    if {"test", "validation"} <= set(evaluations) and not run.closed_set:
        notes.append(
            "Validation had a say in which model was kept, so its scores are a little optimistic; "
            "test had none."
            if validation_chose(run)
            else "Neither part had a say in the model; validation set its calibration."
        )
    if run.carved and not run.closed_set:
        notes.append(
            "Validation was measured with the model as it chose it, before any refit on train and "
            "validation together."
        )
    if run.closed_set:
        notes.append("Validation is the training images: a memory test, no forecast.")
    text = (Text(paragraphs=(" ".join(notes),)),) if notes else ()
    voice = voice_of(next(iter(evaluations.values())))
    if voice is not None:
        return (*voice.scores(evaluations), *_own_metrics(run), *text)
    return (score_table(classifiers(evaluations)), *_own_metrics(run), *text)


def _own_metrics(run: RunRecord) -> tuple[Table, ...]:
    """Return the scores of the user's own metrics."""
    rows = tuple(
        (
            f"{label(name)}, {part}",
            estimated(score, share=False),
            interval(score, share=False),
            count(score.n),
        )
        for part, scores in run.own_metrics.items()
        for name, score in scores.items()
    )
    if not rows:
        return ()
    columns = ("Your own metrics", "Value", "95 % interval", "Images")
    return (Table(columns=columns, rows=rows, numeric=(1, 2, 3)),)


def _findings(run: RunRecord) -> tuple[Block, ...]:
    if not run.findings:
        return (Text(paragraphs=("Nothing was found that its owner should know.",)),)
    if not any(" DATA" in finding.remedy for finding in run.findings):
        return (Findings(items=run.findings),)
    stands = (
        "DATA in a command stands for the path of the data set's folder, whose name is "
        f"“{label(run.data)}”."
    )
    return (Findings(items=run.findings), Text(paragraphs=(stands,)))


def _glance(run: RunRecord) -> Facts:
    shown = deciding(run)
    items: list[Fact] = []
    voice = voice_of(shown) if shown is not None else None
    if voice is not None:
        items += voice.glance(shown)
    elif isinstance(shown, Evaluation):
        kind = "Memory of the training images" if shown.memory_test else f"Accuracy on {shown.part}"
        detail = f"95 % interval {interval(shown.accuracy)}, n = {count(shown.n)}"
        items.append(Fact(name=kind, value=estimated(shown.accuracy), detail=detail))
        if shown.binary is not None:
            found = shown.binary.sensitivity
            items.append(
                Fact(
                    name=f"{label(shown.binary.positive)} found",
                    value=estimated(found),
                    detail=f"95 % interval {interval(found)}, n = {count(found.n)}",
                )
            )
    if run.goal is not None:
        answer = {"too few images to say": "open"}.get(run.goal.verdict, run.goal.verdict)
        items.append(Fact(name="Goal", value=answer, detail=_goal_detail(run)))
    items.extend(headline(run).items)
    items.append(_model(run))
    device = run.environment.device
    items.append(
        Fact(
            name="Time",
            value=duration(sum(run.seconds.values())),
            detail=f"on {device}, {count(run.environment.cores, 'core')}",
        )
    )
    return Facts(items=tuple(items))


def _goal_detail(run: RunRecord) -> str:
    assert run.goal is not None
    text = f"{goal_text(run.goal)} on {run.goal.part}"
    if run.goal.verdict == "too few images to say":
        text += "; too few images to say"
        if run.goal.images_needed is not None:
            text += f", about {count(run.goal.images_needed)} would settle it"
    return text


def _model(run: RunRecord) -> Fact:
    kept = next((stage.name for stage in run.stages if stage.kept), "")
    how = {"features": "Frozen + head", "finetune": "Fine-tuned"}.get(kept, label(kept) or "Model")
    if kept == "finetune" and _never_moved(run):
        how = "As fine-tuning began"  # Kept because the recipe asks for it always.
    return Fact(
        name="Model",
        value=how,
        detail=f"{label(run.model.backbone)}, {millions(run.model.parameters)} weights",
    )


def _never_moved(run: RunRecord) -> bool:
    """Return whether no epoch of fine-tuning was better than its start."""
    stage = next(stage for stage in run.stages if stage.name == "finetune")
    return stage.facts.get("best_epoch") == 0


def _penalties(run: RunRecord) -> tuple[float, ...]:
    """Return the penalties in the order in which they are tried: the strongest first.

    The last ones may not have been tried; nothing is said of heads whose path holds others than these.
    """
    recipe = readable_recipe(run)
    if recipe is None or recipe.task != "classify" or recipe.features.head != "logistic":
        return ()
    return tuple(sorted(set(recipe.features.penalties), reverse=True))

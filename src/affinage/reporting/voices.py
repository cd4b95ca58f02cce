"""How evaluations of other tasks than `classify` are told: one voice for each."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from affinage.records.any_evaluation import AnyEvaluation
from affinage.records.count_evaluation import CountEvaluation
from affinage.records.evaluation import Evaluation
from affinage.records.multilabel_evaluation import MultilabelEvaluation
from affinage.records.report import Block, Fact, Section
from affinage.reporting import count_blocks, label_blocks
from affinage.reporting.words import estimated, interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """How one kind of evaluation is told.

    Attributes:
        headline: Name, value and interval of the deciding score.
        core: The verdict's first clause.
        against_baselines: The clauses on what models that look at no image score.
        useful: Whether it is better than one of these.
        sure: Whether it is better than all of them.
        glance: Facts for the first look.
        scores: Tables of all parts.
        sections: More about one part.
        mistakes: The worst mistakes of one part, with thumbnails by image id.
        mistakes_title: What stands above them.
        methods: Sentences for the methods paragraph.
    """

    headline: Callable[[Any], tuple[str, str, str]]
    core: Callable[[Any], str]
    against_baselines: Callable[[Any], list[str]]
    useful: Callable[[Any], bool]
    sure: Callable[[Any], bool]
    glance: Callable[[Any], list[Fact]]
    scores: Callable[[Mapping[str, Any]], tuple[Block, ...]]
    sections: Callable[[Any], list[Section]]
    mistakes: Callable[[Any, Mapping[str, bytes]], tuple[Block, ...]]
    mistakes_title: str
    methods: Callable[[Any], list[str]]


_COUNTS = Voice(
    headline=lambda e: ("mean error", count_blocks.error(e.mae), count_blocks.ends(e.mae)),
    core=count_blocks.count_core,
    against_baselines=count_blocks.count_against_baselines,
    useful=lambda e: any(count_blocks.beaten(e, name) for name in e.classes),
    sure=lambda e: all(count_blocks.beaten(e, name) for name in e.classes),
    glance=count_blocks.count_glance,
    scores=count_blocks.count_score_blocks,
    sections=count_blocks.count_sections,
    mistakes=count_blocks.count_mistake_blocks,
    mistakes_title="The counts that are furthest off",
    methods=count_blocks.count_methods,
)

_LABELS = Voice(
    headline=lambda e: ("macro F1", estimated(e.macro_f1), interval(e.macro_f1)),
    core=label_blocks.labels_core,
    against_baselines=label_blocks.labels_against_baselines,
    useful=label_blocks.labels_beat,
    sure=label_blocks.labels_beat,
    glance=label_blocks.labels_glance,
    scores=label_blocks.labels_score_blocks,
    sections=label_blocks.labels_sections,
    mistakes=label_blocks.labels_mistake_blocks,
    mistakes_title="The surest mistakes",
    methods=label_blocks.labels_methods,
)


def voice_of(evaluation: AnyEvaluation) -> Voice | None:
    """Return how an evaluation is told; None for a classifier's, which the other modules tell."""
    if isinstance(evaluation, CountEvaluation):
        return _COUNTS
    return _LABELS if isinstance(evaluation, MultilabelEvaluation) else None


def headline(evaluation: AnyEvaluation) -> tuple[str, str, str]:
    """Return the deciding score of an evaluation: its name, its value and its interval."""
    if isinstance(evaluation, Evaluation):
        return "accuracy", estimated(evaluation.accuracy), interval(evaluation.accuracy)
    voice = voice_of(evaluation)
    assert voice is not None
    return voice.headline(evaluation)


def classifiers(evaluations: Mapping[str, AnyEvaluation]) -> dict[str, Evaluation]:
    """Return the evaluations of classifiers among them."""
    return {part: one for part, one in evaluations.items() if isinstance(one, Evaluation)}

"""What was learnt from, what was left out, and what it took, as blocks of a report."""

from affinage.records.report import Block, Code, Fact, Facts, Table, Text
from affinage.records.run import RunRecord
from affinage.reporting.curve_blocks import STAGES
from affinage.reporting.voices import headline as headline_of
from affinage.reporting.words import NOTHING, count, duration, label, moment, number

PARTS = ("train", "validation", "test")
MOST_CLASSES_OPEN = 40


def image_count(run: RunRecord) -> int:
    """Return how many images were used; in a closed set, validation is the training images."""
    if run.closed_set:
        return run.split.get("train", 0) + run.split.get("test", 0)
    return sum(run.split.values())


def parts_text(run: RunRecord) -> str:
    """Return `576 to train, 144 to validate, 240 to test`."""
    if run.closed_set:
        words = [f"{count(run.split.get('train', 0))} to train and to validate"]
    else:
        words = [
            f"{count(run.split.get('train', 0))} to train",
            f"{count(run.split.get('validation', 0))} to validate",
        ]
    test = run.split.get("test", 0)
    words.append(f"{count(test)} to test" if test else "none to test")
    return ", ".join(words)


def data_blocks(run: RunRecord) -> tuple[Block, ...]:
    """Return images by class and part, and what is in no part and why."""
    sources = ", ".join(label(source) for source in run.sources)
    text = (
        f"{count(image_count(run), 'image')} in {count(len(run.class_counts), 'class', 'classes')}"
        f"{f', from {sources}' if sources else ''}: {parts_text(run)}."
    )
    paragraphs = [text]
    if run.closed_set:
        paragraphs.append("Validation is the training images, on purpose: its scores test memory.")
    if run.carved:
        paragraphs.append("The source had no validation part; it was cut from the training part.")
    blocks: list[Block] = [Text(paragraphs=tuple(paragraphs)), _class_counts(run)]
    if run.left_out:
        blocks.append(
            Table(
                columns=("Left out because", "Files"),
                rows=tuple((label(reason), count(n)) for reason, n in run.left_out.items()),
                caption=f"{count(sum(run.left_out.values()), 'file')} of the source in no part.",
                numeric=(1,),
            )
        )
    else:
        blocks.append(Text(paragraphs=("No file of the source was left out.",)))
    return tuple(blocks)


def _class_counts(run: RunRecord) -> Table:
    rows = [
        (label(name), *(count(parts.get(part, 0)) for part in PARTS), count(_total(run, parts)))
        for name, parts in run.class_counts.items()
    ]
    if len(rows) > 1:
        sums = [sum(parts.get(part, 0) for parts in run.class_counts.values()) for part in PARTS]
        together = sum(_total(run, parts) for parts in run.class_counts.values())
        rows.append(("All", *(count(n) for n in sums), count(together)))
    return Table(
        columns=("Class", "Train", "Validation", "Test", "Together"),
        rows=tuple(rows),
        caption="Images by class and part.",
        numeric=(1, 2, 3, 4),
    )


def _total(run: RunRecord, parts: dict[str, int]) -> int:
    return sum(n for part, n in parts.items() if not (run.closed_set and part == "validation"))


def stage_blocks(run: RunRecord) -> tuple[Block, ...]:
    """Return what each stage did and scored, which model was kept, and why."""
    if not run.stages:
        return (Text(paragraphs=(run.choice or "No stage was run.",)),)
    names = [headline_of(stage.validation)[0] for stage in run.stages if stage.validation]
    scored = names[0] if names else "accuracy"
    table = Table(
        columns=("Stage", "Time", f"Validation {scored}", "95 % interval", "Kept"),
        rows=tuple(
            (
                STAGES.get(stage.name, label(stage.name)),
                duration(stage.seconds),
                *(headline_of(stage.validation)[1:] if stage.validation else (NOTHING, NOTHING)),
                "kept" if stage.kept else "no",
            )
            for stage in run.stages
        ),
        caption=run.choice,
        numeric=(1, 2, 3),
    )
    summaries = tuple(
        f"{STAGES.get(stage.name, label(stage.name))}. {stage.summary}"
        for stage in run.stages
        if stage.summary
    )
    blocks: list[Block] = [table]
    parity = "" if "difference" in " ".join(summaries) else parity_text(run)
    if summaries or parity:
        blocks.append(Text(paragraphs=(*summaries, *([parity] if parity else []))))
    return tuple(blocks)


def parity_text(run: RunRecord) -> str:
    """Return the sentence on the proof that fine-tuning began from the head's own outputs."""
    for stage in run.stages:
        difference = stage.facts.get("parity_max_abs_difference")
        if isinstance(difference, int | float) and not isinstance(difference, bool):
            images = stage.facts.get("parity_images")
            on = f" on {count(images, 'image')}" if isinstance(images, int) and images else ""
            return (
                "Parity: before fine-tuning, the stacked model and the head on stored features "
                f"differed by at most {number(difference)} in any logit{on}."
            )
    return ""


def stage_facts(run: RunRecord) -> tuple[Block, ...]:
    """Return every named number of every stage."""
    rows = tuple(
        (STAGES.get(stage.name, label(stage.name)), name.replace("_", " "), _plain(value))
        for stage in run.stages
        for name, value in stage.facts.items()
        if value is not None
    )
    if not rows:
        return ()
    return (Table(columns=("Stage", "What", "Value"), rows=rows, numeric=(2,)),)


def _plain(value: str | float) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return label(value) if isinstance(value, str) else number(value)


def look_blocks(run: RunRecord) -> tuple[Block, ...]:
    """Return every look at the test part, with a warning where there was more than one."""
    if not run.looks:
        return (Text(paragraphs=("There is no test part, so nobody has looked at one.",)),)
    n = len(run.looks)
    if n == 1:
        words = "The test part was measured once, after every choice had been made."
    else:
        words = (
            f"Warning: the test part has been measured {n} times. Whoever chooses between models by "
            "such scores turns the test part into a second validation part, and the best of them "
            "looks better than it is. Choose by validation; for a fresh verdict, collect new images."
        )
    table = Table(
        columns=("When", "Run", "Command", "Images"),
        rows=tuple(
            (moment(look.at), label(look.run), label(look.command), count(look.images))
            for look in run.looks
        ),
        caption=f"The ledger of the data set {label(run.data)}.",
        numeric=(3,),
    )
    return (Text(paragraphs=(words,)), table)


def environment_blocks(run: RunRecord) -> tuple[Block, ...]:
    """Return versions and hardware."""
    here = run.environment
    seen = ", ".join(label(name) for name in here.accelerators) or "none seen"
    items = (
        Fact(name="Computed on", value=here.device, detail=here.device_reason),
        Fact(name="Processor", value=label(here.processor), detail=f"{here.cores} usable"),
        Fact(name="Memory", value=f"{here.memory_gib:g} GiB"),
        Fact(name="Accelerators", value=seen),
        Fact(name="System", value=here.platform, detail=f"Python {here.python}"),
        Fact(name="Seed", value=str(run.seed)),
    )
    packages = Table(
        columns=("Package", "Version"),
        rows=(("affinage", here.affinage), *here.packages.items()),
        caption="The versions that the numbers depend on.",
    )
    return (
        Table(
            columns=("What", "Value", "Note"),
            rows=tuple((item.name, item.value, item.detail) for item in items),
            caption="The machine.",
        ),
        packages,
    )


def time_blocks(run: RunRecord) -> tuple[Block, ...]:
    """Return how long each phase took."""
    total = sum(run.seconds.values())
    rows = [
        (STAGES.get(name, label(name).capitalize()), duration(seconds), _part(seconds, total))
        for name, seconds in run.seconds.items()
    ]
    budget = (
        f" The budget was {duration(run.budget_seconds)}." if run.budget_seconds is not None else ""
    )
    return (
        Table(
            columns=("Phase", "Time", "Share"),
            rows=(*rows, ("Together", duration(total), "")),
            caption=f"Over all sittings.{budget}",
            numeric=(1, 2),
        ),
    )


def _part(seconds: float, total: float) -> str:
    return f"{100 * seconds / total:.0f} %" if total > 0 else NOTHING


def headline(run: RunRecord) -> Facts:
    """Return the facts that stand under the verdict, without the scores."""
    classes = [parts.get("train", 0) for parts in run.class_counts.values()]
    spread = ""
    if classes:
        low, high = min(classes), max(classes)
        each = count(low) if low == high else f"{count(low)} to {count(high)}"
        spread = f"{each} training {'image' if each == '1' else 'images'} each"
    return Facts(
        items=(
            Fact(name="Images", value=count(image_count(run)), detail=parts_text(run)),
            Fact(name="Classes", value=count(len(run.class_counts)), detail=spread),
        )
    )


def recipe_blocks(run: RunRecord) -> tuple[Block, ...]:
    """Return the resolved recipe."""
    return (
        Code(
            text=run.recipe,
            caption="As resolved: with the same data, seed and machine it gives the same numbers.",
        ),
    )

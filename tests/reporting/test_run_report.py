import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from affinage.records.estimate import Estimate
from affinage.records.finding import Finding
from affinage.records.recipe_text import dump_recipe, parse_recipe
from affinage.records.report import Chart, Code, Facts, Gallery, Matrix, Table, Text
from affinage.records.signals import Signals
from affinage.reporting.evaluation_report import evaluation_report
from affinage.reporting.html import to_html
from affinage.reporting.markdown import to_markdown
from affinage.reporting.methods import methods_paragraphs
from affinage.reporting.run_report import run_report
from affinage.reporting.terminal import to_terminal

SAMPLES = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "flowers12"


def all_blocks(report, kind):
    return [
        block for section in report.sections for block in section.blocks if isinstance(block, kind)
    ]


def section(report, title):
    return next(section for section in report.sections if section.title == title)


def test_every_run_is_told_by_every_renderer(any_run, read_page, printed):
    report = run_report(any_run)
    page = to_html(report)
    read_page(page)
    assert len(page) < 400_000
    assert to_markdown(report).startswith("# ")
    assert printed(to_terminal(report))
    assert printed(to_terminal(report, full=True))


def test_no_page_fetches_anything_or_tells_where_files_lie(any_run, read_page):
    page = to_html(run_report(any_run))
    assert "http://" not in page
    assert "https://" not in page
    assert not re.search(r"/(home|root|tmp|Users|work|mnt)/", page)
    assert not re.search(r"[A-Z]:\\", page)


def test_numbers_are_never_python_words(any_run):
    text = to_markdown(run_report(any_run))
    outside = text.split("## Recipe")[0]
    assert not re.search(r"\b(None|nan|inf|True|False)\b", outside)


def test_names_are_escaped(run_named, read_page):
    page = to_html(run_report(run_named("hostile")))
    read = read_page(page)
    assert "<script>alert" not in page
    assert not read.all("script")
    assert "{{ 7 * 7 }}" in "".join(read.text)


def test_the_verdict_is_one_sentence_with_interval_and_baseline(flowers):
    verdict = run_report(flowers).verdict
    assert verdict == (
        "Right on 98.8 % of 240 test images it had never seen (95 % interval 96.4–99.6 %); "
        "the largest class alone would score 8.3 %."
    )


VERDICTS = {
    "no test part": ("caution", "There is no test part, so this is an optimistic estimate"),
    "closed set": ("caution", "A memory test, no forecast"),
    "seen often, goal missed": ("bad", "the goal, accuracy ≥ 99.9 %, is not met"),
    "malaria": ("caution", "can be neither confirmed nor refuted with so few images (about 1,900"),
    "no better than guessing": ("bad", "that is worse than always naming the largest class"),
    "one class": ("bad", "that is no better than always naming the largest class"),
}


@pytest.mark.parametrize("name", VERDICTS)
def test_the_verdict_is_blunt(name, run_named):
    report = run_report(run_named(name))
    tone, words = VERDICTS[name]
    assert words in report.verdict
    assert report.tone == tone
    assert report.verdict.count(". ") == 0


def test_validation_that_chose_nothing_is_not_called_optimistic(run_named):
    run = run_named("no test part")
    report = run_report(replace(run, stages=run.stages[:1]))
    assert "validation alone must speak: right on 97.9 % of 144 validation images" in report.verdict
    assert "optimistic" not in to_markdown(report)
    assert report.tone == "caution"


def test_a_refit_is_told_once_in_the_methods(flowers):
    assert " ".join(methods_paragraphs(flowers)).count("together") == 1


def test_a_memory_test_is_never_called_a_forecast(run_named):
    report = run_report(run_named("closed set"))
    assert "validation, memory test" in to_markdown(report).lower()
    assert "never seen" not in to_markdown(report)


def test_a_blocking_finding_comes_before_the_score(flowers):
    leak = Finding(code="leak", severity="blocking", subject="It leaks.", remedy="Mend it.")
    report = run_report(replace(flowers, findings=(leak,)))
    assert report.verdict.startswith(
        "Do not rely on this score before 1 blocking finding is settled"
    )
    assert report.tone == "bad"
    titles = [section.title for section in report.sections]
    assert titles.index("Findings") < titles.index("Scores")


def test_a_model_within_the_baselines_reach_is_not_called_better(build):
    verdict = run_report(build(nearest=0.97)).verdict
    assert "it is not shown to be better than the nearest training image" in verdict


def test_several_looks_are_warned_of(run_named, flowers):
    looks = section(run_report(run_named("seen often, goal missed")), "Looks at the test part")
    assert (
        looks.blocks[0].paragraphs[0].startswith("Warning: the test part has been measured 4 times")
    )
    assert len(looks.blocks[1].rows) == 4
    once = section(run_report(flowers), "Looks at the test part")
    assert "measured once" in once.blocks[0].paragraphs[0]


def test_scores_stand_beside_their_baselines_with_intervals(flowers):
    table = section(run_report(flowers), "Scores").blocks[0]
    assert table.columns[:3] == ("Score", "Test, n = 240", "95 % interval")
    rows = {row[0]: row[1:] for row in table.rows}
    assert rows["Accuracy"][:2] == ("98.8 %", "96.4–99.6 %")
    assert "Baseline: largest class alone" in rows
    assert "Baseline: nearest training image" in rows


def test_curves_tell_train_in_both_modes_from_validation(flowers):
    charts = {chart.title: chart for chart in all_blocks(run_report(flowers), Chart)}
    loss = charts["Fine-tuning: loss"]
    assert [line.name for line in loss.lines] == [
        "validation",
        "train (evaluation mode)",
        "train (running)",
    ]
    assert charts["Fine-tuning: accuracy"].y == "accuracy, %"
    assert "Fine-tuning: learning rate" in charts


def test_the_features_curve_is_over_the_penalties_strongest_first(flowers):
    chart = next(c for c in all_blocks(run_report(flowers), Chart) if "features" in c.title)
    assert chart.log_x
    ranked = {
        point.epoch: point.value
        for point in flowers.signals.points
        if point.stage == "features" and point.series == "loss"
    }
    penalties = parse_recipe().features.penalties
    drawn = dict(chart.lines[0].points)
    assert drawn[max(penalties)] == ranked[0]
    assert drawn[min(penalties)] == ranked[len(penalties) - 1]


def test_penalties_that_do_not_match_the_ranks_are_not_guessed(flowers):
    recipe = dump_recipe(parse_recipe({"features": {"penalties": [0.1, 1.0]}}))
    chart = all_blocks(run_report(replace(flowers, recipe=recipe)), Chart)[0]
    assert not chart.log_x
    assert chart.x == "penalty tried, by rank"


def test_a_path_that_ended_early_is_drawn_over_the_penalties_that_were_tried(flowers):
    kept = tuple(p for p in flowers.signals.points if p.stage != "features" or p.epoch < 5)
    short = replace(flowers, signals=replace(flowers.signals, points=kept))
    chart = next(c for c in all_blocks(run_report(short), Chart) if "features" in c.title)
    strongest_first = sorted(parse_recipe().features.penalties, reverse=True)
    assert {x for x, _ in chart.lines[0].points} == set(strongest_first[:5])


def test_penalties_of_heads_whose_path_holds_others_are_not_guessed(flowers):
    recipe = dump_recipe(parse_recipe({"stages": ["features"], "features": {"head": "svm"}}))
    chart = all_blocks(run_report(replace(flowers, recipe=recipe)), Chart)[0]
    assert not chart.log_x


def test_a_model_that_no_epoch_bettered_is_not_called_fine_tuned(flowers):
    def model_of(best_epoch):
        stages = tuple(
            replace(
                stage, kept=stage.name == "finetune", facts=stage.facts | {"best_epoch": best_epoch}
            )
            for stage in flowers.stages
        )
        facts = all_blocks(run_report(replace(flowers, stages=stages)), Facts)
        return next(item.value for block in facts for item in block.items if item.name == "Model")

    assert model_of(0) == "As fine-tuning began"
    assert model_of(1.5) == "Fine-tuned"


def test_many_classes_get_pairs_and_a_picture(run_named, flowers):
    blocks = section(run_report(run_named("120 classes")), "What is taken for what").blocks
    assert isinstance(blocks[0], Table)
    assert isinstance(blocks[1], Matrix)
    assert isinstance(section(run_report(flowers), "What is taken for what").blocks[0], Matrix)


def test_two_classes_get_their_trade_offs(run_named):
    blocks = section(run_report(run_named("malaria")), "The threshold").blocks
    charts = {block.title: block for block in blocks if isinstance(block, Chart)}
    assert set(charts) == {"ROC", "Precision and recall"}
    point = next(line for line in charts["ROC"].lines if line.name == "at 0.93")
    assert point.points == ((pytest.approx(0.07), pytest.approx(0.96)),)


def test_mistakes_are_pictures_where_there_are_and_rows_where_not(flowers, png_picture):
    first, *others = flowers.evaluations["test"].mistakes
    report = run_report(flowers, thumbnails={first.image: png_picture})
    (gallery,) = all_blocks(report, Gallery)
    (picture,) = gallery.pictures
    assert picture.data == png_picture
    assert f"{first.truth}, called {first.predicted}" in picture.caption
    blocks = section(report, "The most confident mistakes").blocks
    assert len(blocks[1].rows) == len(others)


def test_real_photographs_are_shown(build, read_page):
    if not SAMPLES.is_dir():
        pytest.skip(
            "the sample photographs are not beside the repository: ../shared/data/flowers12"
        )
    photographs = sorted(SAMPLES.rglob("*.jpg"))[:3]
    run = build(accuracy=0.9)
    shown = run.evaluations["test"].mistakes[:3]
    thumbnails = {
        mistake.image: photograph.read_bytes()
        for mistake, photograph in zip(shown, photographs, strict=True)
    }
    read = read_page(to_html(run_report(run, thumbnails=thumbnails)))
    assert [image["src"][:23] for image in read.all("img")] == ["data:image/jpeg;base64,"] * 3


def test_what_was_left_out_is_told_with_its_reason(flowers):
    rows = [row for table in all_blocks(run_report(flowers), Table) for row in table.rows]
    assert ("HTML, not an image", "1") in rows


def test_the_recipe_is_whole(flowers):
    (code,) = all_blocks(run_report(flowers), Code)
    assert code.text == flowers.recipe


def test_parity_is_told_once(flowers):
    text = " ".join(p for block in all_blocks(run_report(flowers), Text) for p in block.paragraphs)
    assert text.count("1.43 × 10⁻⁶") == 1


def test_the_essentials_fit_a_terminal(flowers, printed):
    text = printed(to_terminal(run_report(flowers)))
    for words in ("At a glance", "Scores", "Findings", "What was decided", "98.8 %", "→ Download"):
        assert words in text
    assert "Recipe" not in text
    assert "Learning curves" not in text
    assert max(map(len, text.splitlines())) <= 80
    assert len(text.splitlines()) < 60


def test_methods_tell_everything_that_a_reader_would_ask(flowers):
    text = " ".join(methods_paragraphs(flowers))
    for words in (
        "576 training, 144 validation and 240 test images",
        "tf_efficientnet_lite0 (timm 1.0.27; 3.39 million weights",
        "licence Apache-2.0",
        "bicubic",
        "224 × 224 pixels",
        "L2 penalty of 0.001",
        "the last 4 of the backbone's 8 blocks",
        "AdamW for 7 epochs in batches of 32",
        "one-cycle",
        "BatchNorm statistics were kept as pretrained",
        "horizontal flips",
        "after 6 epochs, with the lowest validation loss at its best temperature",
        "(T = 1.31)",
        "accuracy 98.8 % (96.4–99.6 %)",
        "Wilson",
        "bootstrap",
        "measured once",
        "PyTorch 2.14.1",
        "seed 0",
    ):
        assert words in text, words


def test_methods_are_sentences(any_run):
    for paragraph in methods_paragraphs(any_run):
        assert paragraph[0].isupper()
        assert paragraph.endswith(".")
        assert ".." not in paragraph
        assert "  " not in paragraph


def test_methods_invent_nothing_that_the_recipe_switched_off(flowers):
    recipe = dump_recipe(
        parse_recipe(
            {"augment": {"horizontal_flip": False, "crop": 1.0}, "optimizer": {"clip": None}}
        )
    )
    text = " ".join(methods_paragraphs(replace(flowers, recipe=recipe, carved=False)))
    assert "not augmented" in text
    for words in ("flips", "crops", "clipped"):
        assert words not in text


def test_a_recipe_that_cannot_be_read_costs_only_its_details(flowers):
    run = replace(flowers, recipe="format: 99\nsomething: new\n")
    text = " ".join(methods_paragraphs(run))
    assert "AdamW" not in text
    assert "98.8 %" in text
    assert to_html(run_report(run))


def test_random_weights_are_not_called_pretrained(flowers):
    model = replace(flowers.model, weights="random weights", weights_sha256="", licence="")
    text = " ".join(methods_paragraphs(replace(flowers, model=model)))
    assert "started from random weights" in text
    assert "SHA-256 5793" not in text


def test_a_run_without_curves_or_scores_is_still_told(flowers):
    run = replace(flowers, evaluations={}, signals=Signals(), stages=(), looks=(), findings=())
    report = run_report(run)
    assert "Nothing was measured" in report.verdict
    assert to_html(report)
    assert to_markdown(report)


def test_undefined_scores_are_dashes(flowers):
    nothing = Estimate(value=None, low=None, high=None, n=0)
    evaluation = replace(
        flowers.evaluations["test"], macro_f1=nothing, baselines={"other": nothing}
    )
    report = run_report(replace(flowers, evaluations={"test": evaluation}))
    row = next(row for row in section(report, "Scores").blocks[0].rows if row[0] == "Macro F1")
    assert row[1:] == ("–", "–")


def test_an_evaluation_of_other_images_is_told(flowers, printed, read_page):
    evaluation = replace(flowers.evaluations["test"], part="new photos")
    report = evaluation_report("flowers12-1", evaluation, flowers.findings)
    assert report.verdict.startswith("flowers12-1 is right on 98.8 % of 240 images of new photos")
    assert "New photos, n = 240" in report.sections[0].blocks[0].columns
    read_page(to_html(report))
    assert "New photos" in printed(to_terminal(report))


def test_reports_are_the_same_each_time(any_run):
    first, second = (to_html(run_report(any_run)) for _ in range(2))
    assert first == second


def test_a_report_needs_no_heavy_package(fresh_modules):
    loaded = json.loads(fresh_modules("affinage.reporting.html, affinage.reporting.run_report"))
    assert not {"torch", "polars", "plotly"} & set(loaded)

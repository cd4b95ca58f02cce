import gc
import time
import warnings
import weakref
from dataclasses import replace

import numpy as np
import pytest
import torch

from affinage.errors import ModelError
from affinage.imaging.batches import Item
from affinage.imaging.hashing import content_id
from affinage.inference import choosing, engines
from affinage.inference.choosing import changed_predictions, try_engines
from affinage.inference.engines import MAKERS, engine_pass, maker_of
from affinage.inference.features import cache_facts
from affinage.inference.forward import Engine, compute_features
from affinage.models.build import build_backbone, stack
from affinage.records.engine import EngineChoice, EngineTrial, cheapest
from affinage.records.networks import ModelSettings
from affinage.store.engine_trials import EngineTrials

ENGINE = Engine(device=torch.device("cpu"), threads=2, batch_size=8)
QUICK = [maker.name for maker in MAKERS if not maker.name.startswith("compiled")]


@pytest.fixture(scope="module")
def backbone():
    return build_backbone(ModelSettings(width=64, height=64))


@pytest.fixture(scope="module")
def model(backbone):
    return stack(backbone, classes=3)


@pytest.fixture(scope="module")
def items(digits):
    paths = sorted(digits.glob("*/*.png"))
    return [Item(content_id(path.read_bytes()), path) for path in paths]


@pytest.fixture(params=QUICK)
def engine(request):
    if lacking := maker_of(request.param).missing():
        pytest.skip(lacking)
    return Engine(device=torch.device("cpu"), threads=2, batch_size=8, name=request.param)


def test_every_engine_computes_the_same_features(engine, model, items):
    expected = compute_features(model, items[:21], ENGINE)
    found = compute_features(model, items[:21], engine)
    assert found.dtype == np.float32
    assert found.shape == expected.shape
    cosine = (
        (found * expected).sum(1) / np.linalg.norm(found, axis=1) / np.linalg.norm(expected, axis=1)
    )
    if engine.name.endswith("bf16"):
        assert cosine.min() > 0.99
    else:
        assert cosine.min() > 0.99999
        assert np.abs(found - expected).max() < 1e-3 * np.abs(expected).max()


def test_in_every_engine_an_images_features_do_not_depend_on_its_neighbours(engine, model, items):
    together = compute_features(model, items[:11], engine)
    alone = np.concatenate([compute_features(model, [item], engine) for item in items[:11]])
    assert np.array_equal(together, alone)


def test_no_images_give_no_rows_in_any_engine(engine, model):
    assert compute_features(model, [], engine).shape == (0, 1280)


def test_every_engine_has_a_cache_of_its_own(backbone):
    def facts(maker):
        given = Engine(device=torch.device("cpu"), threads=2, name=maker.name)
        return tuple(sorted(cache_facts(backbone, given, versions={}).items()))

    able = [maker for maker in MAKERS if not maker.missing()]
    assert len({facts(maker) for maker in able}) == len(able) > 1


@pytest.mark.parametrize("maker", MAKERS[1:], ids=lambda maker: maker.name)
def test_an_engine_that_is_not_installed_is_refused_with_the_way_to_it(maker, model, monkeypatch):
    lacking = replace(maker, missing=lambda: "not installed")
    if maker.build is MAKERS[0].build:
        return  # PyTorch is always there.
    monkeypatch.setattr(engines, "maker_of", lambda _: lacking)
    with pytest.raises(ModelError, match="not installed") as caught:
        engine_pass(maker.name, Engine(device=torch.device("cpu"), threads=1).frozen(model))
    assert "compute.engine" in caught.value.remedy
    assert (f"affinage[{maker.extra}]" in caught.value.remedy) is bool(maker.extra)


def test_an_engine_lets_a_model_go(backbone, items):
    name = next(
        (
            maker.name
            for maker in MAKERS
            if maker.name.startswith("openvino") and not maker.missing()
        ),
        "torch",
    )
    other = stack(backbone, classes=2)
    compute_features(
        other, items[:8], Engine(device=ENGINE.device, threads=1, batch_size=8, name=name)
    )
    gone = weakref.ref(other)
    del other
    gc.collect()
    assert gone() is None


def test_the_engines_that_were_not_chosen_are_let_go(backbone, items):
    built = [
        maker.name for maker in MAKERS if maker.name in QUICK[1:] and maker.start_seconds
        and not maker.missing()
    ]  # fmt: skip
    if len(built) < 2:
        pytest.skip("fewer than two engines with a model of their own are installed")
    model = stack(backbone, classes=3)
    passes = {name: engine_pass(name, ENGINE.frozen(model)) for name in built}
    held = {name: weakref.ref(run) for name, run in passes.items()}
    del passes
    engines.let_go(ENGINE.frozen(model), but=built[0])
    gc.collect()
    assert engines.is_ready(built[0], ENGINE.frozen(model))
    assert {name for name, run in held.items() if run() is not None} == {built[0]}


def test_the_trial_says_how_many_predictions_change(model, items, monkeypatch):
    def wrong(frozen, *, precision):
        run = MAKERS[0].build(frozen, precision="fp32")
        return lambda pixels: run(pixels)[::-1].copy()

    def broken(frozen, *, precision):
        raise RuntimeError("no such layer\nand more")

    right = replace(maker_of("torch-bf16"), build=MAKERS[0].build, precision="fp32")
    bad = replace(maker_of("openvino"), build=wrong, missing=lambda: "")
    none = replace(maker_of("onnxruntime"), build=broken, missing=lambda: "")
    made = {maker.name: maker for maker in (MAKERS[0], right, bad, none)}
    monkeypatch.setattr(choosing, "MAKERS", tuple(made.values()))
    monkeypatch.setattr(engines, "maker_of", made.__getitem__)
    labels = np.array([int(item.path.parent.name) for item in items])
    fresh = stack(build_backbone(ModelSettings(width=64, height=64)), classes=3)
    said = []
    trials = try_engines(fresh, items, ENGINE, labels=labels, missing=100_000, told=said.append)
    found = {trial.engine: trial for trial in trials}
    assert found["torch-bf16"].changed == 0
    assert found["torch-bf16"].images == len(items)
    assert found["torch-bf16"].good_enough
    assert found["openvino"].changed > 0.2 * len(items)
    assert not found["openvino"].good_enough
    assert "no such layer" in found["onnxruntime"].failed
    assert "and more" not in found["onnxruntime"].failed
    assert len(said) == 3
    assert not engines._ready.get(fresh), "engines that were not the fastest are held"


def test_trials_end_when_pytorch_would_have_been_through(model, items, monkeypatch):
    def slow(frozen, *, precision):
        time.sleep(1.0)
        return MAKERS[0].build(frozen, precision="fp32")

    makers = [
        replace(maker_of(name), build=slow, missing=lambda: "", start_seconds=0.0)
        for name in ("openvino", "onnxruntime")
    ]
    made = {maker.name: maker for maker in (MAKERS[0], *makers)}
    monkeypatch.setattr(choosing, "MAKERS", tuple(made.values()))
    monkeypatch.setattr(engines, "maker_of", made.__getitem__)
    said = []
    try_engines(model, items, ENGINE, labels=None, missing=1, told=said.append)
    assert len(said) == 1


def test_an_engine_that_starts_longer_than_it_could_save_is_not_tried(model, items):
    trials = try_engines(model, items, ENGINE, labels=None, missing=1, told=lambda _: None)
    assert all(maker_of(trial.engine).start_seconds == 0 for trial in trials)


def test_changed_predictions_of_the_same_features_are_none():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(40, 5)).astype(np.float32)
    kinds = rng.integers(0, 3, 40)
    assert changed_predictions(rows, rows, kinds) == 0
    assert changed_predictions(rows, -rows, kinds) > 20


@pytest.mark.parametrize(("changed", "good"), [(0, True), (2, True), (3, False)])
def test_at_most_one_percent_may_change(changed, good):
    assert EngineTrial(engine="openvino", changed=changed, images=256).good_enough is good


def test_the_cheapest_counts_the_start_and_what_is_there():
    trials = (
        EngineTrial(engine="torch", image_seconds=0.01, images=256),
        EngineTrial(engine="openvino", start_seconds=5.0, image_seconds=0.002, images=256),
        EngineTrial(engine="torch-bf16", image_seconds=0.001, changed=50, images=256),
    )

    def choose(torch, openvino, warm=()):
        missing = {"torch": torch, "openvino": openvino, "torch-bf16": 1}
        return cheapest(trials, missing, warm=frozenset(warm))

    assert choose(600, 600) == "torch"
    assert choose(700, 700) == "openvino"
    assert choose(600, 600, warm=["openvino"]) == "openvino"
    assert choose(10_000, 0) == "openvino"
    assert choose(0, 10_000) == "torch"
    assert cheapest((), {"torch": 1}, warm=frozenset()) == "torch"


def test_the_sentence_has_the_figures():
    trials = (
        EngineTrial(engine="torch", image_seconds=0.0092, images=256),
        EngineTrial(engine="openvino-bf16", image_seconds=0.002, changed=1, images=256),
    )
    choice = EngineChoice(engine="openvino-bf16", trials=trials)
    assert choice.sentence == ("OpenVINO bf16, 4.6 × eager, 0.4 % of predictions differ (1 of 256)")
    unmeasured = EngineChoice(engine="openvino").sentence
    assert unmeasured == "OpenVINO fp32 (not compared with PyTorch fp32 here)"
    assert EngineChoice(engine="torch").sentence == "PyTorch fp32"


def test_trials_are_kept_by_what_they_depend_on(tmp_path):
    trials = (
        EngineTrial(engine="torch", image_seconds=0.1),
        EngineTrial(engine="openvino", failed="x"),
    )
    kept = EngineTrials(tmp_path, {"processor": "a"})
    assert kept.load() == ()
    kept.save(trials)
    assert EngineTrials(tmp_path, {"processor": "a"}).load() == trials
    assert EngineTrials(tmp_path, {"processor": "b"}).load() == ()
    kept.path.write_text('{"trials": [{"engine": "abacus"}]}')
    assert kept.load() == ()


def test_warnings_of_converters_stay_inside(engine, backbone, items):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        compute_features(stack(backbone, classes=2), items[:3], engine)


def test_why_a_converter_fails_is_one_sentence_without_colours(monkeypatch, model):
    def build(frozen, *, precision):
        raise RuntimeError(
            "Failed to export the model. \x1b[96mThis is step 1/3\x1b[0m of it. Next steps:\n- Try"
        )

    broken = replace(maker_of("onnxruntime"), build=build, missing=lambda: "")
    monkeypatch.setattr(engines, "maker_of", lambda name: broken)
    with pytest.raises(ModelError) as raised:
        engine_pass("onnxruntime", replace(ENGINE, threads=7).frozen(model))
    assert raised.value.problem.endswith("this backbone: Failed to export the model.")

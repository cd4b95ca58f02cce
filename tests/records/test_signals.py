"""Signals survive JSON, and say why something is not there."""

import json

from affinage.records.signals import (
    Layer,
    Point,
    Series,
    Signals,
    signals_from_json,
    signals_to_json,
)

SIGNALS = Signals(
    points=(
        Point(stage="features", series="loss", on="validation", epoch=0, value=1.0),
        Point(stage="finetune", series="loss", on="validation", epoch=1, value=0.4),
        Point(stage="finetune", series="loss", on="validation", epoch=0, value=0.5),
    ),
    layers=(Layer(name="fc", kind="Linear", parameters=6, trainable=0, settings={"p": 0.5}),),
    series=(
        Series(name="loss", steps=(1, 2), values=(0.25, None)),
        Series(name="gradient_norm", layer="fc", steps=(1,), values=(0.0,)),
    ),
    overlaps=(),
    missing={"batchnorms": "the log holds no layers"},
)


def test_signals_come_back_from_json_as_they_were():
    assert signals_from_json(json.loads(json.dumps(signals_to_json(SIGNALS)))) == SIGNALS


def test_looked_for_and_not_there_differs_from_not_collected():
    back = signals_from_json(signals_to_json(SIGNALS))
    assert back.overlaps == ()
    assert back.batchnorms is None
    assert back.why_missing("batchnorms") == "the log holds no layers"


def test_a_curve_is_that_of_the_last_stage_by_epoch():
    assert [p.value for p in SIGNALS.curve("loss", "validation")] == [0.5, 0.4]
    assert [p.value for p in SIGNALS.curve("loss", "validation", stage="features")] == [1.0]
    assert SIGNALS.curve("loss", "train (running)") == ()


def test_series_are_found_by_name_and_layer():
    assert SIGNALS.series_of("loss").values == (0.25, None)
    assert SIGNALS.series_of("gradient_norm") is None
    assert list(SIGNALS.by_layer("gradient_norm")) == ["fc"]

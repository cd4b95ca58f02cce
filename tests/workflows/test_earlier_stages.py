"""A fault of an earlier training of a script is told, with the number of its training."""

from affinage.diagnosis.diagnose import diagnose
from affinage.records.signals import Signals
from affinage.records.training_facts import Layer
from affinage.workflows.earlier_stages import with_earlier


def training(trainable):
    layer = Layer(name="fc", kind="Linear", parameters=10, trainable=trainable, optimized=trainable)
    return Signals(steps=5, layers=(layer,))


def judged(*stages):
    *earlier, last = map(training, stages)
    signals = Signals(steps=last.steps, layers=last.layers, earlier=tuple(earlier))
    return with_earlier(diagnose(signals), signals)


def test_a_fault_of_the_first_of_two_trainings_is_told_once():
    verdicts = judged(0, 10)
    (verdict,) = [v for v in verdicts if v.code == "nothing-trainable"]
    assert verdict.finding.subject.startswith("In training 1 of 2: ")
    assert verdict.where[0] == "training 1 of 2"


def test_what_the_last_training_has_too_is_told_of_the_last():
    (verdict,) = [v for v in judged(0, 0) if v.code == "nothing-trainable"]
    assert "training 1" not in verdict.finding.subject


def test_healthy_trainings_change_nothing():
    assert judged(10, 10) == judged(10)

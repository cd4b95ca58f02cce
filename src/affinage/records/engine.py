"""EngineChoice: how the frozen backbone is computed here, and the measurement behind it."""

from dataclasses import dataclass
from typing import Literal

EngineName = Literal[
    "torch", "torch-bf16", "compiled", "compiled-bf16", "onnxruntime", "openvino", "openvino-bf16"
]

TITLES: dict[EngineName, str] = {
    "torch": "PyTorch fp32",
    "torch-bf16": "PyTorch bf16",
    "compiled": "torch.compile fp32",
    "compiled-bf16": "torch.compile bf16",
    "onnxruntime": "ONNX Runtime fp32",
    "openvino": "OpenVINO fp32",
    "openvino-bf16": "OpenVINO bf16",
}

MOST_CHANGED = 0.01
"""Share of top-1 predictions that may differ from fp32 before an engine counts as another model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineTrial:
    """One engine, tried on real images beside PyTorch in fp32.

    Attributes:
        engine: Its name.
        start_seconds: From nothing to its first batch.
        image_seconds: Of the forward pass, for each image.
        changed: Predictions of a head on its features that differ from those on fp32 features.
        images: How many predictions were compared.
        failed: Why it could not be used; empty where it could.
    """

    engine: EngineName
    start_seconds: float = 0.0
    image_seconds: float = 0.0
    changed: int = 0
    images: int = 0
    failed: str = ""

    @property
    def good_enough(self) -> bool:
        """True where at most 1 % of the predictions changed; the reference itself always is."""
        if self.engine == "torch":
            return not self.failed
        return not self.failed and self.images > 0 and self.changed <= MOST_CHANGED * self.images


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineChoice:
    """The engine that will be through first, and what it was chosen from.

    Attributes:
        engine: Its name.
        trials: What was measured, PyTorch in fp32 first; empty where a measurement would not have paid.
        reason: Why it is PyTorch in fp32, for people; empty where that was asked for, or is no choice.
    """

    engine: EngineName
    trials: tuple[EngineTrial, ...] = ()
    reason: str = ""

    def trial(self, engine: EngineName) -> EngineTrial | None:
        """Return what was measured of an engine."""
        return next((trial for trial in self.trials if trial.engine == engine), None)

    @property
    def times_faster(self) -> float | None:
        """How many times the images per second of PyTorch in fp32; None where not measured."""
        plain, chosen = self.trial("torch"), self.trial(self.engine)
        if plain is None or chosen is None or not chosen.image_seconds:
            return None
        return plain.image_seconds / chosen.image_seconds

    @property
    def sentence(self) -> str:
        """How features are computed, with the figures, for people."""
        title, trial, times = TITLES[self.engine], self.trial(self.engine), self.times_faster
        if self.engine == "torch":
            return f"{title} ({self.reason})" if self.reason else title
        if trial is None or times is None:
            return f"{title} (not compared with PyTorch fp32 here)"
        return (
            f"{title}, {times:.1f} × eager, {100 * trial.changed / max(1, trial.images):.1f} % of "
            f"predictions differ ({trial.changed} of {trial.images})"
        )


def cheapest(
    trials: tuple[EngineTrial, ...], missing: dict[EngineName, int], *, warm: frozenset[str]
) -> EngineName:
    """Return the engine that is through first with the images that its cache still lacks.

    Args:
        trials: What was measured.
        missing: Images without features, by engine.
        warm: Engines that are ready in this process already: they need no start.
    """

    def seconds(trial: EngineTrial) -> float:
        left = missing[trial.engine]
        start = 0.0 if trial.engine in warm or not left else trial.start_seconds
        return start + left * trial.image_seconds

    usable = [trial for trial in trials if trial.good_enough]
    return min(usable, key=seconds).engine if usable else "torch"

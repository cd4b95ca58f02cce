"""One training to run: its data, network, settings and fault."""

import hashlib
from dataclasses import asdict, dataclass, replace

from benchmarks.doctor.data import SETS
from benchmarks.doctor.faults import FAULTS
from benchmarks.doctor.networks import SCRATCH

SCORED_SETS = {"flowers12", "cifar10"}
SCORED_NETWORKS = {"conv_plain"}
_LATER = {"standard"}
_USUAL = 320


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One training; `fault` is empty for a healthy one."""

    data: str
    network: str
    fault: str = ""
    level: int = 1
    seed: int = 0
    optimizer: str = "adam"
    rate: float = 1e-3
    epochs: int = 8
    batch: int = 32
    images: int = 400
    dropout: float = 0.0
    decay: float = 0.0
    schedule: str = ""
    smoothing: float = 0.0
    noise: float = 0.0
    imbalance: bool = False
    clip: float = 0.0
    accumulate: int = 1
    standard: bool = False

    @property
    def name(self) -> str:
        """The file under which it is stored; settings that came later count only where they are set."""
        told = {k: v for k, v in asdict(self).items() if v or k not in _LATER}
        return hashlib.sha256(repr(sorted(told.items())).encode()).hexdigest()[:16]

    @property
    def scored(self) -> bool:
        """Whether it may not be looked at when rules are tuned."""
        kind = int(hashlib.sha256(self.fault.encode()).hexdigest(), 16) % 4 == 0
        return (
            self.data in SCORED_SETS
            or self.network in SCORED_NETWORKS
            or (bool(self.fault) and kind)
        )


def faulty() -> list[Case]:
    """Return a fraction of all combinations of fault, data, network, level and seed."""
    cases = []
    for number, (fault, spec) in enumerate(FAULTS.items()):
        networks = spec.networks or SCRATCH
        for k in range(spec.runs):
            data = SETS[(number + k) % len(SETS)]
            if spec.data:
                data = spec.data[k % len(spec.data)]
            case = Case(
                data=data, network=networks[(number + 2 * k + k // 2) % len(networks)], fault=fault,
                level=1 + k % 2, seed=k,
            )  # fmt: skip
            cases.append(replace(case, **(spec.settings | _pretrained(case.network))))
    return cases


def healthy(count: int = _USUAL + 20) -> list[Case]:
    """Return healthy trainings that are hard: few images, high rates, noise, imbalance, few epochs."""
    cases = []
    for k in range(count):
        bits = hashlib.sha256(f"healthy {k}".encode()).digest()
        pretrained = k % 20 == 0
        optimizer = ("adam", "sgd", "adamw")[bits[0] % 3]
        usual = 0.03 if optimizer == "sgd" else 1e-3
        cases.append(
            Case(
                data=SETS[bits[1] % len(SETS)]
                if not pretrained
                else ("flowers12", "mushrooms4")[k // 20 % 2],
                network="lite0" if pretrained else SCRATCH[bits[2] % len(SCRATCH)],
                seed=k,
                optimizer=optimizer,
                rate=usual * (0.5, 1, 2, 3)[bits[3] % 4],
                epochs=3 if pretrained else (3, 6, 10, 20)[bits[4] % 4],
                batch=(16, 32, 64)[bits[5] % 3],
                images=96 if pretrained else (120, 250, 400)[bits[6] % 3],
                dropout=(0.0, 0.3, 0.5)[bits[7] % 3],
                decay=(0.0, 1e-4, 1e-2)[bits[8] % 3] if optimizer == "adamw" else 1e-4,
                schedule=("", "cosine", "plateau", "steps")[bits[9] % 4],
                smoothing=(0.0, 0.1)[bits[10] % 2],
                noise=(0.0, 0.05, 0.15)[bits[11] % 3],
                imbalance=bits[12] % 5 == 0,
                clip=(0.0, 1.0)[bits[13] % 2],
                accumulate=(1, 1, 1, 2)[bits[14] % 4],
                standard=k >= _USUAL and not pretrained,
            )
        )
    return [case for case in cases if _steps(case)]


def _steps(case: Case) -> bool:
    """Return whether a step is ever taken: an epoch of one batch, two of which are added up, takes none."""
    return case.images >= case.accumulate * case.batch


def _pretrained(network: str) -> dict[str, object]:
    return {"images": 96, "epochs": 3, "batch": 16} if network == "lite0" else {}

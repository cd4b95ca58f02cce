"""What Prometheus is told of a server."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS = (0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24)
_LABELLED = 100


class Counters:
    """Counts of one server, apart from those of any other in the process."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.requests = Counter(
            "affinage_requests", "Requests by their status.", ["status"], registry=registry
        )
        self.images = Counter(
            "affinage_images", "Images answered, by outcome.", ["outcome"], registry=registry
        )
        self.labels = Counter("affinage_labels", "Answers by label.", ["label"], registry=registry)
        self.seconds = Histogram(
            "affinage_request_seconds", "From the first byte of a body to the answer.",
            buckets=_SECONDS, registry=registry,
        )  # fmt: skip
        self.batch = Histogram(
            "affinage_batch_images",
            "Images computed together.",
            buckets=(1, 2, 4, 8, 16, 32),
            registry=registry,
        )
        self.confidence = Histogram(
            "affinage_confidence", "Probability of the label given.",
            buckets=tuple(number / 10 for number in range(1, 11)), registry=registry,
        )  # fmt: skip
        self.waiting = Gauge(
            "affinage_waiting_images", "Images that wait for an answer.", registry=registry
        )
        self.held = Gauge("affinage_held_bytes", "Bytes of bodies held.", registry=registry)
        self.exchanges = Counter(
            "affinage_exchanges", "Bundles exchanged, by outcome.", ["outcome"], registry=registry
        )
        self.windows = Counter(
            "affinage_windows",
            "Windows judged for drift, by outcome.",
            ["outcome"],
            registry=registry,
        )
        self.drift = Gauge(
            "affinage_drift_p", "p of the largest deviation in the last window.", registry=registry
        )
        self.accuracy = Gauge(
            "affinage_accuracy_estimate",
            "Accuracy without labels, last window; NaN where unknown.",
            registry=registry,
        )
        self.bundle = Gauge(
            "affinage_bundle",
            "1 for the bundle that is served.",
            ["name", "identity"],
            registry=registry,
        )
        self._known: set[str] = set()

    def label(self, name: str) -> None:
        """Count an answer; labels beyond the first hundred are counted as `others`."""
        if name not in self._known and len(self._known) >= _LABELLED:
            name = "others"
        self._known.add(name)
        self.labels.labels(name).inc()

    def text(self) -> bytes:
        """Return all of it in Prometheus' text format."""
        return generate_latest(self.registry)

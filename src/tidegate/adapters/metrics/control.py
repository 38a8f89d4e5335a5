"""Control's own meters, in a registry of their own."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import generate_latest

__all__ = ["ControlMetrics"]

BUCKETS_S = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)


class ControlMetrics:
    """What control counts and shows of itself. Gauges are None until they are known, and then left out."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self._requests = Counter(
            "tidegate_control_requests", "Answers by route.", ["method", "route", "status"], registry=registry
        )
        self._seconds = Histogram(
            "tidegate_control_request_duration_seconds",
            "From the request to the answer's end.",
            ["method", "route"],
            buckets=BUCKETS_S,
            registry=registry,
        )
        self._gauges = {
            name: Gauge(f"tidegate_control_{name}", text, registry=registry)
            for name, text in (
                ("database_up", "Whether the database answered at the last look (1 or 0)."),
                ("leader", "Whether this process does the leader's work (1 or 0)."),
                ("generation", "The generation of the newest snapshot."),
                ("outbox_waiting", "Errands that are not done yet."),
                ("outbox_oldest_seconds", "How long the oldest of them has waited."),
                ("records_lost", "Call records among those kept that never arrived (holes in a gateway's numbers)."),
                ("prompt_faults", "Prompt files that are not served because they are wrong."),
            )
        }
        self._known: dict[str, float] = {}

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answer. `route` is the table's path, never the caller's, so that the labels stay few."""
        known = method if method in ("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS") else "other"
        self._requests.labels(known, route, str(status)).inc()
        self._seconds.labels(known, route).observe(seconds)

    def show(self, **values: float | None) -> None:
        """Set gauges by name; None leaves one as it was."""
        for name, value in values.items():
            if value is not None:
                self._gauges[name].set(value)

    def exposition(self) -> bytes:
        """Prometheus' text format."""
        return generate_latest(self._registry)

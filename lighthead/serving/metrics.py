"""What a server counts, in the text form of Prometheus."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
IMAGES = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """The numbers of one server.

    Args:
        waiting: How many requests wait or are computed now.
    """

    def __init__(self, waiting: Callable[[], int]) -> None:
        self.registry = registry = CollectorRegistry()
        self.requests = Counter(
            'lighthead_requests', 'Answers to POST /detect', ['status'], registry=registry
        )
        self.detections = Counter('lighthead_detections', 'Boxes in answers', registry=registry)
        self.request_seconds = Histogram(
            'lighthead_request_seconds',
            'From the head of a request to its answer',
            buckets=SECONDS,
            registry=registry,
        )
        self.batch_images = Histogram(
            'lighthead_batch_images', 'Images of a batch', buckets=IMAGES, registry=registry
        )
        self.batch_seconds = Histogram(
            'lighthead_batch_seconds',
            'From a batch to its boxes',
            buckets=SECONDS,
            registry=registry,
        )
        gauge = Gauge('lighthead_waiting', 'Requests that wait or are computed', registry=registry)
        gauge.set_function(waiting)

    def batch(self, images: int, seconds: float) -> None:
        """Count a batch."""
        self.batch_images.observe(images)
        self.batch_seconds.observe(seconds)

    def answer(self, status: int, seconds: float) -> None:
        """Count an answer to POST /detect."""
        self.requests.labels(str(int(status))).inc()
        self.request_seconds.observe(seconds)

    def text(self) -> bytes:
        """All numbers."""
        return generate_latest(self.registry)

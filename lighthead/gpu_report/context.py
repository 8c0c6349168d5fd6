"""What the sections of ``lighthead speed gpu`` share."""

from dataclasses import dataclass
from pathlib import Path

import torch

from lighthead.deploy.precision import possible_precisions
from lighthead.speed.harness.bench import Bench
from lighthead.speed.harness.conditions import Conditions
from lighthead.speed.harness.record import Record, timing_fields
from lighthead.speed.harness.timer import Plan, Timing, Workload
from lighthead.speed.paper.table7 import IMAGE_SIZE

SIDES_QUICK = (320, 480)


class NotMeasuredError(Exception):
    """This machine cannot measure a section; the message is the reason."""


@dataclass
class Run:
    """What the sections share."""

    bench: Bench
    record: Record
    data_root: Path
    deadline: float

    @property
    def conditions(self) -> Conditions:
        """The conditions of the run."""
        return self.bench.conditions

    @property
    def device(self) -> torch.device:
        """The device of the run."""
        return self.conditions.torch_device

    @property
    def sides(self) -> tuple[int, int]:
        """Height and width of the images."""
        return SIDES_QUICK if self.conditions.quick else IMAGE_SIZE

    @property
    def precisions(self) -> list[str]:
        """What is measured here; of the CPU only fp32, since its own pages have more."""
        return possible_precisions(self.device) if self.conditions.on_gpu else ['fp32']

    @property
    def plan(self) -> Plan:
        """How long a group is measured."""
        if self.conditions.quick:
            return Plan(min_time=0.1, rounds=2, warmup=1)
        return Plan(min_time=self.conditions.min_time / 2, rounds=5, warmup=5)

    def time(self, workloads: list[Workload], precision: str, covers: str) -> dict[str, Timing]:
        """Time a group and add its measurements."""
        title = workloads[0].key.split(' batch')[0]
        timings = self.bench.time(title, workloads, self.conditions.all_threads, self.plan)
        where = Conditions(device=self.conditions.device, precision=precision)
        for key, timing in timings.items():
            row = {'id': f'{key} {self.device.type} {precision}', 'name': key}
            fields = timing_fields(timing, where, self.conditions.all_threads, self.sides, covers)
            self.record.measurements.append(row | fields)
        return timings

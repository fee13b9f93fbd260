"""Which process of a training may write: the first of several, or the only one."""

from __future__ import annotations

import torch.distributed as dist

from brain_tumor.learning.retraining.job_folder import JobFolder


def is_parallel() -> bool:
    """Whether several processes train together."""
    return dist.is_initialized() and dist.get_world_size() > 1


def is_first() -> bool:
    """Whether this process writes for all of them."""
    return not dist.is_initialized() or dist.get_rank() == 0


def update(job: JobFolder, message: str | None = None, **changes: object) -> None:
    """Change the progress of a job, from one process only."""
    if is_first():
        job.update(message, **changes)

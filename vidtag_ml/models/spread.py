"""Recordings located by the workers of a Ray cluster, each by one of them: the same files.

Every worker must reach recordings, bundle and the folder of results by the same paths.

Belongs here: what a worker holds, and does with a recording. Does not belong here: Ray
(workflow/ray_workers.py), one recording after the other in this process (answers.py).
"""

import functools
import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from vidtag_ml.models import answers, registry
from vidtag_ml.models.answers import Row, Wanted
from vidtag_ml.models.asked import Asked
from vidtag_ml.models.bundle import Kept
from vidtag_ml.models.locator import knowing
from vidtag_ml.workflow import progress, ray_workers


def by_ray(
    kept: Kept, asked: Sequence[Asked], results: Sequence[Path], wanted: Wanted
) -> Iterator[Row]:
    """Rows as `answers.answers` gives them, in the same order.

    Raises:
        ValueError: Ray is not installed.
        OSError: the disk is full.
    """
    each = list(zip(asked, results, strict=True))
    return ray_workers.mapped(each, functools.partial(_begin, kept, wanted))


def _begin(kept: Kept, wanted: Wanted) -> Callable[[tuple[Asked, Path]], Row]:
    """A worker's function from a recording and the name of its results to its row."""
    card = kept.card()
    locator = knowing(registry.of(card), wanted.given)
    model = registry.facts(card, kept)

    def locate(one: tuple[Asked, Path]) -> Row:
        asked, result = one
        silent = progress.Batch([asked.num_bytes], io.StringIO())
        (row,) = answers.answers(locator, model, [asked], [result], wanted, silent)
        return row

    return locate

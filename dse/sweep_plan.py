"""A sweep ready to run: the experiment, its networks, and the grid laid out in units of work."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from dse import results
from dse.experiment import Experiment
from dse.grid import Span, spans
from dse.keep import SAMPLE_ROWS
from dse.sampling import Sampling
from dse.space import Block, Chunk, blocks, chunks
from dse.variants import Variant, variants
from hwmodels.compiled import WORTHWHILE

CHUNK_DESIGNS = 512
"""Designs of a chunk: working arrays of (512, tiles, blocks) stay near the caches, and a lost chunk is under a second."""
CHUNK_ROWS = 32768
"""Rows of a chunk at most, however many settings price a design: this bounds the memory of a sweep."""
MOST_ROWS = 2**63 - 1
"""Row numbers are 64-bit integers."""
KEEPS = (results.BEST, results.FRONT, results.EVERY)


@dataclass(frozen=True, slots=True)
class Plan:
    """A sweep ready to run: the experiment, its networks, the grid, which rows to keep (one of KEEPS), and who asks for them."""

    experiment: Experiment
    variants: tuple[Variant, ...]
    blocks: tuple[Block, ...]
    keep: str
    sampling: Sampling | None = None

    @property
    def rows(self) -> int:
        """Rows of the whole space."""
        return self.blocks[-1].first_row + self.blocks[-1].rows

    @property
    def machine_code(self) -> bool:
        """Whether the space is large enough for it to pay."""
        return sum(block.designs for block in self.blocks) >= WORTHWHILE

    @property
    def axes(self) -> bool:
        """Whether the best at every value of every knob are kept as well."""
        return self.keep == KEEPS[0]

    @property
    def whole(self) -> bool:
        """Whether every row is evaluated and kept: on request, and where the sample is the space."""
        return self.keep == results.EVERY or self.rows <= SAMPLE_ROWS

    @property
    def kept(self) -> str:
        """Which rows the folder keeps."""
        return results.ASKED if self.sampling else results.EVERY if self.whole else self.keep

    def chunks(self) -> Iterator[Chunk]:
        """The units of work where every row is evaluated."""
        settings = len(self.blocks[0].settings)
        return chunks(self.blocks, max(1, min(CHUNK_DESIGNS, CHUNK_ROWS // settings)))

    def units(self) -> Iterator[Chunk | Span]:
        """The units of work."""
        return self.chunks() if self.whole else spans(self.blocks)


def plan(experiment: Experiment, *, keep: str = KEEPS[0], sampling: Sampling | None = None) -> Plan:
    """Load the networks, measure what is to be measured, and lay out the grid. Raises ValueError for a space too large to number."""
    if keep not in KEEPS:
        raise ValueError(f"keep must be one of {', '.join(KEEPS)}, not {keep!r}")
    loaded = variants(experiment)
    laid = blocks(experiment.space, [variant.network for variant in loaded])
    prepared = Plan(experiment, loaded, laid, keep, sampling)
    if prepared.rows > MOST_ROWS:
        raise ValueError(
            f"space: must have at most {MOST_ROWS:,} rows, not {prepared.rows:,}; give some axis fewer values"
        )
    return prepared

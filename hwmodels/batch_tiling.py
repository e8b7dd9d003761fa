"""What tiles of a walk cost of the unit and of the port, over designs, tile sizes and blocks, whatever the order of the loops."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hwmodels.batch_port import port_cycles
from hwmodels.batch_walk import Ints, Walk, ceil_div
from hwmodels.knobs import Knobs
from hwmodels.mapping import DESCRIPTOR_BITS, THRESHOLD_BITS

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Tiling:
    """What does not depend on the loop order, over (designs, tiles, blocks): names as in `hwmodels.tiles`."""

    walk: Walk
    channel_tiles: Ints
    space_tiles: Ints
    last_columns: Ints
    step: Ints
    drain: Ints
    pipeline: Ints
    steps: Ints
    first_load: Ints
    last_store: Ints
    first_weights: Ints
    weights: Ints
    acts_full: Ints
    acts_last: Ints
    stores_full: Ints
    stores_last: Ints

    @classmethod
    def of(cls, walk: Walk) -> Tiling:
        channel_tiles = ceil_div(walk.channel_groups[:, None], walk.groups)
        last = (channel_tiles - 1) * walk.groups
        space_tiles = ceil_div(walk.blocks.count, walk.knobs.cols[:, None])
        before = (space_tiles - 1) * walk.knobs.cols[:, None]
        last_weights = _weight_load(walk, last)
        weights = _weight_load(walk, 0)
        return cls(
            walk=walk,
            channel_tiles=channel_tiles[:, :, None],
            space_tiles=space_tiles[:, None, :],
            last_columns=(walk.blocks.count - before)[:, None, :],
            **_unit(walk, space_tiles),
            **_maps(walk, channel_tiles, last, before, weights),
            first_weights=weights[:, :, None],
            weights=((channel_tiles - 1) * weights + last_weights)[:, :, None],
        )

    def unit(self, columns: Ints) -> Floats:
        """T of a tile with that many columns, as a mean over the channel tiles."""
        walk = self.walk
        words = walk.words[:, None, None] * columns if walk.shape.vector else walk.channel_groups[:, None, None]
        return np.asarray(walk.blocks.area * words * np.maximum(self.step, self.drain) / self.channel_tiles)

    def later_weights(self) -> Floats:
        """Weights of a channel tile that others came before, as a mean."""
        return np.asarray((self.weights - self.first_weights) / np.maximum(self.channel_tiles - 1, 1))

    def act_means(self) -> tuple[Floats, Floats]:
        """Load of a space tile with all columns, and of the last, as means over the channel tiles."""
        channels = self.channel_tiles if self.walk.shape.vector else 1
        return self.acts_full / (channels * np.maximum(self.space_tiles - 1, 1)), self.acts_last / channels


def _unit(walk: Walk, space_tiles: Ints) -> dict[str, Ints]:
    """F, D, PIPELINE and the steps of the unit that computes."""
    shape, area = walk.shape, walk.blocks.area
    raw, acts, depth = (
        column[:, None, None] for column in (walk.raw_factor, walk.knobs.max_act_bits, walk.knobs.pe_cycles)
    )
    if not shape.vector:
        groups = walk.channel_groups[:, None, None]
        return {
            "step": (walk.words * walk.act_passes * walk.weight_passes)[:, None, None],
            "drain": walk.knobs.cols[:, None, None] * raw,
            "pipeline": acts + depth + 2,
            "steps": groups * space_tiles[:, None, :] * area,
        }
    return {
        "step": (shape.taps * walk.act_passes)[:, None, None],
        "drain": ceil_div(walk.width, walk.knobs.rows)[:, None, None] * raw if shape.sums else np.ones_like(raw),
        "pipeline": acts + 3 if shape.sums else np.full_like(acts, 2),
        "steps": walk.blocks.count * area * walk.words[:, None, None],
    }


def _maps(walk: Walk, channel_tiles: Ints, last: Ints, before: Ints, weights: Ints) -> dict[str, Ints]:
    """Port cycles of all activations and all stores, of the first load and of the last store."""
    shape, knobs, split = walk.shape, walk.knobs, channel_tiles > 1
    beats = np.maximum(1, walk.width // knobs.port_bits)[:, None]
    every = np.broadcast_to(walk.blocks.count, before.shape)
    first = np.minimum(knobs.cols[:, None], every)
    others = (channel_tiles - 1)[:, :, None]

    def moved(words: Ints, store: bool, counts: list[Ints]) -> list[Ints]:
        return port_cycles(
            shape, walk.which, store=store, beats=words * beats, burst=knobs.port_burst,
            split=split & (store or shape.vector), counts=counts,
        )  # fmt: skip

    planes_read = walk.bits.act[:, None]
    acts = moved(walk.input_words(walk.groups, 0) * planes_read, False, [before, every, first])
    planes = walk.out_planes[:, None]
    stores = moved(walk.output_words(walk.groups, 0) * planes, True, [before, every])
    stores_end = moved(walk.output_words(walk.groups, last) * planes, True, [before, every])
    acts_full, acts_all = acts[0], acts[1]
    if shape.vector:
        acts_end = moved(walk.input_words(walk.groups, last) * planes_read, False, [before, every])
        acts_full, acts_all = others * acts_full + acts_end[0], others * acts_all + acts_end[1]
    stores_full, stores_all = others * stores[0] + stores_end[0], others * stores[1] + stores_end[1]
    return {
        "first_load": weights[:, :, None] + acts[2],
        "last_store": stores_end[1] - stores_end[0],
        "acts_full": acts_full,
        "acts_last": acts_all - acts_full,
        "stores_full": stores_full,
        "stores_last": stores_all - stores_full,
    }


def _weight_load(walk: Walk, first: Ints | int) -> Ints:
    """(designs, tiles) port cycles of the weights and thresholds of a channel tile."""
    knobs = walk.knobs
    rows, per_beat = knobs.rows[:, None], np.maximum(1, knobs.port_bits // walk.width)[:, None]
    channels = walk.channels(walk.groups, first)
    full, rest = np.divmod(channels, rows)
    row_beats = full * ceil_div(rows, per_beat) + ceil_div(rest, per_beat)
    word_beats = np.maximum(1, walk.width // knobs.port_bits)
    weights = row_beats * (walk.words * walk.weight_planes * word_beats)[:, None]
    return _run(knobs, weights + channels * (walk.bits.levels * ceil_div(THRESHOLD_BITS, knobs.port_bits))[:, None])


def _run(knobs: Knobs, beats: Ints) -> Ints:
    """(designs, tiles) beats plus one request a burst."""
    return beats + ceil_div(beats, knobs.port_burst[:, None])


def fetch(knobs: Knobs) -> Ints:
    """(designs,) port cycles of a descriptor, latency not counted."""
    beats = ceil_div(DESCRIPTOR_BITS, knobs.port_bits)
    return beats + ceil_div(beats, knobs.port_burst)

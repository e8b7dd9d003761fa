"""Seeded random layers and designs, small enough to be walked by hand, with every corner of docs/machine.md in them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random

from hwmodels.design import Design
from hwmodels.mapping import Mapping
from workloads.layers import Add, Concat, Conv, Dense, Layer, MatMul, Pool, Shuffle, Upsample


def random_layer(rng: Random, *, size: int = 6, channels: int = 20, bits: int = 4) -> Layer:
    """A convolution (one in two), a dense layer, a pool or an add."""
    makers: list[Callable[[Random, int, int, int], Layer]] = [
        random_conv,
        random_conv,
        random_conv,
        _dense,
        _pool,
        _add,
    ]
    return rng.choice(makers)(rng, size, channels, bits)


def random_any_layer(rng: Random, *, size: int = 6, channels: int = 20, bits: int = 4) -> Layer:
    """One that `random_layer` makes (one in two), weights of another encoding, or a kind that the SystemVerilog does not have."""
    if rng.random() < 0.5:
        return random_layer(rng, size=size, channels=channels, bits=bits)
    makers: list[Callable[[Random, int, int, int], Layer]] = [
        _offset,
        _offset,
        _matmul,
        _matmul,
        _upsample,
        _move,
        _unlike,
    ]
    return rng.choice(makers)(rng, size, channels, bits)


def _offset(rng: Random, size: int, channels: int, bits: int) -> Layer:
    """Weights with an offset, or ternary ones."""
    layer = rng.choice((random_conv, random_conv, _dense))(rng, size, channels, bits)
    if rng.random() < 0.3:
        return replace(layer, weight_bits=2, ternary=True)
    return replace(layer, weight_offset=rng.choice((-1, 2**layer.weight_bits - 1, rng.randint(-20, 20))))


def _matmul(rng: Random, size: int, channels: int, bits: int) -> MatMul:
    heads, inner, over = rng.choice((1, 2, 3)), rng.choice((1, 3, 8, 16)), rng.choice(("channels", "positions"))
    positions = inner if over == "positions" and rng.random() < 0.5 else rng.randint(1, size)
    other = positions if rng.random() < 0.5 else rng.randint(1, channels)
    return MatMul(
        name="matmul",
        in_shape=(heads * inner, 1, positions),
        other_shape=(heads * inner, 1, other) if over == "channels" else (heads * other, 1, inner),
        heads=heads,
        over=over,  # type: ignore[arg-type]
        act_bits=rng.randint(1, bits),
        weight_bits=rng.randint(1, bits),
        out_bits=rng.choice((None, rng.randint(1, bits))),
        act_offset=rng.choice((0, -1, 3)),
        weight_offset=rng.choice((0, -1, 3)),
    )


def _upsample(rng: Random, size: int, channels: int, bits: int) -> Upsample:
    act_bits, kind = rng.randint(1, bits), rng.choice(("nearest", "linear"))
    return Upsample(
        name="upsample",
        kind=kind,  # type: ignore[arg-type]
        in_shape=(rng.randint(1, 2 * channels), rng.randint(1, size), rng.randint(1, size)),
        factor=(rng.randint(1, 3), rng.randint(1, 3)),
        act_bits=act_bits,
        out_bits=act_bits if kind == "nearest" else rng.choice((None, rng.randint(1, bits))),
        coordinates=rng.choice(("half_pixel", "asymmetric", "align_corners")),  # type: ignore[arg-type]
    )


def _move(rng: Random, size: int, channels: int, bits: int) -> Concat | Shuffle:
    height, width, act_bits = rng.randint(1, size), rng.randint(1, size), rng.randint(1, bits)
    if rng.random() < 0.5:
        return Shuffle(
            name="shuffle", in_shape=(4 * rng.randint(1, channels), height, width), block=2, act_bits=act_bits
        )
    part = rng.randint(1, channels)
    return Concat(name="concat", in_shape=(2 * part, height, width), parts=(part, part), act_bits=act_bits)


def _unlike(rng: Random, size: int, channels: int, bits: int) -> Add:
    return replace(_add(rng, size, channels, bits), multipliers=(rng.randint(1, 40), rng.randint(-40, -1)))


def random_conv(rng: Random, size: int = 6, channels: int = 20, bits: int = 4) -> Conv:
    """Any stride (also above the kernel), dilation, padding policy, and groups that do or do not fill words."""
    while True:
        try:
            layer = _conv(rng, size, channels, bits)
        except ValueError:
            continue
        if all(meets_the_map(layer, axis) for axis in (0, 1)):
            return layer


def meets_the_map(layer: Conv, axis: int) -> bool:
    """Whether no window lies in the padding altogether: the machine wants padding smaller than the window."""
    last = (layer.out_shape[1 + axis] - 1) * layer.stride[axis] - layer.padding[axis]
    return layer.padding[axis] <= (layer.kernel[axis] - 1) * layer.dilation[axis] and last < layer.in_shape[1 + axis]


def _conv(rng: Random, size: int, channels: int, bits: int) -> Conv:
    groups = rng.choice((1, 1, 1, 1, 2, 3, rng.randint(1, channels)))
    per_group = rng.choice((1, 1, 2, 3, 4, 8, rng.randint(1, channels)))
    outputs = rng.choice((1, 1, 2, 3, rng.randint(1, channels)))
    act_bits = rng.randint(1, bits)
    return Conv(
        name="conv",
        in_shape=(groups * per_group, rng.randint(1, size), rng.randint(1, size)),
        out_channels=groups * outputs,
        kernel=(rng.randint(1, 3), rng.randint(1, 3)),
        stride=(rng.randint(1, 4), rng.randint(1, 4)),
        dilation=(rng.randint(1, 2), rng.randint(1, 2)),
        padding=rng.choice(((0, 0, 0, 0), (1, 1, 1, 1), tuple(rng.randint(0, 2) for _ in range(4)))),  # type: ignore[arg-type]
        pad_code=rng.choice((None, -(2**act_bits - 1))),
        groups=groups,
        act_bits=act_bits,
        weight_bits=rng.randint(1, bits),
        out_bits=rng.choice((None, rng.randint(1, bits), rng.randint(1, bits))),
        from_host=rng.random() < 0.3,
    )


def _dense(rng: Random, _size: int, channels: int, bits: int) -> Dense:
    positions = rng.choice((1, 1, 5))
    side = 1 if positions > 1 else rng.randint(1, 3)
    return Dense(
        name="dense",
        in_shape=(rng.randint(1, 2 * channels), side, side),
        out_channels=rng.randint(1, 2 * channels),
        act_bits=rng.randint(1, bits),
        weight_bits=rng.randint(1, bits),
        out_bits=rng.choice((None, rng.randint(1, bits))),
        positions=positions,
        from_host=rng.random() < 0.3,
    )


def _pool(rng: Random, size: int, channels: int, bits: int) -> Pool:
    act_bits, kind = rng.randint(1, bits), rng.choice(("max", "average"))
    kernel = (rng.randint(1, 3), rng.randint(1, 3))
    pads = tuple(rng.randint(0, side - 1) for side in (*kernel, *kernel)) if kind == "max" else (0, 0, 0, 0)
    return Pool(
        name="pool",
        kind=kind,  # type: ignore[arg-type]
        in_shape=(rng.randint(1, 2 * channels), rng.randint(kernel[0], size + 3), rng.randint(kernel[1], size + 3)),
        kernel=kernel,
        stride=(rng.randint(1, 4), rng.randint(1, 4)),
        padding=pads,  # type: ignore[arg-type]
        act_bits=act_bits,
        out_bits=act_bits if kind == "max" else rng.randint(1, bits),
    )


def _add(rng: Random, size: int, channels: int, bits: int) -> Add:
    shape = (rng.randint(1, 2 * channels), rng.randint(1, size), rng.randint(1, size))
    return Add(name="add", in_shape=shape, act_bits=rng.randint(1, bits), out_bits=rng.randint(1, bits))


def random_design(rng: Random, *, bits: int = 4, least_depth: int = 16) -> Design:
    """Small arrays of both kinds, either dataflow, shared and separate ports, shallow and deep buffers."""
    width = rng.choice((4, 8, 16))
    rows = rng.choice((1, 2, 4, 8, 16, 32))
    depths = [least_depth * 2 ** rng.randint(0, 8) for _ in range(4)]
    return Design(
        kind=rng.choice(("array", "array", "array", "mac")),
        rows=rows,
        cols=rng.choice((1, 2, 3, 4)),
        width=width,
        lanes_a=rng.randint(1, bits),
        lanes_w=rng.randint(1, bits),
        max_act_bits=bits,
        max_weight_bits=bits,
        weight_depth=depths[0],
        act_depth=depths[1],
        out_depth=depths[2],
        threshold_depth=depths[3],
        port_bits=rng.choice((8, 16, 64)),
        port_shared=rng.random() < 0.5,
        port_latency=rng.choice((0, 3, 20)),
        port_burst=rng.choice((1, 4, 16)),
        dataflow=rng.choice(("weight", "activation", "best")),
        count_stages=rng.choice((1, 2)),
        sum_stages=rng.choice((1, 2)),
        acc_stages=rng.choice((1, 2)),
    )


def few(rng: Random, mappings: list[Mapping], count: int) -> list[Mapping]:
    """The first, the last and some others, so that partial tiles and single tiles both occur."""
    chosen = [mappings[0], mappings[-1], *rng.sample(mappings, min(len(mappings), count))]
    return list(dict.fromkeys(chosen))

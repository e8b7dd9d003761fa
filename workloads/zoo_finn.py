"""The networks that FINN's publications measure: CNV on 32x32 images, TFC, SFC and LFC on handwritten digits."""

from __future__ import annotations

from collections.abc import Callable

from workloads.network import Input, Network
from workloads.zoo_chain import Chain, image


def cnv(m: int, k: int, input_bits: int) -> Network:
    """2x64C3-MP2-2x128C3-MP2-2x256C3-2x512FC-10 without padding."""
    chain = Chain(image(32, input_bits), m, k)
    for stage, channels in enumerate((64, 128, 256), start=1):
        chain.conv(f"conv{stage}a", channels, 3, pad=0)
        chain.conv(f"conv{stage}b", channels, 3, pad=0)
        if stage < 3:
            chain.max_pool(f"pool{stage}", 2, stride=2)
    chain.flatten()
    chain.dense("fc1", 512)
    chain.dense("fc2", 512)
    chain.dense("fc3", 10, raw=True)
    return chain.network("cnv")


def fully_connected(name: str, width: int) -> Callable[[int, int, int], Network]:
    """784 inputs, three hidden layers of `width`, 10 outputs."""

    def build(m: int, k: int, input_bits: int) -> Network:
        chain = Chain(Input(name="image", shape=(784, 1, 1), bits=input_bits), m, k)
        for number in (1, 2, 3):
            chain.dense(f"fc{number}", width)
        chain.dense("fc4", 10, raw=True)
        return chain.network(name)

    return build

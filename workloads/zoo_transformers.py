"""Transformers: ViT-S, and two language models with low-bit weights, in prefill and decode.

A sequence is a map (features, 1, positions). Softmax, normalization, activations, rotary embedding and the regrouping of heads are the host's
(`Host` layers). Attention's products are `MatMul` layers: heads are groups, and query heads that share a key head (grouped queries)
are positions of it. In decode keys and values come from the cache in memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from workloads.checks import check_positive
from workloads.network import Input, Network
from workloads.zoo_chain import Chain, Map, image


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoding:
    """What a language model does: `prefill` reads `context` tokens at once, `decode` writes one more after them; `batch` sequences."""

    phase: Literal["prefill", "decode"] = "prefill"
    context: int = 512
    batch: int = 1

    def __post_init__(self) -> None:
        if self.phase not in ("prefill", "decode"):
            raise ValueError(f"sequence: phase must be 'prefill' or 'decode', not {self.phase!r}")
        check_positive("sequence", context=self.context, batch=self.batch)

    @property
    def tokens(self) -> int:
        """New tokens of a sequence."""
        return self.context if self.phase == "prefill" else 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoder:
    """A decoder-only transformer with gated feed-forward layers."""

    hidden: int
    inner: int
    layers: int
    heads: int
    key_heads: int
    vocabulary: int

    @property
    def head(self) -> int:
        """Features of a head."""
        return self.hidden // self.heads


BITNET_2B = Decoder(hidden=2560, inner=6912, layers=30, heads=20, key_heads=5, vocabulary=128256)
LLAMA2_7B = Decoder(hidden=4096, inner=11008, layers=32, heads=32, key_heads=32, vocabulary=32000)


def vit_small(m: int, k: int, input_bits: int) -> Network:
    """ViT-S/16 at 224: 196 patches and a class token, twelve blocks of six heads of 64."""
    chain = Chain(image(224, input_bits), m, k)
    chain.conv("patches", 384, 16, stride=16, pad=0)
    chain.host("tokens", "class token and positions", shape=(384, 1, 197))
    for number in range(12):
        _encoder_block(chain, f"block{number}", heads=6, inner=1536)
    chain.host("norm", "normalization of the class token", shape=(384, 1, 1))
    chain.dense("head", 1000, raw=True)
    return chain.network("vit_s")


def _encoder_block(chain: Chain, name: str, *, heads: int, inner: int) -> None:
    read = chain.newest
    normed = chain.host(f"{name}.norm1", "normalization")
    q, key, value = (chain.dense(f"{name}.{part}", read.shape[0], source=normed) for part in ("q", "k", "v"))
    _attention(chain, name, q, key, value, heads, cached=False)
    mixed = chain.add(f"{name}.add1", chain.dense(f"{name}.out", read.shape[0]), read)
    chain.host(f"{name}.norm2", "normalization")
    chain.dense(f"{name}.fc1", inner)
    chain.host(f"{name}.gelu", "GELU")
    chain.add(f"{name}.add2", chain.dense(f"{name}.fc2", read.shape[0]), mixed)


def _attention(chain: Chain, name: str, q: Map, key: Map, value: Map, heads: int, *, cached: bool) -> Map:
    """softmax(Q K^T / sqrt(d)) V, a head a group."""
    chain.matmul(f"{name}.scores", q, key, heads, over="channels", cached=cached)
    weights = chain.host(f"{name}.softmax", "softmax")
    return chain.matmul(f"{name}.mix", weights, value, heads, over="positions", cached=cached)


def decoder(name: str, shape: Decoder, m: int, k: int, decoding: Decoding, *, ternary: bool) -> Network:
    """A language model from embedded tokens (M-bit codes) to the logits of each sequence's last token."""
    tokens = decoding.batch * decoding.tokens
    chain = Chain(Input(name="embeddings", shape=(shape.hidden, 1, tokens), bits=m), m, k, ternary=ternary)
    for number in range(shape.layers):
        _decoder_block(chain, f"layer{number}", shape, decoding)
    chain.host("norm", "normalization of the last tokens", shape=(shape.hidden, 1, decoding.batch))
    chain.dense("logits", shape.vocabulary, raw=True)
    return chain.network(name)


def _decoder_block(chain: Chain, name: str, shape: Decoder, decoding: Decoding) -> None:
    read, keys = chain.newest, shape.key_heads * shape.head
    normed = chain.host(f"{name}.norm1", "normalization")
    q = chain.dense(f"{name}.q", shape.hidden, source=normed)
    key, value = (chain.dense(f"{name}.{part}", keys, source=normed) for part in ("k", "v"))
    _grouped_attention(chain, name, (q, key, value), shape, decoding)
    mixed = chain.add(f"{name}.add1", chain.dense(f"{name}.out", shape.hidden), read)
    normed = chain.host(f"{name}.norm2", "normalization")
    gate, up = (chain.dense(f"{name}.{part}", shape.inner, source=normed) for part in ("gate", "up"))
    chain.host(f"{name}.gated", "activation of the gate times the other", gate, up)
    chain.add(f"{name}.add2", chain.dense(f"{name}.down", shape.hidden), mixed)


def _grouped_attention(chain: Chain, name: str, made: tuple[Map, Map, Map], shape: Decoder, decoding: Decoding) -> None:
    """Groups are key heads of a sequence; the query heads that share one, times the new tokens, are its positions."""
    q, key, value = made
    groups, shared = decoding.batch * shape.key_heads, shape.heads // shape.key_heads
    kept = (groups * shape.head, 1, decoding.context)
    q = chain.host(f"{name}.q.heads", "rotary embedding, heads", q, shape=(kept[0], 1, shared * decoding.tokens))
    cached = decoding.phase == "decode"
    if not cached:
        key = chain.host(f"{name}.k.heads", "rotary embedding, heads", key, shape=kept)
        value = chain.host(f"{name}.v.heads", "heads", value, shape=kept)
    _attention(chain, name, q, Map(key.name, kept), Map(value.name, kept), groups, cached=cached)
    chain.host(f"{name}.joined", "heads", shape=(shape.hidden, 1, decoding.batch * decoding.tokens))

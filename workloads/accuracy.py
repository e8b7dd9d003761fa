"""Published accuracies of encoded networks, looked up and never interpolated.

Accuracy is not a smooth function of bits (on CIFAR-10 three bits beat eight), so a pair that nobody measured has no
number here. arXiv:1905.13389 measured M = K only.
"""

from __future__ import annotations

from dataclasses import dataclass

TABLE_3 = "Sun et al., AAAI-19, arXiv:1905.13389v1, Table 3"
TABLE_4 = "Sun et al., AAAI-19, arXiv:1905.13389v1, Table 4"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cited:
    """One printed number; m and k are None for full precision. The unit of `value` ends the name of `metric`."""

    network: str
    dataset: str
    m: int | None
    k: int | None
    metric: str
    value: float
    source: str


def _row(network: str, dataset: str, bits: int | None, metric: str, value: float) -> Cited:
    source = TABLE_4 if dataset == "VOC2007" else TABLE_3
    return Cited(network=network, dataset=dataset, m=bits, k=bits, metric=metric, value=value, source=source)


# Table 3: bits (None = full precision), CIFAR-10 accuracy, ImageNet top-1, ImageNet top-5, all in percent.
# Its title calls the CIFAR-10 network "Lenet", its text the architecture of BinaryConnect and BNN; we follow the text.
_CLASSIFICATION: tuple[tuple[int | None, float, float, float], ...] = (
    (None, 91.40, 68.60, 88.70),
    (1, 90.39, 47.10, 71.70),
    (2, 91.06, 56.30, 79.48),
    (3, 91.27, 58.69, 81.84),
    (4, 91.15, 59.57, 82.35),
    (5, 90.92, 65.09, 86.42),
    (6, 91.01, 67.04, 87.69),
    (7, 90.20, 68.37, 88.47),
    (8, 90.43, 68.63, 88.70),
)

# Table 4: bits, mean average precision in 0..1 of SSD on ResNet-18, trained on VOC2007 + VOC2012 trainval.
_DETECTION: tuple[tuple[int | None, float], ...] = ((None, 0.6392), (8, 0.6351), (6, 0.6131), (5, 0.5423))

CITED: tuple[Cited, ...] = (
    *(_row("cifar_convnet", "CIFAR-10", bits, "top1_percent", value) for bits, value, _, _ in _CLASSIFICATION),
    *(_row("resnet18", "ImageNet", bits, "top1_percent", value) for bits, _, value, _ in _CLASSIFICATION),
    *(_row("resnet18", "ImageNet", bits, "top5_percent", value) for bits, _, _, value in _CLASSIFICATION),
    *(_row("ssd_resnet18", "VOC2007", bits, "map_fraction", value) for bits, value in _DETECTION),
)
"""Every number of the paper's own networks, as printed. A network's main metric stands before its others."""


def cited(network_name: str, m: int | None, k: int | None) -> Cited | None:
    """The main published number of a network at (M, K), (None, None) for full precision; None if nobody printed one."""
    for row in CITED:
        if (row.network, row.m, row.k) == (network_name, m, k):
            return row
    return None

"""The cited table: as printed, looked up, never invented."""

from __future__ import annotations

import pytest

from workloads.accuracy import CITED, TABLE_3, TABLE_4, cited


def test_printed_values_are_found() -> None:
    # arXiv:1905.13389v1 Table 3: M=K=2 has 91.06 on CIFAR-10 and 56.30 (79.48) on ImageNet.
    cifar, imagenet = cited("cifar_convnet", 2, 2), cited("resnet18", 2, 2)
    assert cifar is not None
    assert (cifar.dataset, cifar.metric, cifar.value) == ("CIFAR-10", "top1_percent", 91.06)
    assert imagenet is not None
    assert (imagenet.dataset, imagenet.metric, imagenet.value) == (
        "ImageNet",
        "top1_percent",
        56.30,
    )
    assert cifar.source == TABLE_3


def test_full_precision_has_no_bits() -> None:
    row = cited("resnet18", None, None)
    assert row is not None
    assert row.value == 68.60


@pytest.mark.parametrize("name", ["cifar_convnet", "resnet18"])
@pytest.mark.parametrize("bits", range(1, 9))
def test_every_equal_pair_of_both_networks_was_printed(name: str, bits: int) -> None:
    row = cited(name, bits, bits)
    assert row is not None
    assert row.network == name


@pytest.mark.parametrize(("m", "k"), [(1, 2), (8, 1), (9, 9), (0, 0), (None, 2), (2, None)])
def test_unequal_or_unmeasured_pairs_have_no_number(m: int | None, k: int | None) -> None:
    assert cited("resnet18", m, k) is None


def test_unknown_networks_have_no_number() -> None:
    assert cited("vgg16", 1, 1) is None


def test_detection_was_measured_at_5_6_and_8_bits_only() -> None:
    rows = [cited("ssd_resnet18", bits, bits) for bits in range(1, 9)]
    assert [row.value if row else None for row in rows] == [None, None, None, None, 0.5423, 0.6131, None, 0.6351]
    assert all(row.source == TABLE_4 for row in rows if row)


def test_values_lie_in_the_unit_of_their_metric() -> None:
    for row in CITED:
        assert 40 < row.value < 100 if row.metric.endswith("_percent") else 0 < row.value < 1
        assert row.m == row.k


def test_every_number_stands_once() -> None:
    keys = [(row.network, row.dataset, row.metric, row.m) for row in CITED]
    assert len(keys) == len(set(keys)) == 3 * 9 + 4


def test_cifar_accuracy_is_not_monotone_in_bits() -> None:
    # The reason why nothing here interpolates: three bits are the best of all.
    values = {bits: row.value for bits in range(1, 9) if (row := cited("cifar_convnet", bits, bits))}
    assert max(values, key=lambda bits: values[bits]) == 3

"""`dse bits` from file to table: the question, the losses, the goals, sets of precisions, measurement, and what is refused."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from random import Random

import numpy as np
import pandas as pd
import pytest

from dse.bits import sets
from dse.bits.losses import UNIT, FloatNetwork, assumed_losses, measured_losses, sqnr_losses, table_losses
from dse.bits.mixed import Mixed, interesting, mixed_front, unbeaten
from dse.bits.objectives import Goals
from dse.bits.problem import problem_of
from dse.bits.question import Question, allowed, question_of
from dse.bits.run import choose_bits, write_bits
from dse.bits.solver import Budget
from dse.bits.subject import Subject, problem_for
from dse.bits.verify import encoded_at, verify
from dse.experiment import Constraint, parse
from dse.variants import load_array
from hwmodels.design import Design
from hwmodels.models import evaluate
from tests.conftest import Dse
from tests.dse.test_bits_solver import (
    DESIGN,
    assignments,
    bits_of,
    dominated,
    losses,
    network,
    tables,
    total,
)
from tests.dse.test_bits_solver import (
    allowed as some_pairs,
)
from tests.workloads.qonnx_builder import Builder
from workloads.onnx_float import encode_float
from workloads.zoo import NETWORKS

INF = float("inf")
BASE = '[[networks]]\nzoo = "cifar_convnet"\n[space]\nrows = [16, 32]\nweight_depth = 8192\nact_depth = 4096\nout_depth = 2048\n'
NARROW = "[bits]\nm = [1, 2]\nk = [1, 2]\n"


def question(text: str) -> Question:
    return question_of(parse(BASE + text, base=Path("base"), where="x.toml"), Path("base"))


def subject(shape: str = "residual") -> Subject:
    return Subject(network(shape), None, (), None, None)


@pytest.fixture(scope="module")
def floating(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """float.onnx (two hidden layers and a residual add), images.npy, labels.npy, bits.toml."""
    folder, rng = tmp_path_factory.mktemp("floating"), np.random.default_rng(0)
    made = Builder(("batch", 6))
    weights = {
        name: made.constant(name, rng.normal(size=size)) for name, size in (("u", (6, 8)), ("v", (8, 8)), ("w", (8, 3)))
    }
    one = made.node("Relu", [made.node("MatMul", ["x", weights["u"]], "first")], "relu1")
    two = made.node("Relu", [made.node("MatMul", [one, weights["v"]], "second")], "relu2")
    both = made.node("Add", [two, one], "sum")
    made.node("MatMul", [both, weights["w"]], "head", output="y")
    made.save(folder / "float.onnx")
    images = rng.normal(size=(60, 6)).astype(np.float32)
    np.save(folder / "images.npy", images)
    np.save(folder / "labels.npy", rng.integers(0, 3, 60))
    (folder / "bits.toml").write_text(
        'objectives = ["energy_nj"]\n[[networks]]\nfile = "float.onnx"\ndata = "images.npy"\nlabels = "labels.npy"\n'
        '[bits]\ncalibrate = "images.npy"\n[space]\nrows = 4\ncols = 2\nwidth = 8\n'
    )
    return folder


def source_of(folder: Path) -> FloatNetwork:
    return FloatNetwork(folder / "float.onnx", load_array(folder / "images.npy"), 8, "mse")


def test_the_table_says_what_may_be_chosen() -> None:
    asked = question(
        '[bits]\nm = [4, 2, 2]\nk = 3\nends = "8x7"\nmost_precisions = 3\nloss = "t.csv"\nfixed = { fc2 = "1x5" }\n'
    )
    assert (asked.m, asked.k, asked.ends, asked.most_precisions) == ((2, 4), (3,), (8, 7), 3)
    assert asked.loss == Path("base/t.csv")
    assert question("") == Question()


def test_ends_and_fixed_layers() -> None:
    net = network("chain")
    found = allowed(net, Question(m=(1, 2), k=(4,), ends=(8, 7), fixed={"b": (2, 6)}))
    assert found == {"a": ((3, 7),), "b": ((2, 6),), "c": ((1, 4), (2, 4)), "d": ((8, 7),)}
    with pytest.raises(ValueError, match="M of 'a', which reads the network input, must be 3, not 8"):
        allowed(net, Question(fixed={"a": (8, 8)}))
    with pytest.raises(ValueError, match=r"bits.fixed: must be one of a, b, c, d, not 'bb' \(did you mean 'b'\?\)"):
        allowed(net, Question(fixed={"bb": (8, 8)}))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[bits]\nmm = 3", "bits.mm: must be one of m, k, .* not 'mm' \\(did you mean 'm'\\?\\)"),
        ("[bits]\nm = 9", "bits.m: must be an integer between 1 and 8, not 9"),
        ("[bits]\nk = []", "bits.k: at least one number of bits must be given, not none"),
        ("[bits]\nends = 8", "bits.ends: must be 'MxK' with M and K between 1 and 8, not 8"),
        ("[bits]\nloss = 'snr'", "bits.loss: must be one of noise, sqnr, measured, or a .csv file, not 'snr'"),
        ("[bits]\nmethod = 'best'", "bits.method: must be one of mse, percentile, max, not 'best'"),
        ("[bits]\nfixed = 3", "bits.fixed: must be a table of layer = 'MxK', not 3"),
        ("[bits]\nmost_precisions = true", "bits.most_precisions: must be an integer between 1 and 64, not True"),
    ],
)
def test_a_wrong_table_is_one_line(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        question(text)


def test_assumed_losses_fall_by_six_decibels_a_bit() -> None:
    net = network("chain")
    problem = problem_of(net, allowed(net, Question()))
    values = assumed_losses(problem).values
    assert values["b", 1, 1] == pytest.approx(0.5)
    assert values["b", 3, 1] == pytest.approx(4.0**-3 + 0.25)


def test_losses_of_a_float_network_are_those_of_its_tensors(floating: Path) -> None:
    source = source_of(floating)
    encoded, fits = encode_float(source.path, source.precision({}, (3, 3)), source.images)
    problem = problem_of(encoded.network, allowed(encoded.network, Question()))
    by_tensor = {(fit.kind, fit.tensor): 10 ** (-fit.sqnr_db / 10) for fit in fits}
    found = sqnr_losses(problem, source)
    read = next(name for kind, name in by_tensor if kind == "activation" and name not in ("x",))
    assert found.values["second", 3, 3] == pytest.approx(by_tensor["activation", read] + by_tensor["weight", "second"])
    assert found.values["first", 8, 3] == pytest.approx(by_tensor["activation", "x"] + by_tensor["weight", "first"])


def test_measured_losses_are_zero_at_eight_bits_and_charge_a_shared_map_once(floating: Path) -> None:
    source = source_of(floating)
    encoded, _ = encode_float(source.path, source.precision({}), source.images)
    asked = Question(m=(2, 8), k=(2, 8))
    problem = problem_of(encoded.network, allowed(encoded.network, asked))
    values = measured_losses(problem, source).values
    assert values["first", 8, 8] == values["second", 8, 8] == values["head", 8, 8] == 0
    assert values["second", 2, 8] > 0
    # second and head read maps that the add joins: one M, charged to the first reader.
    assert values["head", 2, 8] == 0
    assert 0 < values["head", 8, 2] < 1


def test_a_table_of_losses(tmp_path: Path) -> None:
    path = tmp_path / "loss.csv"
    path.write_text("layer,m,k,loss\na,3,1,0.5\n\na,3,2,1e-3\n")
    assert table_losses(path).values == {("a", 3, 1): 0.5, ("a", 3, 2): 0.001}
    net = network("chain")
    problem = problem_of(net, allowed(net, Question(k=(1, 2))))
    assert table_losses(path).whole(problem.steps[0], (3,)).tolist() == [[round(0.5 / UNIT), round(1e-3 / UNIT)]]
    with pytest.raises(ValueError, match="must have a row for layer 'b' at m 1, k 1"):
        table_losses(path).whole(problem.steps[1], problem.groups[problem.steps[1].reads].values)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "the first row must be layer,m,k,loss, not absent"),
        ("layer,m,k\n", "the first row must be layer,m,k,loss, not layer,m,k"),
        ("layer,m,k,loss\na,1,1\n", "row 2: must be a layer, two integers and a number, not 'a,1,1'"),
        ("layer,m,k,loss\na,1,9,0\n", "row 2: m and k must be between 1 and 8 and loss between 0 and 1e6"),
        ("layer,m,k,loss\na,1,1,nan\n", "row 2: m and k must be between 1 and 8 and loss between 0 and 1e6"),
        ("layer,m,k,loss\na,1,1,0\na,1,1,1\n", "row 3: layer 'a' at m 1, k 1 must come once"),
    ],
)
def test_a_wrong_table_of_losses_is_one_line(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "loss.csv").write_text(text)
    with pytest.raises(ValueError, match="must") as error:
        table_losses(tmp_path / "loss.csv")
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("objectives", "constraints", "words"),
    [
        (("power_mw", "loss"), (), "objectives must be of latency_cycles, .* not 'power_mw'"),
        (("area_mm2", "loss"), (), "objectives must hold one of .* not only area_mm2, loss"),
        (
            ("energy_nj", "loss"),
            (Constraint("accuracy", ">=", 0.9),),
            "constraints must be on .* not 'accuracy >= 0.9'",
        ),
        (
            ("energy_nj", "loss"),
            (Constraint("latency_us", ">=", 1),),
            "a constraint on latency_us must be a largest value",
        ),
        (("energy_nj", "latency_us", "loss"), (Constraint("model_kib", "<=", 1),), "at most 3 of .* not on 4"),
    ],
)
def test_goals_that_are_none(objectives: tuple[str, ...], constraints: tuple[Constraint, ...], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Goals(objectives, constraints)


def front(goals: Goals, asked: Question, *designs: Design) -> Mixed:
    return mixed_front(subject(), asked, goals, designs or (DESIGN,))


SMALL = Question(m=(1, 2, 4), k=(1, 3))


def test_every_row_is_the_price_of_its_network() -> None:
    mixed = front(Goals(("energy_nj", "latency_us", "loss"), ()), SMALL)
    for point in range(0, len(mixed.table), 5):
        row, made = mixed.table.loc[point], evaluate(mixed.network_of(point), DESIGN)
        assert row["latency_cycles"] == made.cost.latency_cycles
        assert row["energy_nj"] == pytest.approx(made.cost.energy_nj, abs=1e-5)
        assert row["model_kib"] == mixed.network_of(point).weight_storage_bits / 8192
        assert row["area_mm2"] == made.cost.area_mm2
    assert mixed.table["energy_nj"].is_monotonic_increasing


def test_a_cap_on_what_is_no_objective_leaves_the_front_of_what_is_left() -> None:
    whole = front(Goals(("energy_nj", "loss", "model_kib"), ()), SMALL).table
    cap = float(whole["model_kib"].median())
    for operator in ("<=", "<"):
        limit = Constraint("model_kib", operator, cap)
        capped = front(Goals(("energy_nj", "loss"), (limit,)), SMALL).table
        left = whole[limit.holds(whole["model_kib"])]
        wanted = left[unbeaten(left[["energy_nj", "loss"]].to_numpy())][["energy_nj", "loss"]]
        assert set(map(tuple, capped[["energy_nj", "loss"]].to_numpy())) == set(map(tuple, wanted.to_numpy()))
    with pytest.raises(ValueError, match="no assignment of bits is possible on 1 design\\(s\\) under model_kib <= 0"):
        front(Goals(("energy_nj", "loss"), (Constraint("model_kib", "<=", 0),)), SMALL)


def test_three_sums_are_bounded_unless_they_are_told_not_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    goals = Goals(("energy_nj", "latency_us", "loss"), ())
    exact = mixed_front(subject(), SMALL, goals, [DESIGN], budget=Budget())
    monkeypatch.setattr("dse.bits.mixed.MANY_POINTS", 5)
    few = front(goals, SMALL)
    assert exact.bound == 0 < few.bound
    assert len(few.table) < len(exact.table)


def test_a_machine_without_room_says_why() -> None:
    with pytest.raises(ValueError, match=r"no assignment of bits is possible on 1 design\(s\) .*\(max_weight_bits\)"):
        front(Goals(("energy_nj", "loss"), ()), Question(k=(4,)), Design(rows=4, cols=2, width=8, max_weight_bits=2))


def test_many_designs_have_one_front() -> None:
    goals, large = Goals(("energy_nj", "area_mm2", "loss"), ()), Design(rows=8, cols=4, width=8)
    both = front(goals, SMALL, DESIGN, large)
    alone = pd.concat(
        [front(goals, SMALL, item).table.assign(design=place) for place, item in enumerate((DESIGN, large))]
    )
    keep = [
        not dominated(point, alone[list(goals.objectives)].to_numpy())
        for point in alone[list(goals.objectives)].to_numpy()
    ]
    wanted = Counter(map(tuple, alone[keep][[*goals.objectives, "design"]].to_numpy()))
    assert Counter(map(tuple, both.table[[*goals.objectives, "design"]].to_numpy())) == wanted
    assert both.assignments == 2 * front(goals, SMALL).assignments


def test_designs_that_break_a_constraint_are_left_out() -> None:
    large, limit = Design(rows=32, cols=16, width=8), Constraint("area_mm2", "<=", 2)
    assert front(Goals(("energy_nj", "loss"), (limit,)), SMALL, large, DESIGN).designs == (DESIGN,)
    with pytest.raises(ValueError, match=r"at least one of 1 design\(s\) must do, but: .* breaks area_mm2 <= 2"):
        front(Goals(("energy_nj", "loss"), (limit,)), SMALL, large)
    with pytest.raises(ValueError, match="memory_kib must be at least"):
        front(Goals(("energy_nj", "loss"), ()), SMALL, Design(rows=4, cols=2, width=8, memory="sram", memory_kib=0))


@pytest.mark.parametrize("most", [1, 2, 3])
def test_few_precisions_are_those_of_all_assignments(most: int) -> None:
    net, rng = network("diamond"), Random(most)
    pairs, loss = some_pairs(net, rng, 2), losses(net, rng, 2)
    found: Counter[tuple[int, ...]] = Counter()
    for bits, made in assignments(net, pairs):
        values = total(made, DESIGN, loss)
        if values is not None and len(set(bits.values())) <= most:
            found[values[0], values[2]] += 1
    every = np.array(list(found)).reshape(-1, 2)
    wanted = Counter({one: count for one, count in found.items() if not dominated(np.array(one), every)})
    problem = problem_of(net, pairs)
    answer = sets.solve_sets(problem, tables(problem, DESIGN, loss, (0, 2)), most, budget=Budget())
    assert Counter(dict(zip(map(tuple, answer.values.T.tolist()), answer.ties.tolist(), strict=True))) == wanted
    for point in range(len(answer.ties)):
        assert len(set(bits_of(problem, answer, point).values())) <= most


def test_too_many_sets_are_refused() -> None:
    with pytest.raises(
        ValueError, match="64 pairs of bits make 43,745 sets of at most 3, and at most 3,000 can be tried"
    ):
        mixed_front(subject("chain"), Question(most_precisions=3), Goals(("energy_nj", "loss"), ()), [DESIGN])
    fixed = Question(most_precisions=1, ends=(8, 8))
    with pytest.raises(ValueError, match="must be at least 2, as many as are fixed, not 1"):
        mixed_front(subject("chain"), fixed, Goals(("energy_nj", "loss"), ()), [DESIGN])


def test_interesting_points_hold_the_ends_and_are_spread() -> None:
    mixed = front(Goals(("energy_nj", "loss"), ()), SMALL)
    chosen = interesting(mixed, 5)
    assert {0, len(mixed.table) - 1} <= set(chosen)
    assert len(chosen) == len(set(chosen)) == 5
    assert len(interesting(mixed, 10**6)) <= len(mixed.table)


def test_what_is_measured_is_the_network_at_these_bits(floating: Path) -> None:
    done = choose_bits(floating / "bits.toml", show=4, verified=3)
    assert done.verified is not None
    source, point = source_of(floating), int(done.verified.points["point"][1])
    assert [layer.act_bits for layer in encoded_at(done.mixed, source, point).network.contractions] == [
        m for m, _ in done.mixed.chosen(point).values()
    ]
    assert done.verified.points["output_noise"].notna().all()
    assert done.verified.points["accuracy"].between(0, 1).all()
    assert "rank correlation" in done.words[-1]
    assert done.view["accuracy"].notna().sum() == 3


def test_stages_of_a_residual_network_can_have_bits_of_their_own(tmp_path: Path) -> None:
    """Maps that only an add reads take the M that is asked of the sum, as with_bits has it."""
    made, rng = Builder(("batch", 6)), np.random.default_rng(1)

    def dense(name: str, source: str, size: tuple[int, int]) -> str:
        return made.node(
            "Relu",
            [made.node("MatMul", [source, made.constant(f"{name}_w", rng.normal(size=size))], name)],
            f"{name}_r",
        )

    one = dense("one", "x", (6, 8))
    first = made.node("Add", [dense("two", one, (8, 8)), one], "first")
    second = made.node("Add", [dense("three", first, (8, 5)), dense("four", first, (8, 5))], "second")
    made.node("MatMul", [second, made.constant("head_w", rng.normal(size=(5, 3)))], "head", output="y")
    source = FloatNetwork(made.save(tmp_path / "stages.onnx"), rng.normal(size=(40, 6)).astype(np.float32), 8, "mse")
    base, _ = encode_float(source.path, source.precision({}), source.images)
    known = Subject(base.network, source, (), None, None)
    fixed = {"two": (3, 2), "three": (3, 4), "four": (3, 4), "head": (6, 5)}
    design = Design(rows=4, cols=2, width=8)
    mixed = mixed_front(known, Question(fixed=fixed, k=(2,), loss="noise"), Goals(("energy_nj", "loss"), ()), [design])
    bits = {layer.name: (layer.act_bits, layer.out_bits) for layer in encoded_at(mixed, source, 0).network.layers}
    assert bits["two"] == (3, 3)
    assert bits["three"] == bits["four"] == (3, 6)
    assert bits["second"] == (6, 6)


def test_files_can_be_encoded_and_old_points_are_forgotten(floating: Path, tmp_path: Path, dse_command: Dse) -> None:
    done = choose_bits(floating / "bits.toml", show=3)
    folder = tmp_path / "bits"
    folder.mkdir()
    (folder / "front.csv").write_text("old")
    (folder / "point-9999.csv").write_text("old")
    written = write_bits(done, folder)
    assert sorted(path.name for path in folder.iterdir()) == sorted(path.name for path in written)
    point = done.shown[1]
    encode = dse_command(
        "encode", str(floating / "float.onnx"), "--bits", str(folder / f"point-{point}.csv"), "--calibrate",
        str(floating / "images.npy"), "-o", "made.safetensors", "--json",
    )  # fmt: skip
    layers = {item["layer"]: item for item in json.loads(encode.stdout)["layers"] if item["weight_bits"]}
    assert {name: (item["act_bits"], item["weight_bits"]) for name, item in layers.items()} == done.mixed.chosen(point)
    table = pd.read_csv(folder / "front.csv")
    assert len(table) == len(done.mixed.table)
    assert "Plotly" in (folder / "front.html").read_text(encoding="utf-8")


def test_versions_are_looked_up(tmp_path: Path) -> None:
    from tests.conftest import tiny_network

    encoded = tiny_network()
    images, labels = tmp_path / "images.npy", tmp_path / "labels.npy"
    np.save(images, np.random.default_rng(0).uniform(-1, 1, (20, 3, 6, 6)).astype(np.float32))
    np.save(labels, np.zeros(20, np.int64))
    known = Subject(encoded.network, None, (encoded,), images, labels)
    goals = Goals(("energy_nj", "loss"), ())
    mixed = mixed_front(known, Question(m=(1, 2), k=(1,)), goals, [Design(rows=4, cols=2, width=8)])
    found = verify(mixed, known, [0, 1])
    assert len(found.points) == 1
    assert mixed.chosen(int(found.points["point"][0])) == {"conv": (4, 1), "head": (2, 1)}
    none = mixed_front(known, Question(m=(1,), k=(2,)), goals, [Design(rows=4, cols=2, width=8)])
    with pytest.raises(ValueError, match="encoded versions at bits of the front; none of 1 is"):
        verify(none, known, [0])


def test_the_command(tmp_path: Path, dse_command: Dse) -> None:
    (tmp_path / "x.toml").write_text('objectives = ["energy_nj"]\n' + BASE + NARROW)
    done = dse_command("bits", "x.toml", "--show", "3", "--json", "-o", "out")
    found = json.loads(done.stdout)
    assert (found["bound"], len(found["designs"]), len(found["points"])) == (0, 2, 3)
    assert (tmp_path / "out" / "front.csv").exists()
    failed = dse_command("bits", "x.toml", "--objective", "speed")
    message = "error: bits: objectives must be of latency_cycles"
    assert (failed.returncode, failed.stderr.splitlines()[-1][: len(message)]) == (2, message)


def test_what_does_not_fit_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text('objectives = ["energy_nj"]\n' + BASE + NARROW)
    with pytest.raises(ValueError, match="--verify needs `data` and `labels`"):
        choose_bits(tmp_path / "x.toml", verified=2)
    with pytest.raises(ValueError, match="--design and --front must not be given together"):
        choose_bits(tmp_path / "x.toml", designs=["rows=16"], front=tmp_path)
    with pytest.raises(ValueError, match="must be a results folder"):
        choose_bits(tmp_path / "x.toml", front=tmp_path)
    for changes, words in (({"bound": -1.0}, "bound must be a number >= 0"), ({"points": 0}, "points must be at least 1"),
                           ({"seconds": 0.0}, "seconds must be more than 0")):  # fmt: skip
        with pytest.raises(ValueError, match=words):
            Budget(**changes)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"x.toml: the output folder must be writable"):
        write_bits(choose_bits(tmp_path / "x.toml", show=1), tmp_path / "x.toml")
    (tmp_path / "y.toml").write_text((tmp_path / "x.toml").read_text() + "loss = 'sqnr'\n")
    with pytest.raises(ValueError, match=r"needs a float ONNX network and bits.calibrate"):
        choose_bits(tmp_path / "y.toml")


def test_a_large_space_is_refused_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text(BASE.replace("[16, 32]", "{ from = 1, to = 300, step = 1 }"))
    with pytest.raises(ValueError, match="must hold at most 256 designs to choose bits on, not 300"):
        choose_bits(tmp_path / "x.toml")


def test_too_many_maps_at_once_are_refused_unless_m_is_narrowed() -> None:
    known = Subject(NETWORKS["unet"](1, 1), None, (), None, None)
    with pytest.raises(
        ValueError, match=r"'unet' has 262,144 combinations of M alive at once, and at most 4,096 can be searched"
    ):
        problem_for(known, Question())
    assert problem_for(known, Question(m=(2, 4))).states == 64


def test_the_front_of_a_sweep(tmp_path: Path, dse_command: Dse) -> None:
    (tmp_path / "x.toml").write_text(
        'objectives = ["energy_nj"]\n' + BASE.replace('"cifar_convnet"', '"cifar_convnet"\nbits = "2x2"') + NARROW
    )
    dse_command("sweep", "x.toml", "-o", "results")
    found = json.loads(dse_command("bits", "x.toml", "--front", "results", "--json").stdout)
    assert len(found["designs"]) == 1

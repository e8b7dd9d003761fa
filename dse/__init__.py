"""Design-space exploration of xnor-popcount accelerators for networks encoded in {-1,+1} bit planes.

Everything the command line does is a call into this package:

    import dse
    network = dse.load_network("net.onnx")                 # EncodedNetwork, planes and thresholds
    result = dse.run(network, images)                      # bit-accurate outputs, activity counted
    one = dse.evaluate(network.network, dse.Design(rows=16, cols=8))
    dse.simulate(network.network, dse.Design(rows=16, cols=8)).layers    # exact cycles, event by event
    results = dse.sweep(dse.load_experiment("experiment.toml"), "results", workers=2)
    dse.front_rows(results, ("energy_nj", "latency_us"))   # pandas.DataFrame
    dse.decide(results, dse.Choice.of(dse.experiment_of(results)))
    dse.write_report(results, "report.html")

Names load on first use, so that `import dse` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "Choice": "dse.compare",
    "Design": "hwmodels.design",
    "EncodedNetwork": "workloads.encoded",
    "Experiment": "dse.experiment",
    "NETWORKS": "workloads.zoo",
    "Network": "workloads.network",
    "TECHNOLOGIES": "hwmodels.technology",
    "accuracy": "workloads.executor",
    "build_report": "dse.report",
    "choose_bits": "dse.bits.run",
    "decide": "dse.compare",
    "evaluate": "hwmodels.models",
    "experiment_of": "dse.explanation",
    "explain": "dse.explanation",
    "explain_design": "dse.explanation",
    "front_rows": "dse.front",
    "load_design": "dse.design_file",
    "load_experiment": "dse.experiment",
    "load_network": "dse.variants",
    "load_onnx": "workloads.onnx_import",
    "load_table": "workloads.tables",
    "measure_accuracy": "dse.measuring",
    "network_toml": "workloads.layer_list",
    "open_results": "dse.results",
    "run": "workloads.executor",
    "save_network": "workloads.files",
    "simulate": "dse.simulation",
    "sweep": "dse.sweeps",
    "validate": "dse.validation",
    "write_engine": "dse.rtl",
    "write_report": "dse.report",
}
_NAMES = {"load_experiment": "load", "save_network": "save"}

__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'dse' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), _NAMES.get(name, name))


def __dir__() -> list[str]:
    return sorted(__all__)

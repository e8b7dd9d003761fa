"""The command line: parse, call one function, print. Nothing else prints or exits; heavy imports wait for their command."""

from dse.cli import sweeps as sweeps, networks as networks, results as results, machines as machines  # isort: skip
from dse.cli.app import app as app
from dse.cli.app import main as main

"""Event simulation of the machine, a SimPy process per unit. The only package that imports simpy."""

from hwmodels.cycle.machine import Deadlock, simulate

__all__ = ["Deadlock", "simulate"]

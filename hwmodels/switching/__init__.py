"""Energy from switching: gate-level netlists, simulated in Verilator, priced by the power tables of their liberty files."""

"""What goes wrong with a tool that is not ours: Yosys, nextpnr, Verilator."""


class ToolError(RuntimeError):
    """A tool that is missing, too old, or failed; the message is one line and says what to install or to read."""

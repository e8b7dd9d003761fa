"""Synthesis of the engine and its blocks: what to build, for which target, by which tool, and what came out."""

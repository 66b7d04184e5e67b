"""Differentiable ops: one file a family; each holds public functions, their checks, forward and backward."""

"""The matrix products of a program, counted: what a config's FLOPs are compared with."""

import math
from typing import Any

from jax.extend.core import jaxprs_in_params


def multiply_adds(jaxpr: Any) -> int:
    """Of all matrix products, those in a scan once for each turn."""
    total = 0
    for equation in jaxpr.eqns:
        if equation.primitive.name == "dot_general":
            (contracting, _), _ = equation.params["dimension_numbers"]
            left = equation.invars[0].aval.shape
            total += equation.outvars[0].aval.size * math.prod(left[axis] for axis in contracting)
        turns = equation.params.get("length", 1) if equation.primitive.name == "scan" else 1
        total += turns * sum(multiply_adds(below) for below in jaxprs_in_params(equation.params))
    return total

"""Mutants of the update rules that no test can tell from the code, each with its reason."""

from parity_tests.mutants.equivalent.form import Equivalent

EQUIVALENT: Equivalent = {
    ("manual/optim/sgd.py", "SGD.__init__"): {
        (
            "if len({id(parameter) for parameter in parameters}) < len(parameters):",
            "if len({parameter for parameter in parameters}) < len(parameters):",
        ): "a Parameter is equal to itself alone, so that the set of them is the set of their ids",
    },
}

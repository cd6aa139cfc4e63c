"""The experiments, one file each; the file's name is the experiment's."""

import importlib
import pkgutil

from handgrad.errors import UsageError
from handgrad.experiment import Experiment

# In the order in which a course would go through them.
ORDER = [
    *("neuron", "neuron_network", "alice", "people", "trial_and_error", "or_worked", "or_gate", "or_gate_no_bias"),
    *("virus", "xor", "or_hidden", "xor_hidden", "layered", "adults"),
    *("mlp", "convnet", "char_rnn", "gpt"),
]


def names() -> list[str]:
    """Return the names of all experiments, in the order of a course."""
    found = {module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_")}
    return sorted(found, key=lambda name: (ORDER.index(name) if name in ORDER else len(ORDER), name))


def get(name: str) -> Experiment:
    """Return the experiment called `name`; UsageError where there is none."""
    if name not in names():
        raise UsageError(f"there is no experiment {name!r}; choose one of {', '.join(names())}")
    experiment: Experiment = importlib.import_module(f"handgrad.experiments.{name}").EXPERIMENT
    return experiment

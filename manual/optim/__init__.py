"""torch.optim by hand: the same class names, arguments, defaults and states, for numpy arrays."""

from manual.optim import lr_scheduler
from manual.optim.adadelta import Adadelta
from manual.optim.adagrad import Adagrad
from manual.optim.adam import Adam
from manual.optim.adamax import Adamax
from manual.optim.adamw import AdamW
from manual.optim.asgd import ASGD
from manual.optim.muon import Muon
from manual.optim.nadam import NAdam
from manual.optim.optimizer import Optimizer
from manual.optim.radam import RAdam
from manual.optim.rmsprop import RMSprop
from manual.optim.rprop import Rprop
from manual.optim.sgd import SGD

__all__ = [
    "ASGD",
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Muon",
    "NAdam",
    "Optimizer",
    "RAdam",
    "RMSprop",
    "Rprop",
    "lr_scheduler",
]

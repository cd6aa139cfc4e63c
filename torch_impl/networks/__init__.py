"""The networks as nn.Module, each with a twin of the same name in manual.networks."""

from torch_impl.networks.char_rnn import CharRNN
from torch_impl.networks.convnet import ConvNet
from torch_impl.networks.gpt import GPT
from torch_impl.networks.mlp import MLP
from torch_impl.networks.neuron import Neuron, NeuronNetwork
from torch_impl.networks.perceptron import Perceptron
from torch_impl.networks.two_two_one import TwoTwoOne

__all__ = ["GPT", "MLP", "CharRNN", "ConvNet", "Neuron", "NeuronNetwork", "Perceptron", "TwoTwoOne"]

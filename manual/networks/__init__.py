"""The networks by hand, each with a twin of the same name in torch_impl.networks."""

from manual.networks.char_rnn import CharRNN
from manual.networks.convnet import ConvNet
from manual.networks.gpt import GPT
from manual.networks.mlp import MLP
from manual.networks.neuron import Neuron, NeuronNetwork
from manual.networks.perceptron import Perceptron
from manual.networks.two_two_one import TwoTwoOne

__all__ = ["GPT", "MLP", "CharRNN", "ConvNet", "Neuron", "NeuronNetwork", "Perceptron", "TwoTwoOne"]

"""The network that an experiment names, from either package alike."""

from typing import Any

from handgrad.experiment import Network

# The networks whose class takes `options` alone; those of the tutorials are told by their sizes.
BY_OPTIONS = {"convnet": "ConvNet", "char_rnn": "CharRNN", "gpt": "GPT"}


def build(networks: Any, network: Network, logits: bool, **settings: Any) -> Any:
    """Return the network that `network` names, from manual.networks or torch_impl.networks alike.

    `settings` are the dtype, and on the hand-written side maybe a generator. The weights are still to be loaded.
    """
    if network.name in BY_OPTIONS:
        return getattr(networks, BY_OPTIONS[network.name])(**dict(network.options), **settings)
    if network.name == "neuron":
        return networks.Neuron([0.0] * network.sizes[0], 0.0, **settings)
    if network.name == "neuron_network":
        return networks.NeuronNetwork(**settings)
    if network.name == "two_two_one":
        return networks.TwoTwoOne(**settings)
    logits = logits or network.output == "identity"
    if network.name == "perceptron":
        return networks.Perceptron(
            network.sizes[0], network.bias, published=network.published, logits=logits, **settings
        )
    return networks.MLP(network.sizes, network.bias, logits=logits, **settings)

"""The same networks as nn.Module, trained by autograd and torch.optim; no gradient is computed by hand here."""

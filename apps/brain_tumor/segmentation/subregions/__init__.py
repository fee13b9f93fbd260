"""The network of the sub-regions: inference, losses and clean-up."""

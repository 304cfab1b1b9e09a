"""Settings for all tests."""

import torch

# As in every run of the project: sums in another order would differ in the last bits.
torch.set_num_threads(1)

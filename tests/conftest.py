"""Settings for all tests."""

import signal

import torch

# As in every run of the project: sums in another order would differ in the last bits.
torch.set_num_threads(1)
# As in a terminal: a process that is started in the background ignores Ctrl-C, and its children do.
signal.signal(signal.SIGINT, signal.default_int_handler)

"""What is SB3's own: algorithms, hyperparameters, training, resuming."""

"""Learning curves made anywhere -> rows of one kind, a module for each format."""

"""TD3 as published by its author, from scratch: three files, torch and numpy only."""

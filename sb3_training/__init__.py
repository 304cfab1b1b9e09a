"""What train_sb3.py is made of."""

"""An environment checker that goes further than Stable-Baselines3's and Gymnasium's."""

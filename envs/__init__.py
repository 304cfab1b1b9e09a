"""The project's tasks. Importing this package registers them with Gymnasium."""

from gymnasium.envs.registration import register

register(id="rocket-v0", entry_point="envs.rocket:RocketEnv", max_episode_steps=500)

"""The project's tasks. Importing this package registers them with Gymnasium."""

from gymnasium.envs.registration import register

register(
    id="rocket-v0",
    entry_point="envs.rocket:RocketEnv",
    vector_entry_point="envs.rocket_vector:RocketVectorEnv",
    max_episode_steps=500,
)
# The same dynamics with a goal that can be reached and no reward for waiting. It is not named
# rocket-v1, since a higher version would make Gymnasium call rocket-v0 out of date.
register(
    id="rocket-landing-v0",
    entry_point="envs.rocket:RocketEnv",
    vector_entry_point="envs.rocket_vector:RocketVectorEnv",
    max_episode_steps=500,
    kwargs={"goal_tolerance": 0.01, "goal_reward": 1000.0, "step_cost": 2.0},
)
# To test whether it matters to TD3 if a critic's actions are in [-1, 1] or in N m.
register(
    id="Pendulum-rescaled-v1",
    entry_point="envs.rescaled_pendulum:make",
    max_episode_steps=200,
)

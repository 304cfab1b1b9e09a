"""The settings that the author published, by name, where they differ from the dataclasses' own."""

from typing import Any

# github.com/sfujim/TD3: 25,000 random steps on the large locomotion tasks, 1,000 on small ones.
LONG_WARM_UP = ("HalfCheetah", "Hopper", "Walker2d", "Ant", "Humanoid")
PRESETS = ("released",)


def published_settings(preset: str, env_family: str) -> dict[str, Any]:
    """Settings of a preset for an environment, on top of the defaults of TD3Config and LoopConfig.

    :param preset: released, the author's current code
    :param env_family: id without version, such as HalfCheetah
    :raises ValueError: if there is no such preset
    """
    if preset not in PRESETS:
        raise ValueError(
            f"td3_reference has no preset {preset!r}: it must be {' or '.join(PRESETS)}"
        )
    return {"learning_starts": 25_000} if env_family in LONG_WARM_UP else {}

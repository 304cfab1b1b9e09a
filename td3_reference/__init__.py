"""TD3 as published by its author, from scratch, with torch and numpy only.

To follow one training step, read run_loop.py, replay_buffer.py and td3.py.
"""

from td3_reference.config import LoopConfig, TD3Config
from td3_reference.replay_buffer import Batch, ReplayBuffer
from td3_reference.run_loop import RunLoop
from td3_reference.td3 import TD3, Actor, Critic

__all__ = ["TD3", "Actor", "Batch", "Critic", "LoopConfig", "ReplayBuffer", "RunLoop", "TD3Config"]

"""The differences that public TD3s have, each as a switch of the published update.

variants.py has them as subclasses of the reference that can be trained. Needs NumPy alone, so that
a report can say what each changes in the update.
"""

from benchmarks.fidelity.cases import deviation, expected_values
from benchmarks.fidelity.causes import CAUSES, Option, simulate
from benchmarks.fidelity.published import Switches

VARIANT = "td3_reference:benchmarks.fidelity.variants:"  # algo of a run of one, before the class
WILD: dict[str, Option] = {  # by class in variants.py
    "Offset": ("offset", 1),
    "NoFinalClip": ("clip", "none"),
    "TargetsAtEveryUpdate": ("targets", "every"),
    "ActorOnMinimum": ("actor_loss", "minimum"),
    "ActorOnMean": ("actor_loss", "mean"),
    "ScaledCritic": ("critic_actions", "unit"),
    "NoSmoothing": ("noise", "none"),
}


def wild_difference(algo: str) -> Option | None:
    """The difference of what a run trained; None if that is none of these variants.

    :param algo: as in the run's configuration
    """
    return WILD.get(algo.removeprefix(VARIANT)) if algo.startswith(VARIANT) else None


def in_words(difference: Option) -> str:
    """What differs."""
    return CAUSES[difference]


def in_the_update(difference: Option, case: str, updates: int = 3) -> float:
    """How far the published update with this difference is from the published numbers.

    :param case: name in CASES
    :param updates: 0, 1, 2, 3, 10 or 50
    """
    values = simulate(case, Switches(**{difference[0]: difference[1]}), updates)
    return deviation(values[updates], expected_values(case)[updates])

"""Saving an SB3 model so that equal models give equal files."""

import io
import json
import zipfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm

# Wall-clock times, and the last training episodes with theirs; learn() makes all of them anew.
TIMED_ATTRIBUTES = ["start_time", "ep_info_buffer"]


def model_bytes(model: "BaseAlgorithm") -> bytes:
    """Content of a model.zip that SB3's own ``load`` reads.

    SB3 stamps the archive with the time of writing, describes the machine in it, and prints
    memory addresses beside each pickled attribute; all three are left out.
    """
    saved = io.BytesIO()
    model.save(saved, exclude=TIMED_ATTRIBUTES)
    result = io.BytesIO()
    with zipfile.ZipFile(saved) as source, zipfile.ZipFile(result, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            if name == "system_info.txt":
                continue
            if name == "data":
                content = _without_descriptions(content)
            target.writestr(zipfile.ZipInfo(name), content)  # ZipInfo's own date is 1980
    return result.getvalue()


def _without_descriptions(data: bytes) -> bytes:
    """Keep type and pickle of each pickled attribute, and drop the text meant for people."""
    kept = {":type:", ":serialized:"}
    attributes = {
        name: {key: value[key] for key in value if key in kept}
        if isinstance(value, dict) and ":serialized:" in value
        else value
        for name, value in json.loads(data).items()
    }
    return json.dumps(attributes, indent=4).encode()

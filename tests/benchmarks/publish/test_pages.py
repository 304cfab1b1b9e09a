"""README and docs/results.md say what results/ holds: no more, no less, and no other number."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from benchmarks.publish.folder import publish
from benchmarks.publish.pages import (
    BEGIN,
    END,
    IMAGES,
    PAGE,
    pages,
    published,
    questions,
    readme_part,
)
from tests.benchmarks.publish.test_publish import sweep
from tests.helpers.command_lines import ROOT
from tests.helpers.made_up_runs import set_optimum
from training.config import ConfigError

NUMBER = re.compile(r"(?<![\w.-])[+-]?\d[\d,]*(?:\.\d+)?(?![\w.]*\d)")
IN_NAMES = re.compile(r"`[^`]*`|!?\[[^]]*\]\([^)]*\)|[\w-]+-v\d+|\w*td3\w*|<!--.*?-->", re.I)
MOST_FILM_BYTES = 2_000_000
# In the wording of a verdict's caveats: error rates by simulation, and the most seeds counted.
CAVEATS = (9.0, 40.0, 1_000.0)
# Not results: versions, the paper's year.
OTHERS_IN_README = {"3.11", "2018", "-1", "0"}


def numbers_in(folder: Path) -> Iterator[float]:
    """All numbers of a folder's files; what may be a rate or a level in percent too."""
    yield from CAVEATS
    for file in [*folder.glob("*.json"), *folder.glob("*.csv")]:
        text = file.read_text(encoding="utf-8")
        if file.suffix == ".json":
            values = [float(x) for x in leaves(json.loads(text))]
        else:
            table = pd.read_csv(file).select_dtypes("number").to_numpy().ravel()
            values = [float(x) for x in table if x == x]
        yield from values
        for rate in (value for value in values if abs(value) <= 1):
            yield from (100 * rate, 100 * (1 - rate), 100 * (1 - 2 * rate))


def leaves(content: Any) -> Iterator[Any]:
    """The numbers of a JSON file, those within its texts left out."""
    if isinstance(content, dict | list):
        for each in content.values() if isinstance(content, dict) else content:
            yield from leaves(each)
        if isinstance(content, list):
            yield len(content)
    elif isinstance(content, int | float) and not isinstance(content, bool):
        yield content


def untraced(text: str, known: list[float]) -> list[str]:
    """Numbers of a text that are no rounded number of the files."""
    found = []
    for word in NUMBER.findall(IN_NAMES.sub(" ", text)):
        digits = len(word.partition(".")[2])
        value = float(word.replace(",", ""))
        if not any(round(abs(x), digits) == abs(value) for x in known):
            found.append(word)
    return found


def numbers_with_a_point(text: str) -> list[str]:
    """What a text says to a decimal place or more."""
    return [word for word in NUMBER.findall(IN_NAMES.sub(" ", text)) if "." in word]


def sections(text: str) -> Iterator[tuple[str, str]]:
    """Name and verdict lines of each experiment on the page of results."""
    for part in text.split("\n## ")[1:]:
        name, _, body = part.partition("\n")
        yield name, "\n".join(line for line in body.splitlines() if line.startswith(("- ", "|")))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A README and one made-up published experiment beside it; to be read only."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "README.md").write_text(f"Mine.\n\n{BEGIN}\nold 123.4\n{END}\nRest.\n")
    with pytest.MonkeyPatch.context() as monkeypatch:
        set_optimum(monkeypatch)
        monkeypatch.setattr("benchmarks.report.gallery.has_optimum", lambda env_id: False)
        publish(sweep(folder / "runs/mine"), folder / "results/mine")
    return folder


def test_the_pages_are_those_that_results_makes() -> None:
    """``make results`` mends this."""
    for name, text in pages(ROOT / "results").items():
        assert (ROOT / name).read_text(encoding="utf-8") == text, name


def test_every_number_of_the_pages_stands_in_the_files_of_results() -> None:
    experiments = {each["name"] for each in published(ROOT / "results")}
    told = dict(sections((ROOT / PAGE).read_text(encoding="utf-8")))
    assert told.keys() == experiments
    for name, text in told.items():
        assert untraced(text, [*numbers_in(ROOT / "results" / name)]) == [], name
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    made, others = readme.partition(BEGIN)[2].partition(END)[0], readme
    others = readme.replace(made, "")
    folders = [ROOT / "results", ROOT / "results" / IMAGES]
    folders += [ROOT / "results" / name for name in experiments]
    known = [number for folder in folders for number in numbers_in(folder)]
    assert set(untraced(made, known)) <= OTHERS_IN_README
    assert numbers_with_a_point(made) or not experiments  # there is something to trace
    prose = "\n".join(line for line in others.splitlines() if not line.startswith("    "))
    assert set(NUMBER.findall(IN_NAMES.sub(" ", prose))) <= OTHERS_IN_README


def test_the_first_screen_s_animation_is_small() -> None:
    for file in (ROOT / "results" / IMAGES).glob("*"):
        assert file.stat().st_size < MOST_FILM_BYTES


@pytest.mark.slow
def test_the_readme_s_part_alone_is_made_anew_and_names_verdict_and_command(project: Path) -> None:
    made = pages(project / "results")
    text = made["README.md"]
    assert text.startswith(f"Mine.\n\n{BEGIN}\n")
    assert text.endswith(f"{END}\nRest.\n")
    assert "old" not in text
    assert "Pendulum-v1, a against b: equivalent" in text or "undecided" in text
    assert "python -m benchmarks report results/mine" in text
    assert "![Forest plot of the experiment mine. Pendulum-v1, a against b:" in text
    assert "## mine\n" in made[PAGE]
    assert "Not published, for want of runs: standard, action_scale_again," in made[PAGE]


@pytest.mark.slow
def test_numbers_are_traced_and_a_wrong_digit_is_not(project: Path) -> None:
    (section,) = sections(pages(project / "results")[PAGE])
    known = [*numbers_in(project / "results/mine")]
    assert untraced(section[1], known) == []
    changed = section[1].replace("+10.0", "+10.7")
    assert changed != section[1]
    assert untraced(changed, known) == ["+10.7"]


def test_without_results_a_place_is_left_and_nothing_is_invented(tmp_path: Path) -> None:
    shutil.copy(ROOT / "README.md", tmp_path)
    made = pages(tmp_path / "results")
    assert "No experiment is published yet" in made["README.md"]
    assert "No experiment is published yet" in made[PAGE]
    (tmp_path / "README.md").write_text("no marks")
    with pytest.raises(ConfigError, match="must have the lines"):
        pages(tmp_path / "results")


def experiment(name: str, description: str, *findings: str) -> dict[str, Any]:
    return {"name": name, "description": description, "findings": findings, "settled": 0}


def test_three_findings_are_told_the_first_of_each_experiment_before_others(
    tmp_path: Path,
) -> None:
    told = [
        experiment("one", "is it chance?", "No.", "Once more, no."),
        experiment("none", "too few seeds"),
        experiment("two", "a against b", "Equal.", "Not told."),
    ]
    text = readme_part(tmp_path, told)
    lines = [line for line in text.splitlines() if line.startswith("- ")]
    assert lines == [
        "- `one`: Is it chance? No.",
        "- `two`: A against b. Equal.",
        "- `one`: Once more, no.",
    ]
    assert text.count("python -m benchmarks report results/one") == 2
    assert "![Forest plot of the experiment one. No.](results/one/verdicts_forest.png)" in text


def test_an_experiment_that_settled_something_comes_before_those_that_did_not(
    tmp_path: Path,
) -> None:
    told = [
        experiment("one", "is it chance?", "Undecided."),
        {**experiment("two", "is it the unit?", "Different.", "Undecided."), "settled": 1},
    ]
    text = readme_part(tmp_path, told)
    assert text.index("- `two`") < text.index("- `one`")
    assert "](results/two/verdicts_forest.png)" in text


def test_of_a_question_that_was_asked_again_the_readme_tells_the_second_answer(
    tmp_path: Path,
) -> None:
    first = {**experiment("action_scale", "is it the unit?", "Different."), "settled": 1}
    again = experiment("action_scale_again", "is it, of new seeds?", "Undecided.")
    text = readme_part(tmp_path, [again, first])
    assert "Undecided." in text
    assert "Different." not in text
    assert "Different." in readme_part(tmp_path, [first])


def test_without_a_verdict_the_readme_says_so(tmp_path: Path) -> None:
    text = readme_part(tmp_path, [experiment("none", "too few seeds")])
    assert "No published experiment has the seeds that a verdict needs yet" in text
    assert "Forest plot" not in text
    assert "What was found" not in text


def test_durations_stand_under_a_heading_after_how_they_were_measured(tmp_path: Path) -> None:
    (tmp_path / "durations.json").write_text(
        '{"how": "On a made-up machine:", "minutes": {"make test": 12.34}}'
    )
    text = readme_part(tmp_path, [])
    heading, how, header, _, row = (line for line in text.splitlines()[2:] if line)
    assert (heading, how) == ("## How long it takes", "On a made-up machine:")
    assert [header.split(), row.split()] == [
        ["|", "command", "|", "minutes", "|"],
        ["|", "`make", "test`", "|", "12.3", "|"],
    ]


def test_hardly_any_changed_digit_is_another_number_of_the_files(project: Path) -> None:
    """So that the test of all numbers says something."""
    made = pages(project / "results")
    text = made["README.md"] + dict(sections(made[PAGE]))["mine"]
    known = [*numbers_in(project / "results/mine")]
    words = set(numbers_with_a_point(text))
    assert len(words) > 5
    assert untraced(" ".join(words), known) == []
    changed = [word[:-1] + str((int(word[-1]) + 3) % 10) for word in words]
    assert len(untraced(" ".join(changed), known)) > 0.8 * len(words)


def test_an_experiment_on_new_seeds_has_the_question_of_the_one_that_suggested_it() -> None:
    first = {"name": "action_scale", "description": "does it matter?"}
    again = {"name": "action_scale_again", "description": "the same"}
    assert questions([again]) == {"action_scale_again": "The same."}
    assert questions([again, first]) == {
        "action_scale": "Does it matter?",
        "action_scale_again": "Does it matter? Asked again, on new seeds.",
    }

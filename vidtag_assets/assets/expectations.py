"""What the tables must look like: Great Expectations suites, and a verdict on a table.

Belongs here: expectations on columns of the clip and fix tables; critical ones block, warnings only
tell. The only module that imports Great Expectations, and only when a table is judged. Does not
belong here: rules across rows or tables (vidtag_ml.dataset.rules.problems, gallery coverage).
"""

import dataclasses
import json
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from vidtag_assets.workspace import data_docs
from vidtag_ml.dataset import tables

NUM_EXAMPLES = 5
CONSEQUENCES = {
    "critical": "Where this does not hold, the check fails and nothing downstream runs.",
    "warning": "Where this does not hold, the check warns, and all goes on.",
}
"""What follows, by severity."""
MEANINGS = {
    "clip_id": "Fixes, features, answers and reports find their clip by it.",
    "video_path": "Where the video or the folder of pictures lies, seen from the dataset's folder.",
    "mode": "How the camera moved, which decides how fast it may have been.",
    "kind": "A video is one file; frames are a folder of pictures.",
    "split": "Models learn from train, val decides which is better, test is only reported.",
    "group_id": "Recordings of one way are a group, which no split tears apart.",
    "content_md5": "Digest of what is read: features are kept under it, copies are known by it.",
    "num_frames": "Pictures of the clip; without one there is nothing to see.",
    "duration_s": "Seconds from its first picture to its end.",
    "width": "Columns of the upright picture.",
    "height": "Rows of the upright picture.",
    "city": "The place that it is labelled with; CityGuessr learns it.",
    "country": "The country of that place; CityGuessr learns it.",
    "continent": "The continent of that place; a champion may get worse on none.",
    "licence": "What may be done with the recording.",
    "lat": "Degrees north of the equator, south of it negative: the truth that models learn.",
    "lon": "Degrees east of Greenwich, west of it negative: the truth that models learn.",
    "status": "Whether the position was measured, put between others, or is not believed.",
    "time_s": "Seconds from the clip's beginning.",
    "altitude_m": "Metres above the sea; the Dead Sea's shore is at -430.",
    "accuracy_m": "Metres by which the receiver thinks that it may be wrong.",
    "dop": "Dilution of precision: how well the satellites were spread; above 10 is poor.",
    "fix_type": "In how many dimensions the receiver knew its place.",
    "fix_source": "Which device or file the position is from.",
}
"""What columns are, for people."""


@dataclass(frozen=True)
class Expected:
    """One expectation, in words."""

    expectation: str
    """What should be true."""
    meaning: str
    """What the column is, or the table."""
    severity: str
    """critical or warning."""
    met: str
    """yes or no."""


@dataclass(frozen=True)
class Failure:
    """One expectation that a table does not meet."""

    expectation: str
    """The sentence that is not true."""
    severity: str
    """critical or warning."""
    num_rows: int
    """Rows that break it; 0 where the whole table does."""
    examples: tuple[str, ...]
    """Values that break it, a few, each with its clip."""


@dataclass(frozen=True)
class Verdict:
    """What a suite says about a table."""

    suite: str
    expected: tuple[Expected, ...]
    """All expectations, the severest first."""
    failures: tuple[Failure, ...]

    @property
    def passed(self) -> bool:
        """Whether every expectation is met."""
        return not self.failures

    @property
    def critical(self) -> bool:
        """Whether a failure must stop what comes after."""
        return any(failure.severity == "critical" for failure in self.failures)

    def table(self) -> pd.DataFrame:
        """One row a failure, for people."""
        rows = [{**dataclasses.asdict(f), "examples": ", ".join(f.examples)} for f in self.failures]
        return pd.DataFrame(rows, columns=["expectation", "severity", "num_rows", "examples"])


def clips_suite() -> Any:
    """The `gx.ExpectationSuite` of `clips.parquet`."""
    gxe = _great_expectations().expectations
    critical = [
        gxe.ExpectTableRowCountToBeBetween(min_value=1, description="there are clips"),
        gxe.ExpectColumnValuesToBeUnique(column="clip_id", description="clip_id is unique"),
        *_never_null(["clip_id", "video_path", "mode", "split", "group_id", "content_md5"]),
        *_one_of({"split": tables.SPLITS, "mode": tables.MODES, "kind": ("video", "frames")}),
        *_between({"num_frames": (1, None), "duration_s": (0, None)}),
        *_between({"width": (1, None), "height": (1, None)}),
        gxe.ExpectColumnValuesToMatchRegex(
            column="content_md5", regex="^[0-9a-f]{32}$", description="content_md5 is an md5"
        ),
        gxe.ExpectColumnDistinctValuesToContainSet(
            column="split", value_set=["test"], description="there are test clips"
        ),
    ]
    advice = [
        *_never_null(["city", "country", "continent", "licence"], severity="warning"),
        gxe.ExpectColumnValuesToBeUnique(
            column="content_md5", severity="warning", description="no video occurs twice"
        ),
        gxe.ExpectColumnDistinctValuesToContainSet(
            column="split",
            value_set=list(tables.SPLITS),
            severity="warning",
            description="no split is empty",
        ),
    ]
    about = "clips.parquet: one row a clip, whichever source it is from."
    return _suite("clips", about, [*critical, *advice])


def fixes_suite() -> Any:
    """The `gx.ExpectationSuite` of `fixes.parquet`."""
    gxe = _great_expectations().expectations
    critical = [
        gxe.ExpectTableRowCountToBeBetween(min_value=1, description="there are fixes"),
        *_never_null(["clip_id", "lat", "lon", "status"]),
        *_between({"lat": (-90, 90), "lon": (-180, 180)}),
        *_one_of({"status": ("measured", "interpolated", "dropped")}),
    ]
    advice = [
        gxe.ExpectCompoundColumnsToBeUnique(
            column_list=["clip_id", "time_s"],
            ignore_row_if="any_value_is_missing",
            severity="warning",
            description="a clip has one fix at a time",
        ),
        *_between({"altitude_m": (-500, None)}, severity="warning"),
        *_between({"accuracy_m": (0, 100), "dop": (0, 10)}, severity="warning"),
        *_one_of({"fix_type": ("none", "2d", "3d")}, severity="warning"),
        *_never_null(["fix_source"], severity="warning"),
    ]
    about = "fixes.parquet: where clips were when, one row a position; dropped ones are left out."
    return _suite("fixes", about, [*critical, *advice])


def _suite(name: str, about: str, expectations: Sequence[Any]) -> Any:
    """A suite whose pages say what it is about, what each column is, and what follows."""
    for one in expectations:
        columns = [getattr(one, "column", None), *getattr(one, "column_list", [])]
        meaning = " ".join(MEANINGS[column] for column in columns if column)
        one.notes = [meaning or about, CONSEQUENCES[one.severity.value]]
    made = _great_expectations().ExpectationSuite
    return made(name, expectations=list(expectations), notes=[about])


def validate(table: pd.DataFrame, suite: Callable[[], Any], docs: Path | None = None) -> Verdict:
    """The verdict of a suite (`clips_suite` or `fixes_suite`) on a table with a clip_id column.

    Args:
        table: as `vidtag_ml.dataset.tables.read` returns it.
        suite: makes the suite.
        docs: folder in which the data docs are written over earlier ones; they begin at
            `index.html`. Without it, none are written.
    """
    gx = _great_expectations()
    context = gx.get_context(mode="ephemeral")
    # The progress bars would draw a line for each expectation into the asset's log.
    context.variables.progress_bars = {"globally": False}
    expectations = context.suites.add(suite())
    name = expectations.name
    whole = (
        context.data_sources.add_pandas(name)
        .add_dataframe_asset(name)
        .add_batch_definition_whole_dataframe("all")
    )
    definition = gx.ValidationDefinition(name=name, data=whole, suite=expectations)
    checkpoint = gx.Checkpoint(
        name=name,
        validation_definitions=[context.validation_definitions.add(definition)],
        # Any more than BASIC lists each row that fails, before it shortens the list.
        result_format={"result_format": "BASIC", "partial_unexpected_count": NUM_EXAMPLES},
        actions=[] if docs is None else [_data_docs(context, docs)],
    )
    (judged,) = context.checkpoints.add(checkpoint).run({"dataframe": table}).run_results.values()
    if docs is not None:
        data_docs.dress(docs)
    failures = tuple(_failure(result, table) for result in judged.results if not result.success)
    return Verdict(name, _expected(judged.results), failures)


def _expected(results: Sequence[Any]) -> tuple[Expected, ...]:
    asked = [(result.expectation_config, "yes" if result.success else "no") for result in results]
    told = [Expected(one.description, one.notes[0], one.severity.value, met) for one, met in asked]
    return tuple(sorted(told, key=lambda one: list(CONSEQUENCES).index(one.severity)))


def _data_docs(context: Any, folder: Path) -> Any:
    """The action that writes the data docs; a site names each page after its time, so none stay."""
    if (folder / "validations").exists():
        shutil.rmtree(folder / "validations")
    backend = {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(folder.resolve())}
    site = {
        "class_name": "SiteBuilder",
        "store_backend": backend,
        "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
        "show_how_to_buttons": False,
    }
    context.add_data_docs_site(site_name="docs", site_config=site)
    action = _great_expectations().checkpoint.UpdateDataDocsAction
    return action(name="docs", site_names=["docs"])


def _failure(result: Any, table: pd.DataFrame) -> Failure:
    told = json.loads(json.dumps(result.to_json_dict()))
    asked = told["expectation_config"]
    raised = [e["exception_message"] for e in _exceptions(told)]
    values = result.result.get("partial_unexpected_list") or []
    sentence = asked.get("description") or asked["type"]
    count = int(told["result"].get("unexpected_count") or 0)
    examples = _rows(table, asked["kwargs"], values) if values else raised
    return Failure(sentence, asked["severity"], count, tuple(examples))


def _rows(table: pd.DataFrame, asked: dict[str, Any], values: list[Any]) -> list[str]:
    """The first rows with wrong values, as text; a value of several columns is a dict of them."""
    if "column" in asked:
        wrong = table[asked["column"]].isin(values)
        shown = list(dict.fromkeys([asked["column"], "clip_id"]))
        values = table.loc[wrong, shown].head(NUM_EXAMPLES).to_dict("records")
    return [", ".join(f"{name} {value}" for name, value in row.items()) for row in values]


def _exceptions(result: dict[str, Any]) -> list[dict[str, Any]]:
    info = result.get("exception_info") or {}
    nested = [info, *(v for v in info.values() if isinstance(v, dict))]
    return [e for e in nested if e.get("raised_exception") and e.get("exception_message")]


def _never_null(columns: Sequence[str], severity: str = "critical") -> list[Any]:
    gxe = _great_expectations().expectations
    return [
        gxe.ExpectColumnValuesToNotBeNull(
            column=column, severity=severity, description=f"{column} is known"
        )
        for column in columns
    ]


def _one_of(allowed: dict[str, tuple[str, ...]], severity: str = "critical") -> list[Any]:
    gxe = _great_expectations().expectations
    return [
        gxe.ExpectColumnValuesToBeInSet(
            column=column,
            value_set=list(values),
            severity=severity,
            description=f"{column} is {' or '.join(values)}",
        )
        for column, values in allowed.items()
    ]


def _between(
    ranges: dict[str, tuple[float | None, float | None]], severity: str = "critical"
) -> list[Any]:
    gxe = _great_expectations().expectations
    return [
        gxe.ExpectColumnValuesToBeBetween(
            column=column,
            min_value=low,
            max_value=high,
            severity=severity,
            description=f"{column} is at least {low}{'' if high is None else f', at most {high}'}",
        )
        for column, (low, high) in ranges.items()
    ]


def _great_expectations() -> Any:
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    import great_expectations as gx
    import great_expectations.expectations

    return gx

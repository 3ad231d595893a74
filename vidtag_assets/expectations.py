"""What the tables must look like: Great Expectations suites, and a verdict on a table.

Belongs here: expectations on columns of the clip and fix tables; critical ones block, warnings only
tell. The only module that imports Great Expectations, and only when a table is judged. Does not
belong here: rules across rows or tables (vidtag_ml.clips.problems, gallery coverage).
"""

import dataclasses
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from vidtag_ml import clips

NUM_EXAMPLES = 5


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
    num_expectations: int
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
        *_one_of({"split": clips.SPLITS, "mode": clips.MODES, "kind": ("video", "frames")}),
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
            value_set=list(clips.SPLITS),
            severity="warning",
            description="no split is empty",
        ),
    ]
    return _great_expectations().ExpectationSuite("clips", expectations=[*critical, *advice])


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
        *_between({"accuracy_m": (0, 100)}, severity="warning"),
    ]
    return _great_expectations().ExpectationSuite("fixes", expectations=[*critical, *advice])


def validate(table: pd.DataFrame, suite: Callable[[], Any]) -> Verdict:
    """The verdict of a suite (`clips_suite` or `fixes_suite`) on a table with a clip_id column."""
    gx = _great_expectations()
    context = gx.get_context(mode="ephemeral")
    # The progress bars would draw a line for each expectation into the asset's log.
    context.variables.progress_bars = {"globally": False}
    expectations = suite()
    batch = (
        context.data_sources.add_pandas(expectations.name)
        .add_dataframe_asset(expectations.name)
        .add_batch_definition_whole_dataframe("all")
        .get_batch({"dataframe": table})
    )
    result_format = {"result_format": "COMPLETE", "unexpected_index_column_names": ["clip_id"]}
    judged = batch.validate(expectations, result_format=result_format)
    results = json.loads(json.dumps(judged.to_json_dict()))
    failures = tuple(_failure(r) for r in results["results"] if not r["success"])
    return Verdict(expectations.name, len(results["results"]), failures)


def _failure(result: dict[str, Any]) -> Failure:
    found, asked = result["result"], result["expectation_config"]
    raised = [e["exception_message"] for e in _exceptions(result)]
    places = found.get("unexpected_index_list") or []
    examples = [", ".join(f"{k} {v}" for k, v in place.items()) for place in places[:NUM_EXAMPLES]]
    sentence = asked.get("description") or asked["type"]
    count = int(found.get("unexpected_count") or 0)
    return Failure(sentence, asked["severity"], count, tuple(examples or raised))


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


def _one_of(allowed: dict[str, tuple[str, ...]]) -> list[Any]:
    gxe = _great_expectations().expectations
    return [
        gxe.ExpectColumnValuesToBeInSet(
            column=column, value_set=list(values), description=f"{column} is {' or '.join(values)}"
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

"""The machine-learning commands: what they make, what they print, and how they fail."""

import errno
import json
import shutil
import subprocess
import sys

import pytest
import typer

from vidtag_ml.cli import app as cli_app


def test_help_imports_nothing_heavy():
    code = (
        "import sys\nfrom vidtag_ml.cli import app\n"
        "try:\n    app.main(arguments=['--help'])\nexcept SystemExit:\n    pass\n"
        "sys.exit(str([m for m in ('numpy', 'torch', 'pandas', 'yaml', 'av') if m in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == "[]"
    assert "ingest" in done.stdout


def test_stage_says_what_it_made_and_then_that_nothing_changed(vidtag, workspace):
    first = vidtag(workspace, "ingest", "--source", "flyover")
    assert first.stdout.startswith("data/flyover: made in")
    assert "rendering clips: 10 of 10" in first.stderr
    again = vidtag(workspace, "ingest", "--source", "flyover")
    assert again.stdout == "data/flyover: unchanged, nothing to do\n"


@pytest.fixture
def trip(tmp_path, made):
    """A workspace, and beside it a folder with a good video and a bad one."""
    folder = tmp_path / "my trip"
    folder.mkdir()
    good = next((made / "data" / "flyover" / "videos").glob("*.mp4"))
    for path in (good, good.with_suffix(".gpx")):
        shutil.copy(path, folder)
    (folder / "bad.mp4").write_bytes(b"no video")
    shutil.copy(made / "params.yaml", tmp_path)
    return folder


def test_own_recordings_are_taken_in_and_counted(vidtag, trip, tmp_path):
    done = vidtag(tmp_path, "ingest", trip, "--dataset", "trip", "--mode", "flyover")
    assert done.returncode == 0
    assert "1 accepted (1 of them repaired), 1 quarantined" in done.stdout
    assert "bad.mp4: unreadable" in done.stdout
    assert "3 files found = 2 used + 1 quarantined + 0 passed over" in done.stdout
    assert "bad.mp4" in (tmp_path / "data" / "quarantine" / "report.html").read_text()


def test_own_recordings_as_json(vidtag, trip, tmp_path):
    asked = ("ingest", trip, "--dataset", "trip", "--mode", "flyover", "--json")
    found = json.loads(vidtag(tmp_path, *asked).stdout)
    (accepted,), (left_out,) = found["accepted"], found["quarantined"]
    assert set(accepted) == {
        "clip_id", "path", "decoder", "num_frames", "duration_s", "num_fixes", "fix_source",
        "lat_min", "lat_max", "lon_min", "lon_max", "repairs", "num_found", "dropped",
    }  # fmt: skip
    assert set(left_out) == {"path", "reason", "advice"}
    assert accepted["fix_source"] == "gpx"


def test_nothing_accepted_fails_but_reports(vidtag, trip, tmp_path):
    done = vidtag(tmp_path, "ingest", trip / "bad.mp4", "--dataset", "trip")
    assert done.returncode == 1
    assert "0 accepted" in done.stdout
    assert "bad.mp4" in (tmp_path / "data" / "quarantine" / "report.csv").read_text()
    assert not (tmp_path / "data" / "trip" / "clips.parquet").exists()


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("my trip",), "--dataset NAME"),
        (("--dataset", "trip"), "PATH"),
        (("my trip", "--source", "images", "--blur", "faces"), "own recordings"),
        (("my trip", "--dataset", "flyover"), "choose another"),
        (("my trip", "--dataset", "../up"), "choose another"),
        (("nowhere", "--dataset", "trip"), "no such file"),
        (("my trip", "--dataset", "trip", "--mode", "plane"), "mode is 'plane'"),
        (("my trip", "--dataset", "trip", "--time-zone", "CEST/x"), "--time-zone 'CEST/x': there"),
        (("--time-zone", "Europe/Berlin"), "own recordings"),
    ],
)
def test_wrong_requests_to_take_in_are_one_line_and_change_nothing(
    vidtag, trip, tmp_path, arguments, why
):
    assert why in vidtag(tmp_path, "ingest", *arguments).refusal
    assert not (tmp_path / "data").exists()


def test_sources_are_listed(vidtag, tmp_path):
    done = vidtag(tmp_path, "ingest", "--list-sources")
    assert "recordings" in done.stdout
    assert "Mapillary" in done.stdout
    assert set(json.loads(vidtag(tmp_path, "ingest", "--list-sources", "--json").stdout)) >= {
        "flyover",
        "msls",
        "recordings",
    }


def test_evaluation_of_places_is_printed_for_people_and_programs(vidtag, made):
    summary = json.loads(vidtag(made, "evaluate", "cityguessr", "--json").stdout)
    assert (summary["model"], summary["split"], summary["num_clips"]) == ("cityguessr", "test", 2)
    table = vidtag(made, "evaluate", "cityguessr").stdout
    assert "2 test clips, codependent inference" in table
    assert "most frequent class" in table


def test_evaluation_among_tiles_is_printed_for_people_and_programs(vidtag, made_gama):
    summary = json.loads(vidtag(made_gama[0], "evaluate", "gama", "--json").stdout)
    assert (summary["model"], summary["split"]) == ("gama", "test")
    table = vidtag(made_gama[0], "evaluate", "gama").stdout
    head = " ".join(table.split("┡")[0].replace("┃", " ").split())
    for words in ("flat", "hierarchical", f"({summary['kept']})", "screening", "whole way"):
        assert words in head
    sizes = next(line for line in table.splitlines() if "gallery size" in line)
    prefixes = ("", "hierarchical_", "screening_", f"{summary['track']}_")
    wanted = [f"{summary[f'{prefix}gallery_size']:.0f}" for prefix in prefixes]
    assert [cell.strip() for cell in sizes.split("│")[2:6]] == wanted


def test_what_is_made_for_gama_is_not_made_again(vidtag, made_gama):
    commands = (("aerial",), *(("train", name) for name in ("gama", "screening", "heading")))
    said = "".join(vidtag(made_gama[0], *command).stdout for command in commands)
    made = ("aerial_pixels", "gama", "screening", "heading")
    wanted = ("data/aerial_gallery", *(f"out/{name}" for name in made))
    assert said == "".join(f"{path}: unchanged, nothing to do\n" for path in wanted)


def test_bad_requests_are_one_line(vidtag, made):
    assert "phase-three" in vidtag(made, "train", "phase-three").refusal
    assert "No such command" in vidtag(made, "fly").refusal


def test_params_that_are_wrong_are_named(vidtag, workspace, tmp_path):
    assert "params.yaml: no such file" in vidtag(tmp_path, "gallery").refusal
    params = workspace / "params.yaml"
    params.write_text(params.read_text().replace("spacing_km", "spacing_miles"))
    assert "gallery.spacing_miles" in vidtag(workspace, "gallery").refusal
    assert not (workspace / "data" / "gallery").exists()


def test_absent_weights_name_the_command_that_gets_them(vidtag, workspace):
    assert vidtag(workspace, "ingest").returncode == 0
    (workspace / "data" / "encoders" / "flyover_dino.safetensors").unlink()
    said = vidtag(workspace, "features").refusal
    assert "flyover_dino.safetensors" in said
    assert "vidtag weights" in said
    listed = json.loads(vidtag(workspace, "weights", "list", "--json").stdout)
    assert [
        w["state"] == "ok" for w in listed if w["name"] in ("flyover_clip", "flyover_dino")
    ] == [
        True,
        False,
    ]


def test_evaluation_is_printed_for_people_and_programs(vidtag, made):
    summary = json.loads(vidtag(made, "evaluate", "geoclip", "--json").stdout)
    assert (summary["model"], summary["split"], summary["num_clips"]) == ("geoclip", "test", 2)
    table = vidtag(made, "evaluate").stdout
    assert "median error" in table
    assert "2 test clips, 16 frames" in table


def test_full_disk_is_one_line():
    full = OSError(errno.ENOSPC, "No space left on device", "/data/x")
    assert cli_app.explain(full) == "/data/x: No space left on device"
    assert "no space left" in str(
        cli_app.explain(RuntimeError("I/O error: No space left on device"))
    )


def test_mistakes_of_ours_keep_their_traceback():
    assert cli_app.explain(KeyError("x")) is None
    assert cli_app.explain(RuntimeError("mat1 and mat2 shapes cannot be multiplied")) is None


@pytest.fixture
def stopped():
    """An application whose commands are stopped by Ctrl-C."""
    application = typer.Typer()

    @application.command("ingest")
    @application.command("locate")
    def stop():
        raise KeyboardInterrupt

    return application


@pytest.mark.parametrize(("command", "goes_on"), [("ingest", True), ("locate", False)])
def test_ctrl_c_is_one_line_that_says_whether_a_rerun_goes_on(capsys, stopped, command, goes_on):
    with pytest.raises(SystemExit) as ended:
        cli_app.main(stopped, [command])
    said = capsys.readouterr().err
    assert ended.value.code == 130
    assert said.startswith("vidtag: stopped")
    assert said.count("\n") == 1
    assert ("goes on from there" in said) == goes_on


def test_what_goes_on_after_ctrl_c_are_commands(vidtag, tmp_path):
    shown = vidtag(tmp_path, "--help").stdout
    assert all(f" {name} " in shown for name in cli_app.GOES_ON)

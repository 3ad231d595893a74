"""The machine-learning commands: what they make, what they print, and how they fail."""

import errno
import json
import shutil
import subprocess
import sys
from dataclasses import dataclass

import pytest

from vidtag_ml import cli


@pytest.fixture(scope="module")
def bundle(made):
    return made / "out" / "bundle"


@pytest.fixture(scope="module")
def video(made):
    return next((made / "data" / "flyover" / "videos").glob("*.mp4"))


@dataclass(frozen=True)
class Done:
    """What a command left on the screen."""

    returncode: int
    stdout: str
    stderr: str

    @property
    def refusal(self):
        """The one line that a failed command says."""
        assert self.returncode in (1, 2), self
        assert self.stderr.count("\n") == 1, self.stderr
        assert self.stderr.startswith("vidtag: ")
        return self.stderr


@pytest.fixture
def vidtag(monkeypatch, capsys):
    """The command, run in a folder: `vidtag(folder, argument, ...)`."""

    def run(folder, *arguments):
        monkeypatch.chdir(folder)
        capsys.readouterr()
        with pytest.raises(SystemExit) as stopped:
            cli.main(arguments=list(map(str, arguments)))
        return Done(stopped.value.code, *capsys.readouterr())

    return run


def test_help_imports_nothing_heavy():
    code = (
        "import sys\nfrom vidtag_ml import cli\n"
        "try:\n    cli.main(arguments=['--help'])\nexcept SystemExit:\n    pass\n"
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
    assert "bad.mp4" in (tmp_path / "data" / "quarantine" / "report.html").read_text()


def test_own_recordings_as_json(vidtag, trip, tmp_path):
    asked = ("ingest", trip, "--dataset", "trip", "--mode", "flyover", "--json")
    found = json.loads(vidtag(tmp_path, *asked).stdout)
    (accepted,), (left_out,) = found["accepted"], found["quarantined"]
    assert set(accepted) == {
        "clip_id", "path", "decoder", "num_frames", "duration_s", "num_fixes", "fix_source",
        "lat_min", "lat_max", "lon_min", "lon_max", "repairs",
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
        "flyover", "msls", "recordings"
    }  # fmt: skip


def test_locate_writes_tracks_and_prints_them(vidtag, bundle, video, tmp_path):
    done = vidtag(tmp_path, "locate", video, "--model", bundle, "--out", "there", "--json")
    located = json.loads(done.stdout)[0]
    assert located["video"] == str(video)
    assert len(located["track"]) == 8
    assert {p.name for p in (tmp_path / "there").iterdir()} == {
        f"track.{kind}" for kind in ("gpx", "geojson", "kml", "csv", "png")
    }


def test_several_videos_get_files_of_their_own(vidtag, made, bundle, tmp_path):
    videos = sorted((made / "data" / "flyover" / "videos").glob("*.mp4"))[:2]
    done = vidtag(tmp_path, "locate", *videos, "--model", bundle, "--out", ".")
    assert done.returncode == 0, done.stderr
    assert all((tmp_path / f"{v.stem}.gpx").exists() for v in videos)


def test_bundle_of_places_names_them_and_their_files(vidtag, made, video, tmp_path):
    from vidtag_ml.hierarchy import LEVELS

    ask = ("locate", video, "--model", made / "out" / "guess_bundle", "--out", "there")
    (found,) = json.loads(vidtag(tmp_path, *ask, "--json").stdout)
    names = [found["place"][level]["name"] for level in LEVELS]
    assert ",".join(names) in (made / "data" / "hierarchy.csv").read_text().splitlines()
    assert all(0 <= found["place"][level]["probability"] <= 1 for level in LEVELS)
    assert set(found["sure"]) == set(found["candidates"]) == set(LEVELS)
    assert found["files"] == ["there/place.json", "there/place.png"]
    assert all((tmp_path / file).stat().st_size > 100 for file in found["files"])
    shown = vidtag(tmp_path, *ask).stdout
    assert f"{video}: {found['answer']}" in shown
    assert all(name in shown for name in names)


def test_places_of_several_videos_get_files_of_their_own(vidtag, made, tmp_path):
    videos = sorted((made / "data" / "flyover" / "videos").glob("*.mp4"))[:2]
    bundle = made / "out" / "guess_bundle"
    assert vidtag(tmp_path, "locate", *videos, "--model", bundle, "--out", ".").returncode == 0
    assert all((tmp_path / f"{v.stem}.{k}").exists() for v in videos for k in ("json", "png"))


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
    assert f"flat | hierarchical ({summary['kept']}) | screening (videos)" in " | ".join(
        cell.strip() for cell in table.splitlines()[2].split("┃")
    )
    sizes = next(line for line in table.splitlines() if "gallery size" in line)
    prefixes = ("", "hierarchical_", "screening_")
    wanted = [f"{summary[f'{prefix}gallery_size']:.0f}" for prefix in prefixes]
    assert [cell.strip() for cell in sizes.split("│")[2:5]] == wanted


def test_what_is_made_for_gama_is_not_made_again(vidtag, made_gama):
    commands = (("aerial",), ("train", "gama"), ("train", "screening"))
    said = "".join(vidtag(made_gama[0], *command).stdout for command in commands)
    wanted = ("data/aerial_gallery", "out/aerial_pixels", "out/gama", "out/screening")
    assert said == "".join(f"{path}: unchanged, nothing to do\n" for path in wanted)


def test_tracks_by_aerial_imagery_are_files_like_others(vidtag, made_gama, tmp_path):
    root = made_gama[0]
    video = min((root / "data" / "flyover_gama" / "videos").glob("*.mp4"))
    bundle = root / "out" / "aerial_bundle"
    done = vidtag(tmp_path, "locate", video, "--model", bundle, "--out", "there", "--json")
    (row,) = json.loads(done.stdout)
    kinds = ("gpx", "geojson", "kml", "csv", "png")
    assert row["files"] == [f"there/track.{kind}" for kind in kinds]
    assert [point["time_s"] for point in row["track"]] == [0.0, 1.0, 2.0]


@pytest.mark.parametrize("kind", ["missing", "text", "empty", "truncated"])
def test_bad_video_is_one_line_and_leaves_nothing(vidtag, bundle, video, tmp_path, kind):
    path = tmp_path / f"{kind}.mp4"
    whole = video.read_bytes()
    contents = {"text": b"not a video\n" * 50, "empty": b"", "truncated": whole[: len(whole) // 2]}
    if kind in contents:
        path.write_bytes(contents[kind])
    done = vidtag(tmp_path, "locate", video, path, "--model", bundle, "--out", "out")
    assert str(path) in done.refusal
    assert not (tmp_path / "out").exists()


def test_bad_requests_are_one_line(vidtag, made, bundle, video, tmp_path):
    ask = ("locate", video, "--model")
    assert "--fps" in vidtag(made, *ask, bundle, "--fps", 0).refusal
    assert "nowhere" in vidtag(made, *ask, "nowhere").refusal
    assert "bundle.json" in vidtag(made, *ask, tmp_path).refusal
    twin = shutil.copy(video, tmp_path)
    assert video.stem in vidtag(made, *ask, bundle, twin).refusal
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


def test_weights_are_verified(vidtag, workspace):
    assert vidtag(workspace, "weights", "verify").stdout.count(" ok\n") == 2
    (workspace / "data" / "encoders" / "flyover_clip.safetensors").write_bytes(b"rubbish")
    done = vidtag(workspace, "weights", "verify")
    assert done.returncode == 1
    assert "flyover_clip: unusable" in done.stderr


def test_geoclip_is_fetched_and_verified_by_name(vidtag, workspace, tmp_path):
    fetched = vidtag(workspace, "weights", "fetch", "geoclip", "--dir", tmp_path)
    assert "geoclip_location.safetensors" in fetched.stdout
    assert vidtag(workspace, "weights", "verify", "geoclip", "--dir", tmp_path).returncode == 0
    nothing = ("weights", "fetch", "geoclip", "--from", tmp_path / "nowhere")
    assert "nowhere: no such folder" in vidtag(workspace, *nothing).refusal


def test_full_disk_is_one_line():
    full = OSError(errno.ENOSPC, "No space left on device", "/data/x")
    assert cli.explain(full) == "/data/x: No space left on device"
    assert "no space left" in str(cli.explain(RuntimeError("I/O error: No space left on device")))


def test_mistakes_of_ours_keep_their_traceback():
    assert cli.explain(KeyError("x")) is None
    assert cli.explain(RuntimeError("mat1 and mat2 shapes cannot be multiplied")) is None


def test_figures_show_what_a_summary_has(capsys):
    summary = {"num_clips": 1, "num_frames": 2, "split": "val", "gallery_size": 3, "dfd_km": 4.0}
    cli.print_figures({"vidtag": summary})
    assert "4 km" in capsys.readouterr().out

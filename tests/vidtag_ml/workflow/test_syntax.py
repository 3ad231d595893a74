"""What a definition is, and what it refers to, in packages of two small modules."""

import ast

import pytest

from vidtag_ml.workflow import code_key, syntax

OTHER = """
FACTOR = 2
SAME, BOTH = 1, 1
class Lost(ValueError): ...
class Late(ValueError): ...
def double(x): return FACTOR * x
def halve(x): return x / FACTOR
"""


def package(root, start, other=OTHER):
    folder = root / str(len(list(root.iterdir()))) / "house"
    folder.mkdir(parents=True)
    for name, text in (("__init__", ""), ("other", other), ("start", start)):
        (folder / f"{name}.py").write_text(text)
    return folder


def code(root, *texts):
    return code_key.reached(package(root, *texts), "start:run").code


def reached(root, start):
    definitions = code_key.reached(package(root, start), "start:run").definitions
    return {d.name for d in definitions if d.module == "house.other" and d.name}


IMPORTED = "from house import other\n"


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("def run(x): return x + 1", 'def run(x):\n    """Adds."""\n    return (x + 1)  # one'),
        ("def run(x): return x", "def run(x: int) -> int: return x"),
        (f"{IMPORTED}def run(): other.double(1)",
         "from house.other import double as d\ndef run(): d(1)"),
        ("import numpy as np\ndef run(): np.ones(1)", "from numpy import ones\ndef run(): ones(1)"),
        (f"{IMPORTED}def run(): other.double(1)",
         "def run():\n    import house.other as o\n    o.double(1)"),
        ("A = 1\ndef run(): return A", "NUMBER: int = 1\ndef run(): return NUMBER"),
        ("def run(): print('house.start')", "def run(): print('house.other')"),
    ],
)  # fmt: skip
def test_code_is_the_same(tmp_path, one, two):
    assert code(tmp_path, one) == code(tmp_path, two)


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("other.double(1)", "other.halve(1)"),
        ("other.double(1)", "other.double(2)"),
        ("return other.Lost, other.Late", "return other.Late, other.Lost"),
        ("return other.SAME, other.BOTH", "return other.BOTH, other.SAME"),
        ("return 'a'", "return 'b'"),
        ("return None", "return False"),
        ("return other.double(1).real", "return other.double(1).imag"),
    ],
)
def test_code_is_another(tmp_path, one, two):
    assert code(tmp_path, f"{IMPORTED}def run(): {one}") != code(
        tmp_path, f"{IMPORTED}def run(): {two}"
    )


def test_what_is_reached_through_others_counts(tmp_path):
    start = f"{IMPORTED}def run(): other.double(1)"
    changed = OTHER.replace("FACTOR = 2", "FACTOR = 3")
    unused = OTHER.replace("x / FACTOR", "x // FACTOR")
    assert code(tmp_path, start, changed) != code(tmp_path, start)
    assert code(tmp_path, start, unused) == code(tmp_path, start)


def test_what_a_module_does_when_imported_counts(tmp_path):
    start = f"{IMPORTED}def run(): other.double(1)"
    acting = OTHER + "\nprint('at once')\n"
    asked = OTHER + "\nif __name__ == '__main__':\n    print('if run')\n"
    assert code(tmp_path, start, acting) != code(tmp_path, start)
    assert code(tmp_path, start, asked) == code(tmp_path, start)


@pytest.mark.parametrize(
    ("run", "names"),
    [
        ("def run(double): return double(1)", set()),
        ("def run(x=double(1)): return x", {"double", "FACTOR"}),
        ("@double\ndef run(double): return double", {"double", "FACTOR"}),
        ("def run(): return [double for double in ()]", set()),
        ("def run(): return [FACTOR for FACTOR in (1,)] + [FACTOR]", {"FACTOR"}),
        ("def run(x: Lost) -> Late:\n    y: FACTOR = 1\n    return y", set()),
        ("class run:\n    x: Lost\n    y: 'Late'", {"Lost"}),
        ("class run(Lost):\n    def f(self): return double", {"Lost", "double", "FACTOR"}),
        ("def run():\n    try: pass\n    except Lost as FACTOR: return FACTOR", {"Lost"}),
        ("def run():\n    def inner(): return (lambda x: FACTOR)\n    return inner", {"FACTOR"}),
        ("def run():\n    global FACTOR\n    FACTOR = 1", {"FACTOR"}),
        (
            "from house import other\ndef run(): return vars(other)",
            {"FACTOR", "SAME", "BOTH", "Lost", "Late", "double", "halve"},
        ),
    ],
)
def test_names_are_followed_by_their_scopes(tmp_path, run, names):
    start = f"from house.other import FACTOR, Lost, Late, double, halve\n{run}\n"
    assert reached(tmp_path, start) == names


def test_a_build_sees_what_its_stage_imports_and_calls(tmp_path):
    text = "def run():\n    from house import other\n    def build(): other.double(1)\n"
    found = code_key.reached(package(tmp_path, text), "start:run.build").definitions
    assert {d.name for d in found if d.name} == {"run.build", "double", "FACTOR"}
    text += "    def helper(): build()\n"
    found = code_key.reached(package(tmp_path, text), "start:run.helper").definitions
    assert {"run.helper", "run"} <= {d.name for d in found}


def test_imports_for_type_checkers_reach_nothing(tmp_path):
    text = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from house.other import Lost\n"
    assert reached(tmp_path, f"{text}def run(x: 'Lost'): return x") == set()


def test_data_is_found_by_a_suffix_or_a_name(tmp_path):
    text = "from pathlib import Path\nTABLE = Path(__file__).with_suffix('.csv')\n"
    root = package(tmp_path, f"{text}def run(): return TABLE")
    (root / "start.csv").write_text("a,b\n")
    assert code_key.reached(root, "start:run").files == {root / "start.csv"}
    root = package(tmp_path, "def run(): return open(__file__)")
    with pytest.raises(ValueError, match=r"start\.py: say the file beside it"):
        code_key.reached(root, "start:run")


def test_what_is_not_there_is_named(tmp_path):
    root = package(tmp_path, "def run(): ...")
    for start, told in (("start:walk", "'walk'"), ("start:run.build", "'build'"), ("end:a", "'a'")):
        with pytest.raises(ValueError, match=told):
            code_key.reached(root, start)


def test_the_names_of_a_statement_are_those_that_it_binds():
    tree = ast.parse("import a.b, c as d\nx, (y, z) = [w for w in v]")
    assert syntax.bound(tree.body) == {"a": "a", "d": "c", "x": None, "y": None, "z": None}

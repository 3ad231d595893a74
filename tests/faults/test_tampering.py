"""Files that were altered or cut off: made anew, or named in one clear error; never believed."""

import pytest

from tests.faults import graph, whole

pytestmark = pytest.mark.faults


def flip(file):
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 0xFF
    file.write_bytes(data)


def cut(file):
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


@pytest.mark.parametrize("tamper", [flip, cut])
def test_whatever_stages_made_is_made_anew_if_it_was_altered(lasting, undisturbed, tamper):
    lasting.forget(f"tampered-{tamper.__name__}")
    assert lasting.run(graph.demonstrate) == 0, lasting.said()
    for name in undisturbed.results:
        file = lasting.root / name
        if not name.startswith("data/encoders/") and file.stat().st_size:
            tamper(file)
    assert lasting.run(graph.demonstrate) == 0, lasting.said()
    assert whole.results(lasting.root) == undisturbed.results
    assert whole.wrongs(lasting.root) == []


@pytest.mark.parametrize("name", ["mlflow.db", "dvc.lock", "params.yaml"])
def test_a_file_that_nothing_can_make_anew_is_named(lasting, undisturbed, name):
    lasting.forget(f"cut-{name.replace('.', '-')}")
    assert lasting.run(graph.demonstrate) == 0, lasting.said()
    file = lasting.root / name
    whole_bytes = file.read_bytes()
    file.write_bytes(b"\0" * 4096)
    assert lasting.run(graph.demonstrate) == 1
    assert name in lasting.said()[-2000:]
    file.write_bytes(whole_bytes)
    assert lasting.run(graph.demonstrate) == 0, lasting.said()
    assert whole.results(lasting.root) == undisturbed.results
    assert whole.wrongs(lasting.root) == []

"""A workspace on a small disk of its own, full at first: the graph fails, and then ends whole.

`python -m tests.faults.full_disk TEMPLATE FREE_KB`, in a namespace of mounts that ends with it.
Prints the exit codes of both runs, what is wrong after the second, and its results, as JSON.
"""

import json
import multiprocessing
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.faults import graph, whole

BALLAST = "ballast"


def main(template: Path, free_kb: int) -> None:
    """Runs the graph on a disk with so much room, and again when there is more."""
    disk = Path(tempfile.mkdtemp())
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256m", "tmpfs", disk], check=True)
    root = Path(shutil.copytree(template, disk / "workspace", symlinks=True))
    free = shutil.disk_usage(disk).free - free_kb * 1024
    with (disk / BALLAST).open("wb") as ballast:
        for _ in range(free // 4096):
            ballast.write(bytes(4096))
    full = run(root)
    (disk / BALLAST).unlink()
    codes = [full, run(root)]
    sys.stderr.write((root / "said").read_text()[-6000:])
    print(json.dumps([codes, whole.wrongs(root), whole.results(root)]))  # noqa: T201


def run(root: Path) -> int | None:
    """Exit code of the graph in a process of its own."""
    process = multiprocessing.get_context("fork").Process(target=graph.demonstrate, args=(root,))
    process.start()
    process.join()
    return process.exitcode


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))

"""CPU time of `vidtag locate` for one video, against that of `import torch`, which is its floor.

Run as `python -m benchmarks.locate_start VIDEO [MODEL]` in a workspace; fails above a bar. Both are
measured with the bytecode that the environment holds, then with none, as in the first call where
nothing was compiled ahead, then with what that call kept.

Belongs here: this measurement. Does not belong here: what may be imported (tests/test_start.py).
"""

import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console

MOST_TORCHES, MOST_S = 2.0, 2.0
"""At most so many imports of torch and so many seconds, with the bytecode of the environment."""
LOCATE = "from vidtag_assets.cli import main; main()"


def main() -> int:
    """Prints a line a kind of bytecode; 1 if the bar is missed."""
    video, model = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "vidtag@champion"
    console, missed = Console(soft_wrap=True, highlight=False), False
    with tempfile.TemporaryDirectory() as folder:
        arguments = ("locate", video, "--model", model, "--out", str(Path(folder) / "tracks"))
        kept = str(Path(folder) / "bytecode")
        for name, prefix in (("as set up", ""), ("none", kept), ("kept by a call", kept)):
            torch_s = cpu_s("import torch", (), prefix if name != "none" else f"{kept} of torch")
            locate_s = cpu_s(LOCATE, arguments, prefix)
            bar_s = MOST_TORCHES * torch_s + MOST_S
            missed |= name == "as set up" and locate_s > bar_s
            console.print(
                f"bytecode {name}: locate {locate_s:.1f} s, import torch {torch_s:.1f} s, "
                f"{locate_s / torch_s:.1f} x (bar: {bar_s:.1f} s)"
            )
    return int(missed)


def cpu_s(code: str, arguments: tuple[str, ...], bytecode: str) -> float:
    """CPU seconds of Python in a process of its own that keeps bytecode under a folder, if any."""
    env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=env | {"PYTHONPYCACHEPREFIX": bytecode},
        stdout=subprocess.DEVNULL,
        check=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    sys.exit(main())

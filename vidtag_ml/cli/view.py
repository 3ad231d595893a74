"""`vidtag view`: answers of `vidtag locate` on a map, in the browser.

Belongs here: the command. Does not belong here: the page (plots/viewer), reading answers back
(models/shown.py).
"""

import sys
import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from vidtag_ml.cli.output import print_line


def view(
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="PATH...", help="Files that locate wrote, or folders of these."),
    ],
    out: Annotated[
        Path, typer.Option(help="The page, where several answers are to be on one.")
    ] = Path("out/view.html"),
) -> None:
    """Open answers on a map, beside their videos; several of them on one page.

    A page is one file that asks no network. Of one answer it is the NAME.html beside it.
    """
    from vidtag_ml.models import shown
    from vidtag_ml.plots.viewer import page

    files = shown.files(paths)
    alone = files[0].with_suffix(".html")
    opened = alone if len(files) == 1 else out
    if opened != alone or not alone.is_file():
        answers, nowhere = shown.on_map(files)
        for path in nowhere:
            sys.stderr.write(f"vidtag: passed over {path}: no position of it is known\n")
        title = answers[0].name if len(answers) == 1 else f"{len(answers)} recordings"
        page.write(opened, answers, title)
    print_line(str(opened))
    webbrowser.open(opened.resolve().as_uri())

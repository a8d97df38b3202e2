"""Makes the pictures of the README: real runs of the sample company in an empty copy,
photographed in Chromium.

    python docs/screenshots.py

Two runs that complete, with an edit in between, and one that fails; then `churn
compare`. Takes about a minute.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
from playwright.sync_api import Page, sync_playwright

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "benchmarks"))
from copies import project_copy  # noqa: E402

WIDTH, HEIGHT = 1280, 800


def main() -> None:
    """Run, and photograph."""
    with project_copy() as (root, variables), sync_playwright() as playwright:

        def run(*command: str, fails: bool = False) -> None:
            ended = subprocess.run(
                [sys.executable, *command], cwd=root, env=variables, capture_output=True, text=True
            )
            if (ended.returncode != 0) != fails:
                raise SystemExit(
                    f"{' '.join(command)} ended with {ended.returncode}:\n{ended.stderr[-3000:]}"
                )

        run("orchestrator/flow.py", "--quiet")
        edit(root / "params.yaml", "seed: 7", "seed: 8")
        run("orchestrator/flow.py", "--quiet", "--set", "model_building.spline_knots=5")
        run("-m", "orchestrator", "compare", "--last-good")
        break_preparation(root / "notebooks/03_preparation.ipynb")
        run("orchestrator/flow.py", "--quiet", fails=True)
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=["--headless", "--no-sandbox", "--disable-gpu"],
        )
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        _, good, failed = sorted((root / "outputs/runs").iterdir())
        photograph(page, root / "outputs/index.html", "front_page")
        photograph(page, good / "index.html", "run")
        photograph(page, failed / "03_preparation.html#failed-cell", "failure", height=600)
        photograph(page, next((root / "outputs/compare").iterdir()), "compare")
        photograph(page, place_of(good / "06_model_building.html", "compare-losses"), "report")
        browser.close()


def edit(path: Path, old: str, new: str) -> None:
    """Replace a text in a file."""
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def break_preparation(path: Path) -> None:
    """Let a cell need a column that is not there."""
    notebook = nbformat.read(path, as_version=4)
    cell = next(cell for cell in notebook.cells if cell.id == "plot-coverage")
    cell.source += "\ncustomers['MonthlyCharge'].describe()"
    nbformat.write(notebook, path)


def place_of(report: Path, cell_id: str) -> str:
    """Return the address of a cell in a report."""
    cells = nbformat.read(report.with_suffix(".ipynb"), as_version=4).cells
    code = [cell.id for cell in cells if cell.cell_type == "code"]
    return f"{report}#cell-{code.index(cell_id) + 1}"


def photograph(page: Page, target: str | Path, name: str, height: int = HEIGHT) -> None:
    """Open a page, at a place in it where one is named, and keep what a window of it shows."""
    page.set_viewport_size({"width": WIDTH, "height": height})
    path, _, anchor = str(target).partition("#")
    page.goto(Path(path).as_uri() + (f"#{anchor}" if anchor else ""))
    page.wait_for_timeout(300)
    page.screenshot(path=HERE / f"{name}.png")


if __name__ == "__main__":
    main()

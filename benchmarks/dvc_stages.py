"""The six notebooks as stages of DVC, each executed by Papermill: what
`benchmarks/rerun.py` compares with.

    python benchmarks/dvc_stages.py NOTEBOOK EXECUTED

As a program this file is the stage `versioning`. A pipeline of DVC versions its outputs
itself, and DVC refuses two owners of a folder: what `dvc.yaml` writes cannot have a
pointer `data/<name>.dvc` too. So the notebook works on a DVC project of its own,
`versions/` beside the project, into which the datasets are copied first;
`versions.txt`, the pointers one after the other, is the stage's output, on which model
building depends.
"""

from __future__ import annotations

import configparser
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

DATASETS = ("raw", "validated", "prepared", "features")
# Beside the project: DVC does not let one project lie in another unnoticed.
VERSIONS = Path("..", "versions")
POINTERS = "versions.txt"
# Beside params.yaml DVC would read that as its own, and refuse the date in it.
STAGES = "pipeline/dvc.yaml"
TOUCHED = {  # stage -> what it reads and writes, beside its notebook, the modules and params.yaml
    "01_ingestion": ([], ["data/raw"]),
    "02_validation": (["data/raw"], ["data/validated"]),
    "03_preparation": (["data/validated"], ["data/prepared"]),
    "04_transformation": (["data/prepared"], ["data/features"]),
    "05_versioning": ([f"data/{name}" for name in DATASETS], [POINTERS]),
    "06_model_building": (["data/features", POINTERS], []),
}


def write_stages(root: Path) -> None:
    """Make a copy of the project a pipeline of DVC: write its stages, and let DVC work
    without git.
    """
    (root / "executed").mkdir()
    _work_without_git(root / ".dvc" / "config")
    (root / VERSIONS / ".dvc").mkdir(parents=True)
    shutil.copy(root / ".dvc" / "config", root / VERSIONS / ".dvc")
    modules = [path.relative_to(root).as_posix() for path in sorted(root.glob("churn/**/*.py"))]
    stages: dict[str, Any] = {}
    for name, (reads, writes) in TOUCHED.items():
        read = [f"notebooks/{name}.ipynb", "params.yaml", *modules, *reads]
        written = [f"executed/{name}.ipynb", *writes]
        stages[name] = {"wdir": "..", "cmd": _command(name), "deps": read, "outs": written}
    (root / STAGES).parent.mkdir()
    with (root / STAGES).open("w", encoding="utf-8") as file:
        YAML().dump({"stages": stages}, file)


def _work_without_git(config: Path) -> None:
    settings = configparser.ConfigParser(interpolation=None)
    settings.read(config, encoding="utf-8")
    settings["core"]["no_scm"] = "true"
    with config.open("w", encoding="utf-8") as file:
        settings.write(file)


def _command(name: str) -> str:
    notebook, executed = f"notebooks/{name}.ipynb", f"executed/{name}.ipynb"
    if name == "05_versioning":
        return f'"{sys.executable}" benchmarks/dvc_stages.py {notebook} {executed}'
    command = " ".join([f'"{sys.executable}"', *_papermill(notebook, executed)])
    return (
        f"{command} -p pointers_dir {_seen_by_notebook()}"
        if name == "06_model_building"
        else command
    )


def _papermill(notebook: str, executed: str) -> list[str]:
    return ["-m", "papermill", notebook, executed, "--cwd", "notebooks", "--no-progress-bar"]


def _seen_by_notebook() -> str:
    return Path("..", VERSIONS, "data").as_posix()


def main() -> None:
    """Be the stage `versioning`, with the root of the project as working directory."""
    data = VERSIONS / "data"
    for name in DATASETS:
        shutil.rmtree(data / name, ignore_errors=True)
        shutil.copytree(Path("data", name), data / name)
    notebook, executed = sys.argv[1:]
    command = [
        sys.executable,
        *_papermill(notebook, executed),
        "-p",
        "data_dir",
        _seen_by_notebook(),
    ]
    subprocess.run(command, check=True)
    pointers = [(data / f"{name}.dvc").read_text(encoding="utf-8") for name in DATASETS]
    Path(POINTERS).write_text("".join(pointers), encoding="utf-8")


if __name__ == "__main__":
    main()

"""Leaves the photos of the demo shop that only training uses, 14 MB, out of the wheel; see also pyproject.toml."""

import csv
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithoutTrainingPhotos(build_py):
    """Copies packages and their data."""

    def find_data_files(self, package: str, src_dir: str) -> list[str]:
        """Return the data files of a package."""
        files: list[str] = super().find_data_files(package, src_dir)
        if package != "catalog":
            return files
        with Path("catalog/demo/shop/photos.csv").open(encoding="utf8", newline="") as rows:
            training = {row["photo"] for row in csv.DictReader(rows) if row["split"] == "train"}
        return [file for file in files if Path(file).parent.name != "photos" or Path(file).name not in training]


setup(cmdclass={"build_py": BuildWithoutTrainingPhotos})

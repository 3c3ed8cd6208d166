"""Map the top-level folders to the sub-packages of ``ninefold``, so that a new package needs no edit here."""

from setuptools import find_packages, setup

FOLDERS = ("spec", "numerics", "hdl", "drivers", "host", "sim", "bitstreams")
DATA = ("py.typed", "*.cl", "*.cpp", "*.h", "*.html", "*.json", "*.txt")

packages = [f"ninefold.{name}" for name in find_packages(include=[p for f in FOLDERS for p in (f, f"{f}.*")])]

setup(
    packages=packages,
    package_dir={f"ninefold.{folder}": folder for folder in FOLDERS},
    package_data={"": list(DATA), "ninefold.bitstreams": ["*/*.json"]},
)

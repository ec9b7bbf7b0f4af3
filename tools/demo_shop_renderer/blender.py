"""The one door to Blender, which is loaded when it is first used: the shop's plain data can be had without it."""

import importlib
from typing import Any


def __getattr__(name: str) -> Any:
    """Return `bpy` or `mathutils`, loading it at first."""
    if name not in ("bpy", "mathutils"):
        raise AttributeError(name)
    try:
        importlib.import_module("bpy")  # it brings mathutils with it
    except ModuleNotFoundError as error:
        needs = "install what tools/demo_shop_renderer/requirements.txt names, under Python 3.11"
        raise ImportError(f"Rendering needs Blender as a Python module, but there is none here; {needs}.") from error
    module = importlib.import_module(name)
    globals()[name] = module
    return module

"""Bring what a bare machine with a GPU lacks: download wheels where there is a package index, unpack them there.

FAISS for GPUs contains machine code for seven kinds of card. All but one are overwritten with zeros, which compress to
nothing: 135 MB become 20. Its CUDA 12 runtime travels along; cuBLAS (580 MB) must come from PyTorch on the machine.
"""

import ctypes
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from zipfile import ZIP_LZMA, ZipFile

CHECKOUT = Path(__file__).parents[2]
FAISS = "faiss-gpu==1.15.1"
CUDA_RUNTIME = "nvidia-cuda-runtime-cu12==12.9.79"
PACKAGES = (
    *("keras", "namex", "optree"),
    *("pydantic", "pydantic-core", "annotated-types", "typing-inspection", "typing-extensions"),
)
"""What a machine with PyTorch and JAX lacks; in the versions of this environment."""

NEEDED = ("vsearch/**/*.py", "vsearch/models/bundled/ensemble/*.weights.npz", "tools/gpu_check/*.py")
"""The files of the checkout that a run reads."""

MIB = 2**20
_MAGIC = b"\x50\xed\x55\xba"
_MACHINE_CODE = 2  # the kind of an entry; 1 is PTX
_CUBLAS = "12"  # the major version that the wheel was built for


def prepare(folder: Path, card: int, limit: int) -> None:
    """Download the wheels for Python 3.12 on Linux x86-64; leave FAISS out if all exceeds `limit` MiB.

    Raises:
        ValueError: FAISS has no machine code for the card.
        CalledProcessError: pip failed.
    """
    _download(folder, *(f"{name}=={version(name)}" for name in PACKAGES))
    raw = folder / "raw"
    _download(raw, FAISS, CUDA_RUNTIME)
    slimmed = []
    for wheel in sorted(raw.glob("*.whl")):
        slimmed.append(slim(wheel, folder / f"{wheel.name.split('-')[0]}-sm{card}.whl", card))
        wheel.unlink()
    raw.rmdir()
    checkout = sum(file.stat().st_size for pattern in NEEDED for file in CHECKOUT.glob(pattern)) / MIB
    total = checkout + sum(file.stat().st_size for file in folder.iterdir()) / MIB
    if total > limit:
        for wheel in slimmed:
            wheel.unlink()
        print(f"FAISS is left out: with it, {total:.1f} MiB would travel, and {limit} may.")
    for file in sorted(folder.iterdir()):
        print(f"{file.stat().st_size / MIB:6.1f} MiB  {file.name}")
    print(f"{checkout:6.1f} MiB  of the checkout: {', '.join(NEEDED)}")


def _download(folder: Path, *packages: str) -> None:
    platforms = [f"--platform=manylinux{tag}_x86_64" for tag in ("_2_28", "_2_27", "_2_17", "2014")]
    target = ["--no-deps", "--only-binary=:all:", "--python-version=3.12", *platforms, f"--dest={folder}"]
    subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", *target, *packages], check=True)


def slim(wheel: Path, target: Path, card: int) -> Path:
    """Copy a wheel with the machine code of one card only, of the CUDA runtime only the library itself."""
    with ZipFile(wheel) as source, ZipFile(target, "w", ZIP_LZMA) as copy:
        for name in source.namelist():
            if name.endswith("/libfaiss.so"):
                copy.writestr(name, only_for(source.read(name), card))
            elif _is_needed(name):
                copy.writestr(name, source.read(name))
    return target


def _is_needed(name: str) -> bool:
    """Return whether a file of a wheel is copied. With the marker, FAISS would look for all CUDA packages."""
    if name.startswith("nvidia/"):
        return name.endswith("/libcudart.so.12")
    return not name.startswith("faiss/contrib/") and name != "faiss/_gpu_build.py"


def only_for(library: bytes, card: int) -> bytes:
    """Return a library whose GPU code for other cards than compute capability `card` (90 is 9.0) is zeros.

    Raises:
        ValueError: there is none for this card.
    """
    slimmed, cards = bytearray(library), set()
    for kind, architecture, start, end in _gpu_code(library):
        if kind == _MACHINE_CODE:
            cards.add(architecture)
        if (kind, architecture) != (_MACHINE_CODE, card):
            slimmed[start:end] = bytes(end - start)
    if card not in cards:
        raise ValueError(f"FAISS has machine code for the cards {sorted(cards)}, not for {card}.")
    return bytes(slimmed)


def _gpu_code(library: bytes) -> Iterator[tuple[int, int, int, int]]:
    """Yield kind, architecture, start and end of each piece of GPU code, in the containers that nvcc writes."""
    at = library.find(_MAGIC)
    while at >= 0:
        layout, header, size = struct.unpack_from("<HHQ", library, at + 4)
        entry, end = at + header, at + header + size
        if (layout, header) != (1, 16):  # the same bytes by chance
            entry = end = at + len(_MAGIC)
        while entry < end:
            kind, _, head, length = struct.unpack_from("<HHIQ", library, entry)
            (architecture,) = struct.unpack_from("<I", library, entry + 28)
            yield kind, architecture, entry + head, entry + head + length
            entry += head + length
        at = library.find(_MAGIC, end)


def unpack(folder: Path, target: Path) -> None:
    """Unpack all wheels of a folder, for use on sys.path."""
    for wheel in sorted(folder.glob("*.whl")):
        with ZipFile(wheel) as files:
            files.extractall(target)


def ready_faiss() -> str:
    """Make an unpacked FAISS importable, with the cuBLAS that PyTorch loads; return a note on what was changed.

    Raises:
        OSError: the CUDA runtime, or cuBLAS, is missing.
    """
    spec = find_spec("faiss")
    package = Path(spec.origin).parent if spec and spec.origin else Path()
    runtime = package.parent / "nvidia/cuda_runtime/lib/libcudart.so.12"
    if not runtime.is_file():
        return ""  # FAISS was installed, not unpacked
    ctypes.CDLL(str(runtime), mode=ctypes.RTLD_GLOBAL)
    with suppress(ImportError):
        import torch  # noqa: F401  # loads cuBLAS
    _, found, rest = Path("/proc/self/maps").read_text().partition("/libcublas.so.")
    major = rest[:2]
    if not found:
        raise OSError("cuBLAS is missing: neither PyTorch nor anything else has loaded libcublas.so")
    if major == _CUBLAS:
        return ""
    library = package / "libfaiss.so"
    published = library.read_bytes()
    if (changed := use_cublas(published, major)) != published:  # else it may be loaded already
        library.write_bytes(changed)
    return f"FAISS was built for cuBLAS {_CUBLAS} and uses {major} here"


def use_cublas(library: bytes, major: str) -> bytes:
    """Return FAISS's library, built for cuBLAS 12, with the name and symbol version of another one.

    The eight functions that FAISS calls are the same in both. Names have the same length, so nothing moves. A library
    already changed is returned as it is.
    """
    for name in (f"libcublas.so.{_CUBLAS}", f"libcublasLt.so.{_CUBLAS}"):
        new = f"{name[: -len(_CUBLAS)]}{major}"
        for old_bytes, new_bytes in (
            (b"\0%s\0" % name.encode(), b"\0%s\0" % new.encode()),
            (struct.pack("<I", _elf_hash(name)), struct.pack("<I", _elf_hash(new))),
        ):
            if library.count(old_bytes) > 1:
                raise OSError(f"{name} occurs more than once in FAISS's library")
            library = library.replace(old_bytes, new_bytes)
    return library


def _elf_hash(name: str) -> int:
    """Return the hash by which an ELF file refers to a symbol version."""
    value = 0
    for letter in name.encode():
        value = (value << 4) + letter
        high = value & 0xF0000000
        value = (value ^ (high >> 24)) & ~high
    return value

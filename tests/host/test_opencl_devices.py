"""OpenCL: finding and naming devices, registering drivers with the loader, caching binaries."""

import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ninefold.host.backends.opencl import OpenCl, icd, platforms, programs
from ninefold.host.backends.opencl.failures import guarded
from ninefold.host.backends.opencl.platforms import DeviceEntry, choose
from ninefold.spec.errors import DeviceError, InputError, LostDeviceError, UnavailableError
from ninefold.spec.operators import OPERATORS
from ninefold.spec.protocols import HOST, Backend, Device, Found, Missing


def entry(index: int, kind: str, device: str, platform: str, vendor: str = "") -> DeviceEntry:
    made: Any = SimpleNamespace(
        name=device,
        vendor=vendor,
        driver_version="1.2",
        max_compute_units=8,
        global_mem_size=3 << 30,
        platform=SimpleNamespace(name=platform, vendor=vendor, version=f"OpenCL 3.0 {platform}"),
    )
    return DeviceEntry(index, kind, made)


THREE = [
    entry(0, "gpu", "H200", "NVIDIA CUDA", "NVIDIA Corporation"),
    entry(1, "gpu", "Arc", "Intel(R) OpenCL Graphics", "Intel(R) Corporation"),
    entry(2, "cpu", "EPYC", "Intel(R) OpenCL", "Intel(R) Corporation"),
]


@pytest.mark.parametrize(
    ("instance", "index"), [("", 0), ("0", 0), ("2", 2), ("nvidia", 0), ("GRAPHICS", 1), ("epyc", 2), ("arc", 1)]
)
def test_a_device_is_named_by_number_or_part_of_a_name(instance: str, index: int) -> None:
    assert choose(THREE, instance).index == index


def test_an_ambiguous_name_is_refused_with_what_it_may_mean() -> None:
    with pytest.raises(InputError, match=r"^opencl:intel names 2 devices; use a number: opencl:\d is .*; "):
        choose(THREE, "intel")


@pytest.mark.parametrize(
    ("instance", "said"),
    [
        ("amd", "opencl:amd is not an OpenCL device"),
        ("7", "opencl:7 is no"),
    ],
)
def test_an_unknown_name_is_refused_with_what_there_is(instance: str, said: str) -> None:
    with pytest.raises(UnavailableError) as refused:
        choose(THREE, instance)
    text = str(refused.value)
    assert text.startswith(said)
    assert "opencl:0 is H200 (gpu; NVIDIA CUDA, driver 1.2; 8 compute units, 3.0 GiB); opencl:1 is Arc" in text


def test_units() -> None:
    card: Any = SimpleNamespace(
        pci_bus_info_khr=SimpleNamespace(pci_domain=0, pci_bus=0x3B, pci_device=0, pci_function=1)
    )
    assert DeviceEntry(0, "gpu", card).unit == "pci:0000:3b:00.1"
    older: Any = SimpleNamespace(pci_bus_id_nv=59, pci_slot_id_nv=8)
    assert DeviceEntry(0, "gpu", older).unit == "pci:0000:3b:01.0"
    assert DeviceEntry(0, "gpu", SimpleNamespace()).unit == ""  # type: ignore[arg-type]
    assert THREE[2].unit == HOST


def test_devices_come_in_a_fixed_order_whatever_the_loader_says(monkeypatch: pytest.MonkeyPatch) -> None:
    import pyopencl as cl

    types = {"A": cl.device_type.CPU, "B": cl.device_type.ACCELERATOR, "C": cl.device_type.GPU}
    listed = [
        (p, SimpleNamespace(type=types[d[0]], name=d)) for p, d in [("z", "A1"), ("m", "C1"), ("b", "A2"), ("z", "B1")]
    ]
    for order in (listed, listed[::-1]):
        monkeypatch.setattr(platforms, "_list", lambda order=order: order)
        found = platforms.entries()
        assert [(e.index, e.kind, e.device.name) for e in found] == [
            (0, "gpu", "C1"),
            (1, "npu", "B1"),
            (2, "cpu", "A2"),
            (3, "cpu", "A1"),
        ]


def test_probe_and_open() -> None:
    backend = OpenCl()
    assert isinstance(backend, Backend)
    found = backend.probe()
    assert all(isinstance(item, Found) for item in found)
    assert [item.device for item in found] == [f"opencl:{i}" for i in range(len(found))]
    assert any(item.kind == "cpu" and item.unit == HOST for item in found if isinstance(item, Found))
    for instance, name in (("", "opencl"), ("0", "opencl:0")):
        device = backend.open(instance)
        assert isinstance(device, Device)
        assert device.name == name
        device.close()
    with pytest.raises(InputError, match="family must be one of vector, group, not 'scalar'"):
        OpenCl("scalar")


def test_probe_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platforms.importlib.util, "find_spec", lambda _: None)
    (missing,) = OpenCl().probe()
    assert missing == Missing("opencl", "pyopencl is not installed", "pip install 'ninefold[opencl]'")
    with pytest.raises(UnavailableError, match="pyopencl is not installed"):
        OpenCl().open()


def test_probe_leaves_a_stuck_driver_behind_and_reports_a_failing_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platforms, "_PATIENCE_S", 0.05)
    monkeypatch.setattr(platforms, "_list", lambda: time.sleep(1))
    (missing,) = OpenCl().probe()
    assert isinstance(missing, Missing)
    assert missing.reason == "the OpenCL drivers did not answer within 0.05 s"
    monkeypatch.setattr(platforms, "_PATIENCE_S", 5.0)
    monkeypatch.setattr(platforms, "_list", lambda: 1 / 0)
    (missing,) = OpenCl().probe()
    assert isinstance(missing, Missing)
    assert missing.reason == "pyopencl failed while listing devices: division by zero"
    monkeypatch.setattr(platforms, "_list", lambda: [("p", object())])
    (missing,) = OpenCl().probe()
    assert isinstance(missing, Missing)


_PROBE = "from ninefold.host.backends.opencl import OpenCl; print(OpenCl().probe())"


def probe_elsewhere(**environment: str) -> "subprocess.Popen[str]":
    settings = {**os.environ, **environment}
    return subprocess.Popen([sys.executable, "-c", _PROBE], env=settings, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("named", ["{}/", "", "/nonexistent"])
def test_a_setting_that_hides_the_runtimes_is_named(named: str, tmp_path: Path) -> None:
    value = named.format(tmp_path)
    said = probe_elsewhere(**{icd.VENDORS: value}).communicate()[0]
    assert "no OpenCL platform: libOpenCL loaded, 0 platforms; Intel's runtime" in said
    assert f"OCL_ICD_VENDORS is set to {value!r}, which hides all runtimes that it does not name" in said
    assert "unset OCL_ICD_VENDORS, or set it to a folder of .icd files" in said
    assert "pip install" not in said


def test_several_processes_write_the_loaders_folder_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(icd.VENDORS, raising=False)
    for process in [probe_elsewhere(NINEFOLD_CACHE=str(tmp_path)) for _ in range(3)]:
        assert "Found(device='opencl:0'" in process.communicate()[0]
    (folder,) = (tmp_path / "opencl-icd").iterdir()
    names = [path.name for path in folder.iterdir()]
    assert "ninefold-intel.icd" in names
    assert all(name.endswith(".icd") for name in names)


def test_the_loaders_folder_names_the_systems_drivers_and_intels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = tmp_path / "vendors"
    system.mkdir()
    (system / "nvidia.icd").write_text("libnvidia-opencl.so.1\n")
    (system / "broken.icd").write_bytes(b"\xff\xfe")
    (system / "readme").write_text("no driver")
    monkeypatch.setenv("NINEFOLD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("OPENCL_VENDOR_PATH", str(system))
    monkeypatch.delenv(icd.VENDORS, raising=False)
    wanted = {"nvidia.icd": "libnvidia-opencl.so.1\n", "ninefold-intel.icd": f"{icd.intel_library()}\n"}
    with icd.drivers():
        assert os.environ[icd.VENDORS].endswith("/")
        folder = Path(os.environ[icd.VENDORS])
        assert {path.name: path.read_text() for path in folder.iterdir()} == wanted
    assert icd.VENDORS not in os.environ

    # A damaged entry is rewritten in the same folder.
    (folder / "nvidia.icd").write_text("garbage")
    (folder / "ninefold-intel.icd").unlink()
    with icd.drivers():
        assert Path(os.environ[icd.VENDORS]) == folder
        assert {path.name: path.read_text() for path in folder.iterdir()} == wanted


@pytest.mark.parametrize("case", ["the user's own folder", "no Intel runtime", "Intel's is the system's already"])
def test_the_loaders_setting_is_left_alone(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NINEFOLD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("OPENCL_VENDOR_PATH", str(tmp_path))
    monkeypatch.delenv(icd.VENDORS, raising=False)
    if case == "the user's own folder":
        monkeypatch.setenv(icd.VENDORS, "/somewhere")
    elif case == "no Intel runtime":
        monkeypatch.setattr(icd, "intel_library", lambda: None)
    else:
        (tmp_path / "intel.icd").write_text("/opt/intel/lib/libintelocl.so\n")
    before = os.environ.get(icd.VENDORS)
    with icd.drivers():
        assert os.environ.get(icd.VENDORS) == before
    assert os.environ.get(icd.VENDORS) == before
    assert not (tmp_path / "cache").exists()


def test_a_runtime_that_does_not_load_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "libintelocl.so"
    broken.write_text("no library")
    monkeypatch.setattr(platforms, "intel_library", lambda: broken)
    assert platforms._broken_runtime().startswith("; Intel's runtime does not load: ")
    monkeypatch.setattr(platforms, "intel_library", lambda: None)
    assert platforms._broken_runtime() == ""


def quantise_once() -> Any:
    device = OpenCl().open()
    answer = device.run(OPERATORS["quantise"].bind({"x": np.array([-1.0, 0.1, 9.0])}, {"scale": 1.0}))
    assert answer.values["nits"].tolist() == [-3, 0, 4]
    device.close()
    return answer


def test_binaries_are_kept_and_rebuilt_when_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NINEFOLD_CACHE", str(tmp_path))
    compiled: list[str] = []
    compile_source = programs._compile

    def counting(context: Any, text: str, options: tuple[str, ...]) -> Any:
        compiled.append(text)
        return compile_source(context, text, options)

    monkeypatch.setattr(programs, "_compile", counting)
    assert quantise_once().metrics["build_seconds"] > 0
    quantise_once()
    assert len(compiled) == 1
    (binary,) = (tmp_path / "opencl").glob("*/program.bin")
    content = binary.read_bytes()
    for number, damage in enumerate((content[:-1], b""), start=2):
        binary.write_bytes(damage)
        quantise_once()
        assert len(compiled) == number
        assert binary.stat().st_size > 1
        quantise_once()
        assert len(compiled) == number
    binary.unlink()
    quantise_once()
    assert len(compiled) == 4
    assert [path.name for path in binary.parent.iterdir() if path.name.startswith(".damaged")] == []


def test_a_binary_that_the_driver_refuses_is_built_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NINEFOLD_CACHE", str(tmp_path))
    quantise_once()
    (binary,) = (tmp_path / "opencl").glob("*/program.bin")
    binary.write_bytes(b"of another driver")
    (binary.parent / "program.sha256").write_text(hashlib.sha256(b"of another driver").hexdigest())
    quantise_once()
    assert binary.read_bytes() != b"of another driver"


def test_a_binary_is_named_by_source_options_and_driver() -> None:
    device = OpenCl().open()
    key = programs.key(device.entry, "text", ("-D A",))
    assert key == programs.key(device.entry, "text", ("-D A",))
    other = [
        programs.key(device.entry, "text ", ("-D A",)),
        programs.key(device.entry, "text", ("-D B",)),
        programs.key(DeviceEntry(0, "gpu", device.entry.device), "text", ("-D A",)),
    ]
    assert len({key, *other}) == 4


def test_what_pyopencl_raises_becomes_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pyopencl as cl
    from pyopencl import _cl

    monkeypatch.setenv("NINEFOLD_CACHE", str(tmp_path))
    for code, kind in ((-5, DeviceError), (-2, LostDeviceError), (-36, LostDeviceError)):
        with (
            pytest.raises(DeviceError, match="opencl:1 failed while running mine: clFinish") as raised,
            guarded("opencl:1", "running mine"),
        ):
            raise cl.RuntimeError(_cl._ErrorRecord("clFinish failed: X", code, "clFinish"))
        assert type(raised.value) is kind
    device = OpenCl().open()
    monkeypatch.setattr(programs, "source", lambda _: "__kernel void quantise() { nonsense; }")
    with pytest.raises(DeviceError, match=r"building quantise.cl: clBuildProgram failed.*error: .*nonsense") as raised:
        device.run(OPERATORS["quantise"].bind({"x": np.ones(3)}, {"scale": 1.0}))
    assert "\n" not in str(raised.value)


def test_a_device_that_does_not_open_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    import pyopencl as cl
    from pyopencl import _cl

    def refuse(devices: Any) -> Any:
        raise cl.RuntimeError(_cl._ErrorRecord("clCreateContext failed: DEVICE_NOT_AVAILABLE", -2, "clCreateContext"))

    monkeypatch.setattr(cl, "Context", refuse)
    with pytest.raises(UnavailableError, match=r"opencl failed while opening .*DEVICE_NOT_AVAILABLE; check"):
        OpenCl().open()

"""Runtimes that share libraries work in one process."""

import subprocess
import sys


def test_intels_runtime_is_there_after_openvino() -> None:
    # A process of its own: which libraries a process holds is decided once.
    script = (
        "from ninefold.host.embedding.weights import needed\n"
        "from ninefold.spec.registry import backend\n"
        "needed('openvino').Core().get_property('CPU', 'FULL_DEVICE_NAME')\n"
        "print(*(entry.device for entry in backend('openvino').probe()))\n"
        "print(*(getattr(entry, 'description', '') for entry in backend('opencl').probe()))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    first, second = done.stdout.splitlines()
    assert "openvino:CPU" in first
    assert "Intel(R) OpenCL" in second


def test_an_interrupt_after_a_core_is_freed_by_another_thread() -> None:
    # Python handles signals on the alternate stack if there is one, as with faulthandler.
    script = (
        "import faulthandler, os, signal, threading\n"
        "from ninefold.host.openvino_runtime import new_core\n"
        "faulthandler.enable()\n"
        "held = [new_core()]\n"
        "freed = threading.Thread(target=held.clear)\n"
        "freed.start()\n"
        "freed.join()\n"
        "try:\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "except KeyboardInterrupt:\n"
        "    print('interrupted')\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "interrupted\n"), done.stderr


def test_openvino_reports_nothing_to_its_makers() -> None:
    script = (
        "import sys, urllib.request\n"
        "def refuse(*a, **k): raise SystemExit(f'network: {a}')\n"
        "urllib.request.urlopen = refuse\n"
        "from ninefold.host.embedding.weights import needed\n"
        "needed('openvino').Core()\n"
        "print(sys.modules['openvino_telemetry'])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "None\n"

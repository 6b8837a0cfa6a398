from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.audio.test_decode import tone, wav_file

CODE = """
import resource, signal, sys
from pathlib import Path
from mediapipe.audio.requests import ProbeRequest
from mediapipe.audio.worker import probe_in_worker
light = {"numpy", "av", "mutagen"} & sys.modules.keys()
facts = probe_in_worker(ProbeRequest(Path(sys.argv[1])), 200 * 2**20)
again = probe_in_worker(ProbeRequest(Path(sys.argv[1])), 300 * 2**20)
print(light, facts == again, facts.seconds, resource.getrlimit(resource.RLIMIT_DATA)[0],
      resource.getrlimit(resource.RLIMIT_CORE)[0], signal.getsignal(signal.SIGINT) is signal.SIG_IGN)
"""


def run(code: str, *args: object) -> str:
    ended = subprocess.run([sys.executable, "-c", code, *map(str, args)], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_a_worker_bounds_itself_once_and_the_parent_pays_for_none_of_its_imports(tmp_path: Path) -> None:
    said = run(CODE, wav_file(tmp_path, tone(1)))
    assert said.split() == ["set()", "True", "1.0", str(200 * 2**20), "0", "True"]


def test_what_does_not_fit_into_a_worker_s_memory_is_one_file_s_failure(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from mediapipe.audio import probe, worker
from mediapipe.audio.requests import ProbeRequest
from mediapipe.errors import Failed
def greedy(request): return bytearray(400 * 2**20)
probe.probe = greedy
try:
    worker.probe_in_worker(ProbeRequest(Path("x")), 300 * 2**20)
except Failed as failed:
    print(failed.code)
"""
    assert run(code).split() == ["memory_limit"]

"""The sandbox: an embedded server that behaves like the Convirza platform, with sample calls and their sound.

``running()`` serves one beside a test or a demo, ``serve()`` is the foreground server. It is a loopback tool:
its credentials are published and its own endpoints ask for none.
"""

from mediapipe.sandbox.app import create_app
from mediapipe.sandbox.calls import Call, Recording
from mediapipe.sandbox.config import SandboxConfig
from mediapipe.sandbox.faults import FAULTS
from mediapipe.sandbox.scenario import FaultRule, load_scenario
from mediapipe.sandbox.server import RunningSandbox, running, serve
from mediapipe.sandbox.state import SandboxState, Upload
from mediapipe.sandbox.stats import Endpoint, Stats

__all__ = [
    "FAULTS",
    "Call",
    "Endpoint",
    "FaultRule",
    "Recording",
    "RunningSandbox",
    "SandboxConfig",
    "SandboxState",
    "Stats",
    "Upload",
    "create_app",
    "load_scenario",
    "running",
    "serve",
]

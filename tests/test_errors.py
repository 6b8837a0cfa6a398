import inspect
import pickle

import pytest

from mediapipe import errors
from mediapipe.errors import EXIT_CODE_MEANINGS, ExitCode, Fatal, ItemError, MediapipeError, Transient

TREE = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, MediapipeError)]


@pytest.mark.parametrize("kind", TREE)
def test_the_docstring_is_the_default_message(kind):
    assert kind().message == inspect.getdoc(kind).splitlines()[0]
    assert str(kind("what happened", hint="do this")) == "what happened (do this)"


@pytest.mark.parametrize("kind", TREE)
def test_every_error_has_a_code_and_stands_in_the_drawing(kind):
    assert kind.code.replace("_", "").isalpha()
    assert kind.code.islower()
    if kind not in (MediapipeError, errors.Throttled):
        assert kind.__name__ in errors.__doc__


def test_codes_tell_siblings_apart():
    leaves = [kind for kind in TREE if not kind.__subclasses__()]
    assert len({kind.code for kind in leaves}) == len(leaves)


def test_code_and_hint_of_one_error_leave_the_class_alone():
    assert errors.Failed("x", code="checksum", hint="look").code == "checksum"
    assert (errors.Failed.code, errors.Failed.hint) == ("failed", "")


@pytest.mark.parametrize("kind", TREE)
def test_an_error_is_fatal_an_items_or_passing_never_two(kind):
    if kind is not MediapipeError:
        assert sum(issubclass(kind, branch) for branch in (Fatal, ItemError, Transient)) == 1


def test_a_passing_fault_may_name_a_time():
    assert Transient().retry_after is None
    assert errors.Throttled("slow down", retry_after=2.5).retry_after == 2.5


PUBLISHED = {
    0: "everything done, skipped, pending or absent",
    1: "unexpected error (a bug)",
    2: "usage or configuration",
    3: "finished; some items rejected or failed",
    4: "credentials or permission",
    5: "finished; some items uncertain, or completeness not proven",
    6: "verification found damage",
    10: "--exit-code: there is something to do, or something drifted",
    130: "interrupted; state is safe, run again to resume",
}


def test_exit_codes_are_the_published_ones():
    assert {int(code): meaning for code, meaning in EXIT_CODE_MEANINGS.items()} == PUBLISHED
    assert set(ExitCode) == set(EXIT_CODE_MEANINGS)


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (Fatal, 1),
        (errors.UsageError, 2),
        (errors.UnsafeDestination, 2),
        (errors.CredentialsError, 4),
        (errors.PlatformDown, 5),
        (errors.LedgerUnavailable, 1),
        (errors.DiskFull, 5),
    ],
)
def test_what_stops_a_run_says_its_exit_code(kind, code):
    assert kind().exit_code == code


@pytest.mark.parametrize("kind", TREE)
def test_errors_come_back_from_worker_processes(kind):
    error = pickle.loads(pickle.dumps(kind("what", code="why", hint="cure")))  # noqa: S301
    assert (type(error), error.message, error.code, error.hint) == (kind, "what", "why", "cure")

"""Where rendering profiles are found, and what is said of one that is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from mediapipe.errors import UsageError
from mediapipe.renderings import FOLDER, RenderingProfiles


@pytest.fixture
def own(tmp_path: Path) -> Path:
    folder = tmp_path / "config" / "profiles" / FOLDER
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def profiles(tmp_path: Path, own: Path) -> RenderingProfiles:
    beside = tmp_path / "manifests"
    beside.mkdir()
    return RenderingProfiles(beside, {"MEDIAPIPE_CONFIG_DIR": str(tmp_path / "config")})


def test_what_is_shipped_is_there(profiles: RenderingProfiles) -> None:
    assert profiles.find("telephony").recipe_hash


def test_one_s_own_wins(profiles: RenderingProfiles, own: Path) -> None:
    shipped = profiles.find("telephony").recipe_hash
    again = RenderingProfiles(own, {"MEDIAPIPE_CONFIG_DIR": str(own.parents[1])})
    (own / "telephony.toml").write_text("no_such_key = 1", "utf-8")
    with pytest.raises(UsageError, match="no_such_key"):
        again.find("telephony")
    assert profiles.find("telephony").recipe_hash == shipped, "a run has one recipe, whatever happens"


def test_a_path_starts_at_the_manifest(profiles: RenderingProfiles, tmp_path: Path) -> None:
    (tmp_path / "manifests" / "sub").mkdir()
    (tmp_path / "manifests" / "sub" / "mine.toml").write_text("\ufeff", "utf-8")
    assert profiles.find("sub/mine.toml") == profiles.find("./sub/mine.toml")
    with pytest.raises(UsageError, match="no such file below"):
        profiles.find("mine.toml")


def test_a_path_may_not_leave_the_manifest_s_folder(profiles: RenderingProfiles, tmp_path: Path) -> None:
    beside = tmp_path / "manifests"
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "x.toml").write_text("", "utf-8")
    (tmp_path / "manifests-too").mkdir()
    (tmp_path / "manifests-too" / "x.toml").write_text("", "utf-8")
    (beside / "linked.toml").symlink_to(tmp_path / "outside" / "x.toml")
    (beside / "away").symlink_to(tmp_path / "outside")
    for name in (
        "../outside/x.toml",
        "../manifests-too/x.toml",
        "../outside/none.toml",
        str(tmp_path / "outside" / "x.toml"),
        "linked.toml",
        "away/x.toml",
        "~/x.toml",
    ):
        with pytest.raises(UsageError, match=r"is not below .*manifests \(") as caught:
            profiles.find(name)
        assert "user's own folder" in caught.value.hint
    (beside / "x.toml").write_text("", "utf-8")
    (beside / "inside.toml").symlink_to("x.toml")
    for name in ("./x.toml", "../manifests/x.toml", "inside.toml", str(beside / "x.toml")):
        assert profiles.find(name).recipe_hash


def test_a_manifest_reached_by_a_link_has_its_profiles_beside_it(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "x.toml").write_text("", "utf-8")
    (tmp_path / "link").symlink_to("real")
    assert RenderingProfiles(tmp_path / "link", {}).find("./x.toml").recipe_hash


def test_an_unknown_one_is_answered_with_those_there_are(profiles: RenderingProfiles, own: Path) -> None:
    (own / "studio.toml").write_text("", "utf-8")
    with pytest.raises(UsageError, match="did you mean") as caught:
        profiles.find("telefony")
    assert "telephony" in caught.value.message
    assert "studio" in caught.value.hint
    assert str(own) in caught.value.hint


@pytest.mark.parametrize(
    "name",
    [
        "x" * 300,
        "x" * 300 + ".toml",
        "x" * 5000 + "/y.toml",
        "a\0b",
        "a\0b.toml",
        "~no-such-user-here/x.toml",
        "..",
        "../x.toml",
        "/",
        ".toml",
        "",
    ],
)
def test_a_name_that_no_disk_takes_is_that_of_none(profiles: RenderingProfiles, name: str) -> None:
    with pytest.raises(UsageError, match="rendering profile"):
        profiles.find(name)


def test_one_that_is_no_text_is_said(profiles: RenderingProfiles, own: Path) -> None:
    (own / "odd.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="is not UTF-8 text"):
        profiles.find("odd")

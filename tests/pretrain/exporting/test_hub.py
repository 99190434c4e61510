"""export --push-to-hub: private by default, in one commit, and refused before any work where nobody may write."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError

from data_pipeline.contract.errors import InputError, WorkError
from pretrain.commands import export as export_command
from pretrain.exporting import hub


class FakeApi:
    """What the hub was asked for; `refusal` is raised by the method of that name."""

    calls: list[tuple[str, Any]]
    refusal: dict[str, Exception]

    def __init__(self) -> None:
        FakeApi.calls = []

    def whoami(self) -> dict[str, str]:
        self.refuse("whoami")
        return {"name": "hong"}

    def create_repo(self, repository: str, **options: object) -> None:
        self.calls.append(("create_repo", {"repository": repository, **options}))
        self.refuse("create_repo")

    def create_branch(self, repository: str, **options: object) -> None:
        self.calls.append(("create_branch", {"repository": repository, **options}))
        self.refuse("create_branch")

    def upload_folder(self, **options: Any) -> SimpleNamespace:
        names = sorted(path.name for path in Path(options["folder_path"]).iterdir())
        self.calls.append(("upload_folder", {**options, "names": names}))
        self.refuse("upload_folder")
        return SimpleNamespace(commit_url=f"https://hub/{options['repo_id']}/commit/1")

    def refuse(self, method: str) -> None:
        if method in self.refusal:
            raise self.refusal[method]


@pytest.fixture(autouse=True)
def fake_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeApi, "refusal", {}, raising=False)
    monkeypatch.setattr(hub, "HfApi", FakeApi)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config.json").write_text("{}")
    return tmp_path


def refused(status: int) -> HfHubHTTPError:
    response: Any = SimpleNamespace(status_code=status, headers={}, request=None)
    return HfHubHTTPError("no write access", response=response)


def test_a_new_repository_is_private_and_gets_the_folder_in_one_commit(folder: Path) -> None:
    address = hub.Hub("lab/kobert", public=False).push(folder, "tiny: step 6")
    assert address == "https://hub/lab/kobert/commit/1"
    (create, upload) = FakeApi.calls
    assert create == ("create_repo", {"repository": "lab/kobert", "private": True, "exist_ok": True})
    assert upload[1]["names"] == ["config.json"]
    assert upload[1]["commit_message"] == "tiny: step 6"
    assert upload[1]["revision"] is None


def test_a_branch_is_made_before_it_gets_the_folder(folder: Path) -> None:
    hub.Hub("lab/kobert", public=False).push(folder, "tiny: step 6", "step-6")
    (_, branch, upload) = FakeApi.calls
    assert branch == ("create_branch", {"repository": "lab/kobert", "branch": "step-6", "exist_ok": True})
    assert upload[1]["revision"] == "step-6"


def test_public_is_asked_for(folder: Path) -> None:
    hub.Hub("lab/kobert", public=True).push(folder, "tiny")
    assert FakeApi.calls[0][1]["private"] is False


def test_a_name_alone_is_the_users_own() -> None:
    assert hub.Hub("kobert", public=False).repository == "hong/kobert"


def test_nobody_logged_in_is_said_before_the_export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "manifest.json").write_text("{}")
    monkeypatch.setattr(FakeApi, "refusal", {"whoami": LocalTokenNotFoundError("no token")})
    with pytest.raises(InputError, match="nobody is logged in; run `hf auth login`"):
        export_command.run([str(tmp_path), "--push-to-hub", "lab/kobert"])


def test_wrong_names_and_flags_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--push-to-hub a/b/c: no name of a repository"):
        hub.Hub("a/b/c", public=False)
    with pytest.raises(InputError, match="--public goes with --push-to-hub"):
        export_command.run([str(tmp_path), "--public"])


@pytest.mark.parametrize(("status", "kind"), [(403, InputError), (500, WorkError)])
def test_a_refusal_of_the_hub_is_one_sentence(
    folder: Path, monkeypatch: pytest.MonkeyPatch, status: int, kind: type[Exception]
) -> None:
    monkeypatch.setattr(FakeApi, "refusal", {"upload_folder": refused(status)})
    with pytest.raises(kind, match=r"--push-to-hub lab/kobert: the hub .* \(.*no write access"):
        hub.Hub("lab/kobert", public=False).push(folder, "tiny")

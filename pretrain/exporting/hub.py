"""An exported folder to the Hugging Face hub: private, unless said otherwise."""

from pathlib import Path

from huggingface_hub import HfApi
from huggingface_hub.errors import HFValidationError, LocalTokenNotFoundError
from huggingface_hub.errors import HTTPError as HubError  # type: ignore[attr-defined]  # its HTTP library's, passed on
from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]  # as above

from data_pipeline.contract.errors import InputError, WorkError


class Hub:
    """A model repository on the hub, as `ORGANISATION/NAME` or `NAME`, with who may write to it known before any work.

    Raises InputError where the name cannot be one or nobody is logged in, WorkError where the hub does not answer.
    """

    def __init__(self, repository: str, *, public: bool) -> None:
        self.repository, self._public, self._api = repository, public, HfApi()
        try:
            validate_repo_id(repository)
            user = self._api.whoami()["name"]
        except HFValidationError as error:
            raise InputError(f"--push-to-hub {repository}: no name of a repository ({_line(error)})") from None
        except LocalTokenNotFoundError:
            raise InputError("--push-to-hub: nobody is logged in; run `hf auth login`, or set HF_TOKEN") from None
        except (HubError, OSError) as error:
            raise self._failure(error) from None
        if "/" not in repository:
            self.repository = f"{user}/{repository}"

    def push(self, folder: Path, message: str, branch: str | None = None) -> str:
        """Uploads the files of a folder in one commit and returns its address; makes the repository where there is none.

        - `branch`: which gets them, made where there is none; None means the main one. What it has already is not uploaded again.
        """
        try:
            self._api.create_repo(self.repository, private=not self._public, exist_ok=True)
            if branch:
                self._api.create_branch(self.repository, branch=branch, exist_ok=True)
            commit = self._api.upload_folder(
                repo_id=self.repository,
                folder_path=folder,
                commit_message=message,
                ignore_patterns=[".*"],
                revision=branch,
            )
        except (HubError, OSError) as error:
            raise self._failure(error) from None
        return str(commit.commit_url)

    def _failure(self, error: Exception) -> WorkError | InputError:
        status = getattr(getattr(error, "response", None), "status_code", None)
        if status in (401, 403):
            return InputError(
                f"--push-to-hub {self.repository}: the hub refuses ({_line(error)}); log in with a token that may write "
                "there (`hf auth login`)"
            )
        return WorkError(
            f"--push-to-hub {self.repository}: the hub did not take it ({_line(error)}); the export stands on this disk, run "
            "again"
        )


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__

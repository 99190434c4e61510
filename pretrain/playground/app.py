"""The addresses of the playground: the page, what its models can do, their answers, and LMkor's forms."""

import dataclasses
import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from data_pipeline.contract.errors import InputError, WorkError
from pretrain.playground.guard import Guard
from pretrain.playground.lmkor import FORMS
from pretrain.playground.model import SIMILAR, ShownModel
from pretrain.playground.question import read_question

PAGE = Path(__file__).parent / "page"
FILES = {
    "/": ("index.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
    "/answers.js": ("answers.js", "text/javascript"),
}
"""By path."""


def make_app(models: Sequence[ShownModel], hosts: Sequence[str]) -> Starlette:
    """The playground as an ASGI application.

    - `hosts`: the names under which it answers. A request for another name is refused: a page of another site could otherwise reach it
      by a name of its own that leads to this machine (DNS rebinding).
    """

    async def described(request: Request) -> Response:
        return JSONResponse([_described(model) for model in models])

    async def ask(request: Request) -> Response:
        number, name = request.path_params["model"], request.path_params["ability"]
        if number >= len(models) or name not in models[number].abilities:
            raise HTTPException(404, f"{request.url.path}: no such model or ability; GET /models lists them")
        model = models[number]
        ability = model.abilities[name]
        question = read_question(await _json(request), ability.settings, compares=name == SIMILAR)
        start = time.perf_counter()
        found = await run_in_threadpool(model.ask, ability, question)
        seconds = time.perf_counter() - start
        return JSONResponse({"text": question.text, "answers": [_plain(each) for each in found], "seconds": seconds})

    def lmkor(form: Callable[[Sequence[ShownModel], Mapping[str, Any]], dict[str, str]]) -> Any:
        async def answer(request: Request) -> Response:
            is_json = request.headers.get("content-type", "").startswith("application/json")
            given = await _json(request) if is_json else dict(await request.form(max_files=0))
            if not isinstance(given, dict):
                raise InputError('the request must be a JSON object or a form with "text"')
            return JSONResponse(await run_in_threadpool(form, models, given))

        return answer

    return Starlette(
        routes=[
            *(Route(path, _file(*file)) for path, file in FILES.items()),
            Route("/models", described),
            Route("/models/{model:int}/{ability}", ask, methods=["POST"]),
            *(Route(path, lmkor(form), methods=["POST"]) for path, form in FORMS.items()),
        ],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=hosts, www_redirect=False), Middleware(Guard)],
        exception_handlers={
            InputError: _said(400),
            WorkError: _said(503),
            HTTPException: _http_error,
            Exception: _failed,
        },
    )


def _described(model: ShownModel) -> dict[str, Any]:
    subject = model.subject
    longest = subject.config.longest_row()
    return {
        "name": model.name,
        "family": subject.family.title,
        "parameters": subject.parameter_count,
        "longest": longest.tokens if longest else None,
        "abilities": {
            name: {
                "does": ability.does,
                "texts": ability.texts,
                "settings": ability.settings,
                "choices": ability.choices,
            }
            for name, ability in model.abilities.items()
        },
    }


def _plain(answer: Any) -> Any:
    return dataclasses.asdict(answer) if dataclasses.is_dataclass(answer) and not isinstance(answer, type) else answer


def _file(name: str, media_type: str) -> Any:
    content = (PAGE / name).read_bytes()

    async def answer(request: Request) -> Response:
        return Response(content, media_type=media_type)

    return answer


async def _json(request: Request) -> Any:
    if not request.headers.get("content-type", "").startswith("application/json"):
        raise HTTPException(415, "the request must say content-type: application/json")
    try:
        return json.loads(await request.body())
    except (ValueError, RecursionError) as error:
        raise InputError(f"the request is not JSON ({error})") from None


def _said(status: int) -> Any:
    async def answer(request: Request, error: Exception) -> Response:
        return JSONResponse({"error": str(error)}, status)

    return answer


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)


async def _failed(request: Request, error: Exception) -> Response:
    # Starlette raises it again, so that the server writes the traceback.
    return JSONResponse({"error": f"the playground failed ({type(error).__name__}); its terminal says how"}, 500)

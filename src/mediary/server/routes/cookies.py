"""`/backend-api/v2/upload_cookies`: files of cookies come in, and no value ever goes out."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel, Field
from starlette.datastructures import FormData, UploadFile

from mediary.errors import FieldError
from mediary.server.forms import read_form
from mediary.server.limits import Body, check_declared_length
from mediary.server.openapi import ERROR

if TYPE_CHECKING:
    from mediary.cookies.files import CookieFiles
    from mediary.cookies.jar import Jar

MOST_TEXT = 1024
"""Bytes of the field `domain`."""


class DomainCookies(BaseModel):
    """The cookies of a domain."""

    domain: str
    names: list[str]
    expires: float | None = Field(description="Unix seconds: when the first of them ends; null if none does")


class Done(BaseModel):
    """That it is done."""

    message: str


_FORM = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": {
                            "type": "string",
                            "format": "binary",
                            "description": "`.json` (a list of cookies, or an object of names and values), Netscape "
                            "`.txt`, or `.har`",
                        },
                        "domain": {
                            "type": "string",
                            "description": "Whose cookies an object holds; else the file's name tells",
                        },
                    },
                }
            }
        },
    }
}


def cookie_routes(jar: "Callable[[], Awaitable[Jar]]", files: "CookieFiles", max_bytes: int) -> APIRouter:
    """The routes, on this jar; `files` reads what comes in."""
    router = APIRouter(prefix="/backend-api/v2/upload_cookies", tags=["cookies"])

    @router.post(
        "",
        summary="Hand in cookies for providers that know you by them",
        response_class=PlainTextResponse,
        responses=dict.fromkeys((400, 413, 415, 422, 507), ERROR),
        openapi_extra=_FORM,
    )
    async def keep_cookies(request: Request) -> PlainTextResponse:
        check_declared_length(request.scope, max_bytes)
        async with read_form(request.scope, Body(request.receive, max_bytes), MOST_TEXT) as form:
            file, domain = _parts(form)
            found = await files.read(file.filename or "", file.file, file.size or 0, domain)
        await (await jar()).keep(found)
        return PlainTextResponse("File saved")

    @router.get("", summary="Whose cookies there are: names and when the first ends, never a value")
    async def list_cookies() -> list[DomainCookies]:
        return [
            DomainCookies(domain=kept.domain, names=list(kept.names), expires=kept.expires)
            for kept in await (await jar()).list()
        ]

    @router.delete("/{domain}", summary="Forget the cookies of a domain", responses={404: ERROR})
    async def delete_cookies(domain: str) -> Done:
        await (await jar()).delete(domain)
        return Done(message="Cookies deleted")

    return router


def _parts(form: FormData) -> tuple[UploadFile, str | None]:
    """The file, and the domain if it is said."""
    file = next((item for item in form.getlist("file") if isinstance(item, UploadFile)), None)
    if file is None or not file.filename:
        raise FieldError("file", "the form needs a file of cookies in this field")
    domain = form.get("domain")
    return file, domain if isinstance(domain, str) and domain else None

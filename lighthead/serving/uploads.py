"""The image of a request: its raw body, or the one file of a multipart form, within limits."""

import asyncio
from collections.abc import AsyncGenerator
from http import HTTPStatus

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from lighthead.serving.options import MIB
from lighthead.serving.refusal import RefusalError

FORM, ENCODED = 'multipart/form-data', 'application/x-www-form-urlencoded'
FORM_ROOM = 64 * 1024
"""Bytes of a form that are not the image."""
DRAINED = 4
"""So many times the limit is read and dropped, because most clients read no answer before they
have sent everything."""


async def read_upload(request: Request, most: int, seconds: float) -> bytes:
    """The content of the image file in a request.

    Args:
        most: Bytes.
        seconds: Within which it must arrive.

    Raises:
        RefusalError: it is larger, comes too slowly, or there is not one file.
    """
    kind = request.headers.get('content-type', '').partition(';')[0].strip().lower()
    try:
        async with asyncio.timeout(seconds):
            if kind == FORM:
                return await _file_of_form(request, most)
            content = b''.join([part async for part in _limited(request, most, most)])
    except TimeoutError as error:
        message = f'The upload took longer than {seconds:g} seconds.'
        raise RefusalError(HTTPStatus.REQUEST_TIMEOUT, message) from error
    except ClientDisconnect as error:
        raise RefusalError(HTTPStatus.BAD_REQUEST, 'The upload broke off.') from error
    if kind == ENCODED and content and content.isascii():  # curl calls every body so
        raise RefusalError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            'Send the image as the body (curl --data-binary @photo.jpg) or in a form '
            '(curl -F image=@photo.jpg), not as form-urlencoded text.',
        )
    return content


async def _file_of_form(request: Request, most: int) -> bytes:
    parts = _limited(request, most + FORM_ROOM, most)
    parser = MultiPartParser(
        request.headers, parts, max_files=1, max_fields=16, max_part_size=FORM_ROOM
    )
    try:
        form = await parser.parse()
    except (MultiPartException, KeyError) as error:
        reason = str(getattr(error, 'message', '')) or 'it has no boundary'
        message = f'The multipart form cannot be read ({reason}).'
        raise RefusalError(HTTPStatus.BAD_REQUEST, message) from error
    try:
        files = [value for value in form.values() if isinstance(value, UploadFile)]
        if not files:
            message = 'The form holds no file: send one, such as curl -F image=@photo.jpg.'
            raise RefusalError(HTTPStatus.UNPROCESSABLE_ENTITY, message)
        content = await files[0].read(most + 1)
    finally:
        await form.close()
    if len(content) > most:
        raise _too_large(most)
    return content


async def _limited(request: Request, most: int, said: int) -> AsyncGenerator[bytes, None]:
    """The body's parts; one of more than ``most`` bytes is read on for a while and refused."""
    received = 0
    if int(request.headers.get('content-length') or 0) > most * DRAINED:
        raise _too_large(said)
    async for part in request.stream():
        received += len(part)
        if received > most * DRAINED:
            break
        if received <= most:
            yield part
    if received > most:
        raise _too_large(said)


def _too_large(most: int) -> RefusalError:
    return RefusalError(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        f'The upload is larger than the limit of {most / MIB:g} MiB: send a smaller file.',
    )

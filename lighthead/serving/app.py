"""The addresses of a server: /detect, /model, /health, /metrics, and the demo's page."""

import logging
import time
from http import HTTPStatus
from pathlib import Path
from typing import Annotated

from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import JSONResponse, PlainTextResponse, Response

import lighthead
from lighthead.errors import UserError
from lighthead.inference.detector import Detector
from lighthead.inference.wanted import Wanted
from lighthead.serving.page import add_page
from lighthead.serving.refusal import RefusalError
from lighthead.serving.service import Service

LOGGER = logging.getLogger('uvicorn.error')
USAGE = """lighthead: POST an image to /detect, as the body or as a file in a form:
  curl --data-binary @photo.jpg ADDRESS/detect
  curl -F image=@photo.jpg 'ADDRESS/detect?score_thr=0.5&classes=person'
Also: /model, /health, /metrics, /openapi.json
"""
BODY = {
    'requestBody': {
        'required': True,
        'content': {
            'image/*': {'schema': {'type': 'string', 'format': 'binary'}},
            'multipart/form-data': {
                'schema': {
                    'type': 'object',
                    'properties': {'image': {'type': 'string', 'format': 'binary'}},
                }
            },
        },
    }
}
"""For /openapi.json: the endpoint reads the body itself, within its limits."""


def create_app(service: Service, hosts: list[str] | None = None) -> FastAPI:
    """The application of a service.

    Args:
        hosts: Names under which it may be asked; None: any. A server on the loopback address
            that answers to any name can be read by web pages that resolve a name of their own
            to it.
    """
    app = FastAPI(
        title='lighthead',
        version=lighthead.__version__,
        docs_url=None,  # its page loads scripts from a network
        redoc_url=None,
        lifespan=lambda _: service.running(),
    )
    if hosts is not None:
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=hosts, www_redirect=False)
    app.add_exception_handler(RefusalError, _refuse)
    app.add_exception_handler(RequestValidationError, _refuse_arguments)
    _add_detect(app, service)
    _add_facts(app, service)
    if service.options.page:
        add_page(app)
    else:
        _add_usage(app)
    return app


def _add_detect(app: FastAPI, service: Service) -> None:
    @app.post('/detect', openapi_extra=BODY)
    async def detect(
        request: Request,
        score_thr: Annotated[float | None, Query(ge=0, le=1)] = None,
        classes: Annotated[list[str] | None, Query()] = None,
        class_agnostic: bool = False,
    ) -> Response:
        """Detections of an image, in the form of ``Detections.to_json``."""
        start, status = time.perf_counter(), HTTPStatus.INTERNAL_SERVER_ERROR
        try:
            wanted = _wanted(service.detector, score_thr, classes, class_agnostic)
            answer = (await service.detect(request)).filter(wanted.score_thr, wanted.classes)
            if class_agnostic:
                answer = answer.suppress(service.detector.iou_thr)
            service.metrics.detections.inc(len(answer))
            status = HTTPStatus.OK
            return Response(answer.to_json(), media_type='application/json')
        except RefusalError as refusal:
            status = refusal.status
            raise
        except Exception as error:  # the others go on
            LOGGER.exception('a request failed')
            text = str(error) if isinstance(error, UserError) else 'an internal error of lighthead'
            return JSONResponse(dict(detail=f'Detection failed: {text}'), status)
        finally:
            service.metrics.answer(status, time.perf_counter() - start)


def _wanted(
    detector: Detector, score_thr: float | None, classes: list[str] | None, class_agnostic: bool
) -> Wanted:
    """What a request asks for; each parameter ``classes`` is a name, or several with commas."""
    known = detector.classes
    if classes is not None:
        classes = [n for text in classes for n in ([text] if text in known else text.split(','))]
    try:
        return detector.wanted(score_thr, classes, class_agnostic)
    except UserError as error:
        raise RefusalError(HTTPStatus.UNPROCESSABLE_ENTITY, str(error)) from error


def _add_facts(app: FastAPI, service: Service) -> None:
    detector, options = service.detector, service.options

    @app.get('/model')
    async def model() -> dict:
        """What the detector finds, and what the server takes."""
        return dict(
            model=Path(detector.path).stem,
            classes=detector.classes,
            score_thr=detector.score_thr,
            device=str(detector.device),
            max_upload_bytes=options.upload_bytes,
            max_pixels=options.pixels,
            version=lighthead.__version__,
        )

    @app.get('/health')
    async def health() -> dict:
        """Whether requests are answered, and how many wait."""
        return dict(status='ok', waiting=service.waiting.taken, places=service.waiting.total)

    @app.get('/metrics')
    async def metrics() -> Response:
        """Numbers in the text form of Prometheus."""
        return Response(service.metrics.text(), media_type='text/plain; version=0.0.4')


def _add_usage(app: FastAPI) -> None:
    @app.get('/', response_class=PlainTextResponse)
    async def usage(request: Request) -> str:
        """How to ask."""
        return USAGE.replace('ADDRESS', str(request.base_url).rstrip('/'))


async def _refuse(_: Request, refusal: Exception) -> Response:
    assert isinstance(refusal, RefusalError)
    return JSONResponse(dict(detail=str(refusal)), refusal.status, refusal.headers)


async def _refuse_arguments(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    faults = [f'{fault["loc"][-1]}: {fault["msg"]}' for fault in error.errors()]
    return JSONResponse(dict(detail='; '.join(faults)), HTTPStatus.UNPROCESSABLE_ENTITY)

"""One run of the detector over all inputs of ``lighthead infer``."""

from itertools import groupby
from pathlib import Path

from lighthead.errors import EXIT_OK, EXIT_USER
from lighthead.files import printable
from lighthead.inference.inputs import expand_inputs, is_stream, is_video
from lighthead.inference.jobs.context import Run, record_name
from lighthead.inference.jobs.images import run_images
from lighthead.inference.jobs.names import drawing_names
from lighthead.inference.jobs.options import InferOptions
from lighthead.inference.jobs.videos import run_video
from lighthead.inference.results import no_detections


def infer(options: InferOptions) -> int:
    """Detect in all inputs; unreadable ones are reported and skipped.

    Returns:
        0; 2 if an input was missing or unreadable; 128 + the signal that ended the run.
    """
    paths, missing = expand_inputs(options.inputs)
    run = Run(options)
    with run.output:
        with run.stop, run.progress:
            for argument in missing:
                reason = 'no such file, or a folder or glob without images.'
                run.fail(argument, f'{printable(argument)}: {reason}')
            _detect(run, paths)
        run.output.sync()
        _finish(run)
    if run.stop:
        return run.stop.exit_code
    return EXIT_USER if run.progress.errors else EXIT_OK


def _detect(run: Run, paths: list[Path | str]) -> None:
    """Images that follow each other are one pipeline; a video is one of its own."""
    names = drawing_names(paths, Path(run.options.out_dir) / 'vis')
    done = run.output.done
    todo = [pair for pair in zip(paths, names, strict=True) if record_name(pair[0]) not in done]
    if done:
        run.progress.note(f'{len(paths) - len(todo)} of {len(paths)} inputs are done already.')
    done.clear()
    for moving, group in groupby(todo, key=lambda pair: is_stream(pair[0]) or is_video(pair[0])):
        if not moving:
            run_images(run, [(path, name) for path, name in group if not is_stream(path)])
        else:
            for path, name in group:
                if not run.stop:
                    run_video(run, path, name)
        if run.stop:
            break


def _finish(run: Run) -> None:
    """Write the other formats and say what was done."""
    progress, output = run.progress, run.output
    parts = [f'{progress.detections} detections in {progress.images} images']
    if progress.images and not progress.detections:
        parts[0] = f'{no_detections(progress.best_score)} in {progress.images} images'
    parts[0] += f' ({progress.speed:.1f} images/s)'
    if progress.errors:
        parts.append(f'{progress.errors} inputs could not be read')
    if output.journal is not None:
        paths = output.write_formats(run.formats, finished=not run.stop)
        parts.append(', '.join(map(printable, paths)))
    if output.vis_dir is not None:
        parts.append(f'drawings in {printable(output.vis_dir)}')
    if run.stop:
        parts.append('stopped early: --resume continues')
    print('; '.join(parts))

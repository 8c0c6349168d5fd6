"""Which files the arguments of the command line name."""

import pytest

from lighthead.errors import UserError
from lighthead.inference.inputs import expand_inputs, is_video


def test_inputs_keep_their_order_and_come_once(tmp_path):
    folder = tmp_path / 'folder'
    (folder / 'deeper').mkdir(parents=True)
    for name in ('b.jpg', 'a.PNG', 'notes.txt', 'clip.mp4', 'deeper/c.jpg'):
        (folder / name).touch()
    odd = tmp_path / 'odd[1].data'
    odd.touch()
    inputs = expand_inputs([str(odd), str(folder / 'b.jpg'), str(folder), str(tmp_path / 'no.jpg')])
    assert inputs.paths == [odd, *(folder / name for name in ('b.jpg', 'a.PNG', 'clip.mp4'))]
    assert inputs.missing == [str(tmp_path / 'no.jpg')]
    deep = expand_inputs([str(tmp_path / '**' / '*.jpg')])
    assert deep.paths == [folder / 'b.jpg', folder / 'deeper' / 'c.jpg']
    assert is_video(folder / 'clip.mp4')
    assert not is_video(folder / 'b.jpg')


@pytest.mark.parametrize('argument', ['nothing.jpg', '*.jpg', '.'])
def test_nothing_found(argument, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match='No image or video found'):
        expand_inputs([argument])

"""Writers leave a whole file or nothing, follow no link, and readers refuse what never ends."""

import errno
import os
import subprocess
import threading
from pathlib import Path

import pytest

from lighthead.files import (
    clean_leftovers,
    fitting_name,
    printable,
    read_regular_file,
    replacing,
    temporary_folder,
    temporary_path,
    write_bytes_file,
    write_text_file,
)


def test_a_temporary_folder_of_a_killed_process_is_cleaned_up(tmp_path):
    with temporary_folder(tmp_path / 'out') as folder:
        (folder / 'half').write_text('x')
        assert clean_leftovers(tmp_path) == [folder.name]  # this process counts as an earlier one
    gone = subprocess.Popen(['true'])
    gone.wait()
    killed = tmp_path / f'.out.0.{gone.pid}.tmp'
    (killed / 'deep').mkdir(parents=True)
    assert clean_leftovers(tmp_path) == [killed.name]
    assert os.listdir(tmp_path) == []


def test_content_and_no_leftovers(tmp_path):
    write_text_file('Straßenbahn \udcff', tmp_path / 'a.txt')
    write_bytes_file(b'old', tmp_path / 'b.bin')
    write_bytes_file(b'new', tmp_path / 'b.bin', sync=False)
    assert (tmp_path / 'a.txt').read_bytes() == 'Straßenbahn '.encode() + rb'\udcff'
    assert (tmp_path / 'b.bin').read_bytes() == b'new'
    assert sorted(os.listdir(tmp_path)) == ['a.txt', 'b.bin']


@pytest.mark.parametrize('make_link', [os.symlink, os.link])
def test_links_are_replaced_and_never_written_through(tmp_path, make_link):
    target, link = tmp_path / 'precious.jpg', tmp_path / 'out.jpg'
    target.write_bytes(b'precious')
    make_link(target, link)
    write_bytes_file(b'drawing', link)
    assert target.read_bytes() == b'precious'
    assert link.read_bytes() == b'drawing'
    assert not link.is_symlink()


@pytest.mark.parametrize('error', [OSError(errno.ENOSPC, 'full'), KeyboardInterrupt()])
def test_a_failure_keeps_the_old_file_and_leaves_nothing(tmp_path, error):
    path = tmp_path / 'a.txt'
    path.write_text('old')

    def write() -> None:
        with replacing(path) as file:
            file.write(b'half')
            raise error

    with pytest.raises(type(error)):
        write()
    assert path.read_text() == 'old'
    assert os.listdir(tmp_path) == ['a.txt']


@pytest.mark.parametrize('name', ['a' * 251 + '.jpg', 'ß' * 125 + '.jpg'])
def test_longest_names(tmp_path, name):
    write_bytes_file(b'x', tmp_path / name)
    assert os.listdir(tmp_path) == [name]


@pytest.mark.parametrize(
    ('stem', 'ending', 'expected'),
    [
        ('a', '.jpg', 'a.jpg'),
        ('a' * 300, '.jpg', 'a' * 251 + '.jpg'),
        ('ß' * 200, '_2.jpg', 'ß' * 124 + '_2.jpg'),
        ('\udcff' * 300, '', '\udcff' * 255),
    ],
)
def test_fitting_name(stem, ending, expected):
    assert fitting_name(stem, ending) == expected


def test_temporary_names_differ(tmp_path):
    names = {temporary_path(tmp_path / 'a.txt') for _ in range(10)}
    assert len(names) == 10


def test_leftovers_of_dead_processes_are_cleaned(tmp_path):
    dead = subprocess.Popen(['true'])
    dead.wait()
    names = [f'.epoch_1.pth.{pid}.tmp' for pid in (dead.pid, os.getpid(), os.getppid())]
    own = temporary_path(tmp_path / 'b.json').name
    for name in [*names, own, '.note.tmp', 'epoch_1.pth.5.tmp']:
        (tmp_path / name).touch()
    assert sorted(clean_leftovers(tmp_path)) == sorted([*names[:2], own])
    assert len(os.listdir(tmp_path)) == 3


def test_what_never_ends_is_refused(tmp_path):
    os.mkfifo(tmp_path / 'fifo')
    for path in (tmp_path / 'fifo', Path('/dev/zero'), tmp_path):
        with pytest.raises(OSError, match='no regular file'):
            read_regular_file(path)
    with open(tmp_path / 'sparse', 'wb') as file:
        file.truncate(2**40)
    with pytest.raises(OSError, match='larger than 1024 MiB'):
        read_regular_file(tmp_path / 'sparse')
    (tmp_path / 'a').write_bytes(b'content')
    assert read_regular_file(tmp_path / 'a') == b'content'


def test_threads_write_the_same_file(tmp_path):
    path = tmp_path / 'a.bin'
    contents = [bytes([value]) * 100_000 for value in range(8)]
    threads = [threading.Thread(target=write_bytes_file, args=(data, path)) for data in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_bytes() in contents
    assert os.listdir(tmp_path) == ['a.bin']


@pytest.mark.parametrize(
    ('name', 'expected'),
    [
        ('Straße.jpg', 'Straße.jpg'),
        (b'\xff.jpg', r'\xff.jpg'),
        ('a\n\x1b[31m.jpg', r'a\n\x1b[31m.jpg'),
    ],
)
def test_printable(name, expected):
    assert printable(name) == expected


def test_pipes_and_devices_are_never_replaced(tmp_path):
    pipe = tmp_path / 'pipe'
    os.mkfifo(pipe)
    with pytest.raises(FileExistsError, match='Not a regular file'):
        write_bytes_file(b'x', pipe)
    assert pipe.is_fifo()
    assert list(tmp_path.iterdir()) == [pipe]

"""Every layout that a labelling tool exports is recognised, and read to the same boxes."""

import pytest

from lighthead.data.formats import read_dataset
from lighthead.errors import UserError

from .builders import (
    BOX,
    YAML_BOMB,
    YOLO_LINE,
    coco_json,
    labelme_json,
    voc_xml,
    write_image,
    write_text,
)


def coco(root):
    write_image(root / 'train2017' / 'a.jpg')
    write_image(root / 'val2017' / 'b.jpg')
    for split, name in (('train2017', 'a.jpg'), ('val2017', 'b.jpg')):
        write_text(root / 'annotations' / f'instances_{split}.json', coco_json([name]))


def cvat_coco(root):
    write_image(root / 'images' / 'default' / 'ä b.JPG')
    write_text(root / 'annotations' / 'instances_default.json', coco_json(['ä b.JPG']))


def cvat_coco_subsets(root):
    for split in ('Train', 'Validation'):
        write_image(root / 'images' / split / 'x.png')
        write_text(root / 'annotations' / f'instances_{split}.json', coco_json(['x.png']))


def label_studio_coco(root):
    write_image(root / 'images' / '1-a.jpg')
    write_text(root / 'result.json', coco_json(['images/1-a.jpg']))


def label_studio_coco_of_a_server(root):
    write_image(root / 'images' / '1-a.jpg')
    write_text(root / 'result.json', coco_json(['..\\..\\data\\upload\\1-a.jpg']))


def roboflow_coco(root):
    for split in ('train', 'valid'):
        write_image(root / split / 'a.jpg')
        write_text(root / split / '_annotations.coco.json', coco_json(['a.jpg']))


def one_json_of_any_name(root):
    write_image(root / 'photos' / 'a.jpg')
    write_text(root / 'my labels.json', coco_json(['a.jpg']))


def ultralytics(root):
    write_text(root / 'data.yaml', 'path: .\ntrain: images/train\nval: images/val\nnames: {3: dog}')
    for split in ('train', 'val'):
        write_image(root / 'images' / split / 'deep er' / 'x.jpeg')
        write_text(root / 'labels' / split / 'deep er' / 'x.txt', f'3 {YOLO_LINE}\n')


def roboflow_yolo(root):
    text = 'train: ../train/images\nval: ../valid/images\nnc: 2\nnames: [cat, dog]'
    write_text(root / 'data.yaml', text)
    for split in ('train', 'valid'):
        write_image(root / split / 'images' / 'x.JPG')
        write_text(root / split / 'labels' / 'x.txt', f'1 {YOLO_LINE}\n\n')


def cvat_yolo(root):
    write_text(root / 'obj.names', 'cat\ndog\n')
    write_text(root / 'obj.data', 'classes = 2\nnames = data/obj.names\n')
    write_text(root / 'train.txt', 'data/obj_train_data/x.png\n')
    write_image(root / 'obj_train_data' / 'x.png')
    write_text(root / 'obj_train_data' / 'x.txt', f'1 {YOLO_LINE}')


def label_studio_yolo(root):
    write_text(root / 'classes.txt', 'cat\r\ndog\r\n')
    write_text(root / 'notes.json', '{"info": {}}')
    write_image(root / 'images' / 'x.png')
    write_text(root / 'labels' / 'x.txt', f'1 {YOLO_LINE}')


def polygons(root):
    label_studio_yolo(root)
    write_text(root / 'labels' / 'x.txt', '1 0.1 0.2 0.5 0.3 0.1 0.6')


def keypoints(root):
    text = 'train: images\nkpt_shape: [2, 3]\nnames: [cat, dog]'
    write_text(root / 'data.yaml', text)
    write_image(root / 'images' / 'x.png')
    write_text(root / 'labels' / 'x.txt', f'1 {YOLO_LINE} 0 0 1 1 1 2')


def voc(root):
    write_image(root / 'JPEGImages' / 'a.b.jpg')
    write_text(root / 'Annotations' / 'a.b.xml', voc_xml('a.b.jpg'))
    write_text(root / 'ImageSets' / 'Main' / 'train.txt', 'a.b\n')


def voc_without_lists(root):
    for split in ('train', 'valid'):
        write_image(root / split / f'{split} 1.PNG')
        write_text(root / split / f'{split} 1.XML', voc_xml(f'{split} 1.PNG'))


def cvat_voc(root):
    write_image(root / 'JPEGImages' / 'sub' / 'a.jpg')
    write_text(root / 'Annotations' / 'sub' / 'a.xml', voc_xml('sub/a.jpg'))
    write_text(root / 'ImageSets' / 'Main' / 'default.txt', 'sub/a\n')
    write_text(root / 'labelmap.txt', '# label:color_rgb:parts:actions\n')


@pytest.mark.parametrize(
    ('build', 'name', 'splits'),
    [
        (coco, 'COCO', ['train', 'val']),
        (cvat_coco, 'COCO', ['train']),
        (cvat_coco_subsets, 'COCO', ['train', 'val']),
        (label_studio_coco, 'COCO', ['train']),
        (label_studio_coco_of_a_server, 'COCO', ['train']),
        (roboflow_coco, 'COCO', ['train', 'val']),
        (one_json_of_any_name, 'COCO', ['train']),
        (ultralytics, 'YOLO', ['train', 'val']),
        (roboflow_yolo, 'YOLO', ['train', 'val']),
        (cvat_yolo, 'YOLO', ['train']),
        (label_studio_yolo, 'YOLO', ['train']),
        (polygons, 'YOLO', ['train']),
        (keypoints, 'YOLO', ['train']),
        (voc, 'Pascal VOC', ['train']),
        (voc_without_lists, 'Pascal VOC', ['train', 'val']),
        (cvat_voc, 'Pascal VOC', ['train']),
    ],
)
def test_layout(tmp_path, build, name, splits):
    build(tmp_path)
    data = read_dataset(tmp_path)
    assert data.format == name
    assert list(data.splits) == splits
    for split in data.splits.values():
        (image,) = split.content['images']
        (annotation,) = split.content['annotations']
        assert (split.img_dir / image['file_name']).is_file()
        assert annotation['image_id'] == image['id']
        names = {category['id']: category['name'] for category in split.content['categories']}
        assert names[annotation['category_id']] == 'dog'
        assert annotation['bbox'] == pytest.approx(BOX, abs=0.01)


@pytest.mark.parametrize('shape_type', ['rectangle', 'polygon'])
def test_labelme(tmp_path, shape_type):
    write_image(tmp_path / 'a.jpg')
    write_text(tmp_path / 'a.json', labelme_json('..\\photos\\a.jpg', shape_type))
    data = read_dataset(tmp_path)
    assert data.format == 'LabelMe'
    assert data.splits['train'].content['annotations'][0]['bbox'] == pytest.approx(BOX)


def test_labelme_circle_becomes_its_square(tmp_path):
    write_image(tmp_path / 'a.jpg')
    write_text(tmp_path / 'a.json', labelme_json('a.jpg', 'circle'))
    box = read_dataset(tmp_path).splits['train'].content['annotations'][0]['bbox']
    assert box == pytest.approx([6, 6, 12, 12])


def test_difficult_objects_are_crowds(tmp_path):
    write_image(tmp_path / 'a.jpg')
    write_text(tmp_path / 'a.xml', voc_xml('a.jpg', difficult=1))
    assert read_dataset(tmp_path).splits['train'].content['annotations'][0]['iscrowd'] == 1


def test_missing_and_unlabelled_images_are_noted(tmp_path):
    roboflow_yolo(tmp_path)
    write_image(tmp_path / 'train' / 'images' / 'plain.jpg')
    write_text(tmp_path / 'train' / 'images' / 'broken.jpg', 'no image')
    train = read_dataset(tmp_path).splits['train']
    assert [image['file_name'] for image in train.content['images']] == [
        'train/images/plain.jpg',
        'train/images/x.JPG',
    ]
    assert any('1 images are missing or unreadable (broken.jpg' in note for note in train.notes)
    assert any('1 images have no label file' in note for note in train.notes)


@pytest.mark.parametrize(
    ('line', 'message'),
    [
        ('dog 0.5 0.5 0.1 0.1', 'line 1'),
        ('7 0.5 0.5 0.1 0.1', 'no class 7'),
        ('0.5 0.5 0.5 0.1 0.1', 'no class 0.5'),
        ('1 0.5 0.5 0.1', 'polygon'),
        ('1 nan 0.5 0.1 0.1', 'polygon'),
    ],
)
def test_malformed_yolo_labels_name_file_and_line(tmp_path, line, message):
    label_studio_yolo(tmp_path)
    write_text(tmp_path / 'labels' / 'x.txt', line)
    with pytest.raises(UserError, match=message) as error:
        read_dataset(tmp_path)
    assert 'x.txt' in str(error.value)


@pytest.mark.parametrize(
    ('name', 'text', 'message'),
    [
        ('data.yaml', 'names: [a\n', 'not valid YAML'),
        ('data.yaml', 'train: images', 'no "names"'),
        ('data.yaml', 'names: [a, a]\ntrain: .', 'same class name twice'),
        ('data.yaml', 'names: 3\ntrain: .', 'list of names'),
        ('data.yaml', 'names: [a]\ntrain: nowhere', 'does not exist'),
        ('data.yaml', 'names: [a]\ntrain: {x: 1}', 'a split is the path'),
        ('a.xml', '<annotation><object/></annotation>', 'bndbox'),
        ('a.xml', '<annotation>', 'not a valid XML'),
        ('a.xml', '<!DOCTYPE x [<!ENTITY a "b">]><annotation>&a;</annotation>', 'not a valid XML'),
        ('a.json', '{"shapes": [{"label": "x"}]}', 'malformed points'),
        ('a.json', '{"shapes": []}', 'no shape'),
        ('a.json', '{"shapes": 5}', 'not a list'),
        ('a.json', f'{{"shapes": [{{"label": "x", "points": [[{10**400}, 1]]}}]}}', 'malformed'),
        ('data.yaml', f'names: [a]\ntrain: {"x" * 3000}', 'does not exist'),
        ('data.yaml', 'names: [[a], b]\ntrain: .', 'something that is no name'),
        ('data.yaml', YAML_BOMB + 'names: *a29\ntrain: .', 'something that is no name'),
        ('train.json', '{"images": [{}], "categories": [{"id": 1, "name": "a"}]}', 'no "id"'),
        ('train.json', '{"images": [], "categories": [], "x": ' + '[' * 10**5, 'not valid JSON'),
        ('instances_train.json', '{"images": [], "categories": [', 'not valid JSON'),
        ('readme.txt', 'hello', 'no known format'),
    ],
)
def test_malformed_files_end_in_one_error_message(tmp_path, name, text, message):
    write_text(tmp_path / name, text)
    with pytest.raises(UserError, match=message):
        read_dataset(tmp_path)


def test_a_list_of_images_that_is_no_text(tmp_path):
    write_text(tmp_path / 'a.xml', voc_xml('a.jpg'))
    listing = write_text(tmp_path / 'ImageSets' / 'Main' / 'train.txt', 'a')
    listing.write_bytes(b'a\xff')
    with pytest.raises(UserError, match=r'train\.txt is not UTF-8'):
        read_dataset(tmp_path)


def test_a_split_with_two_files_is_refused(tmp_path):
    coco(tmp_path)
    write_text(tmp_path / 'train.json', coco_json(['a.jpg']))
    with pytest.raises(UserError, match='several annotation files for the train split'):
        read_dataset(tmp_path)


def test_exif_orientation_counts(tmp_path):
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = 6
    (tmp_path / 'images').mkdir()
    Image.new('RGB', (40, 30)).save(tmp_path / 'images' / 'x.jpg', exif=exif)
    write_text(tmp_path / 'classes.txt', 'dog')
    image = read_dataset(tmp_path).splits['train'].content['images'][0]
    assert (image['width'], image['height']) == (30, 40)

"""First cut, to be completed: answers for ``mmcv._ext`` where it is missing."""
import importlib.util, sys, types
import torch, torchvision

def _missing(name):
    def f(*a, **k):
        raise NotImplementedError(f'mmcv op {name} needs a compiled mmcv')
    return f

class _Ext(types.ModuleType):
    def __getattr__(self, name):
        if name.startswith('__'):
            raise AttributeError(name)
        return _missing(name)

def _nms(boxes, scores, iou_threshold, offset=0):
    return torchvision.ops.nms(boxes, scores, float(iou_threshold))

def install() -> None:
    if importlib.util.find_spec('mmcv._ext') is not None or 'mmcv._ext' in sys.modules:
        return
    ext = _Ext('mmcv._ext'); ext.nms = _nms
    sys.modules['mmcv._ext'] = ext

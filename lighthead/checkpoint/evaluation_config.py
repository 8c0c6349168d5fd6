"""The config to evaluate a detector with that describes itself: no file of configs is needed."""

from mmengine.config import Config

from lighthead.checkpoint.specification import Specification


def evaluation_config(specification: Specification) -> Config:
    """A runner's config for the test loop, at the detector's own image size.

    Its data set names no files yet: :func:`lighthead.data.layout.apply_data_root` does.
    """
    loader = dict(
        batch_size=1,
        num_workers=2,
        persistent_workers=True,
        drop_last=False,
        sampler=dict(type='DefaultSampler', shuffle=False),
        dataset=dict(
            type='CocoDetDataset',
            data_root='',
            ann_file='',
            data_prefix=dict(img=''),
            test_mode=True,
            pipeline=specification.preprocess.to_pipeline(),
        ),
    )
    return Config(
        dict(
            default_scope='mmdet',
            runner_type='LightHeadRunner',
            model=specification.model_cfg(),
            test_dataloader=loader,
            test_evaluator=dict(type='CocoDetMetric', ann_file='', metric='bbox'),
            test_cfg=dict(type='TestLoop'),
            default_hooks=dict(),
            custom_hooks=[],
            env_cfg=dict(mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0)),
            randomness=dict(seed=0),
            visualizer=dict(type='DetLocalVisualizer', name='visualizer', vis_backends=[]),
            log_processor=dict(type='LogProcessor', window_size=50, by_epoch=True),
            log_level='INFO',
            auto_scale_lr=None,
        )
    )
